// world/sql.h: the door to databases.
//
// Promise
//   1. Values are never part of the statement's text: what a stranger wrote stays a value.
//   2. A question ends by its deadline; afterwards the database can be asked again.
//   3. A connection that broke is made anew with the next question.
//
// Failure: Error with the database's words. Threads: ask() from any shard.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"

namespace postrider::world {

// A column without a value is nothing.
using SqlRow = std::vector<std::optional<std::string>>;

class SqlDatabase {
public:
    static constexpr std::size_t kRowsMax = 1000;  // of one answer; more is an error

    virtual ~SqlDatabase() = default;
    // `statement` has $1, $2... where the values belong.
    virtual Task<Result<std::vector<SqlRow>>> ask(std::string statement,
                                                  std::vector<std::string> values,
                                                  Deadline deadline) = 0;
};

class Sql {
public:
    virtual ~Sql() = default;
    // "sqlite:/path" or a URL of PostgreSQL ("postgresql://..."). Connects with the first question.
    virtual Result<std::shared_ptr<SqlDatabase>> open(const std::string& url) = 0;
};

}  // namespace postrider::world
