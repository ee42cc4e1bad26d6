// daemon/account_desk.h: accounts as the configuration wants them, for all who log in.
//
// Reads the users file, the keys of tokens and the secret from which false salts come (made at the
// first start, kept in {data}/accounts.key), and puts them together into the Gate that logins use.
//
// Promise: gate() is whole, and changes in one step; what cannot be read is told (AccountsUnusable)
// and leaves what was read before.
// Threads: gate(), failures(), quota() and last_use().record() from any shard, all else from shard
// 0.

#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "accounts/failures.h"
#include "accounts/file_store.h"
#include "accounts/last_use.h"
#include "accounts/login.h"
#include "accounts/quota.h"
#include "daemon/config.h"
#include "world/sql.h"
#include "world/world.h"

namespace postrider::daemon {

class AccountDesk {
public:
    // REQUIRES: world outlives it.
    // `sql` may be null: then there are no databases.
    AccountDesk(world::World& world, const Config& config, world::Sql* sql);

    // Reads everything anew.
    Task<void> load(std::shared_ptr<const Config> config);

    std::shared_ptr<const accounts::Gate> gate() const { return gate_.load(); }
    accounts::Failures& failures() { return failures_; }
    accounts::Quota& quota() { return quota_; }
    accounts::LastUse& last_use() { return last_use_; }
    // Null: accounts are kept elsewhere.
    std::shared_ptr<accounts::FileStore> file_store() const { return file_store_; }

private:
    std::shared_ptr<accounts::Store> database_store(const AccountsConfig& wanted);
    Task<std::string> salt_key();
    Task<Result<std::string>> read(std::string path);
    void complain(const std::string& path, const std::string& reason);

    world::World& world_;
    world::Sql* sql_;
    std::string key_path_;
    std::string key_;
    std::string users_path_;
    std::shared_ptr<accounts::FileStore> file_store_;
    std::atomic<std::shared_ptr<const accounts::Gate>> gate_;
    accounts::Failures failures_;
    accounts::Quota quota_;
    accounts::LastUse last_use_;
};

}  // namespace postrider::daemon
