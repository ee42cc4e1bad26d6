// world/real/real_sql.h: databases by their own libraries, SQLite and libpq.
//
// Both libraries wait inside their calls, so each question runs on a worker; one database has one
// connection and answers one question at a time. SQLite files are only read.
//
// Threads: ask() from any shard. PostgreSQL's time limits: connecting, and statement_timeout.

#pragma once

#include "world/sql.h"
#include "world/world.h"

namespace postrider::world::real {

class RealSql : public Sql {
public:
    // REQUIRES: worker and clock outlive it and its databases.
    RealSql(Worker& worker, Clock& clock) : worker_(worker), clock_(clock) {}

    Result<std::shared_ptr<SqlDatabase>> open(const std::string& url) override;

private:
    Worker& worker_;
    Clock& clock_;
};

}  // namespace postrider::world::real
