// accounts/sql_store.h: accounts in a database.
//
// The operator's query is asked with the folded name as $1 and gives a row for each password of
// that account: secret, and if there are more columns label and send_as (patterns separated by
// commas). Rows of an account that is disabled are what the query must leave out.
//
// Threads: as Store. Failure: StoreError when the database cannot be asked in kAnswerTime; a row
// whose secret is of no known form counts as none.

#pragma once

#include <memory>
#include <string>

#include "accounts/kept_users.h"
#include "world/sql.h"

namespace postrider::accounts {

class SqlStore : public KeptUsers {
public:
    static constexpr auto kAnswerTime = std::chrono::seconds(20);

    // REQUIRES: world outlives it. `skills`: what the operator says of the secrets.
    SqlStore(world::World& world, std::string key, std::shared_ptr<world::SqlDatabase> database,
             std::string query, StoreSkills skills);

    StoreSkills skills() const override { return skills_; }

protected:
    Task<Result<std::optional<User>, StoreError>> fetch(std::string name) override;
    // One whose password costs what `postrider account` makes cost.
    Task<std::optional<User>> any_user(uint64_t number) override;

private:
    world::World& world_;
    std::shared_ptr<world::SqlDatabase> database_;
    std::string query_;
    StoreSkills skills_;
    std::string decoy_;
};

}  // namespace postrider::accounts
