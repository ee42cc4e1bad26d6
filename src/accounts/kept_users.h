// accounts/kept_users.h: a store that has the stored secrets: what is the same for a file and a
// database.
//
// Threads: as Store. Hashing is done by the Worker.

#pragma once

#include <string>

#include "accounts/store.h"
#include "world/world.h"

namespace postrider::accounts {

class KeptUsers : public Store {
public:
    // `key`: secret octets that stay the same over restarts; false salts come from it.
    KeptUsers(world::Worker& worker, std::string key) : worker_(worker), key_(std::move(key)) {}

    Task<Result<std::optional<Proven>, StoreError>> check_password(std::string user,
                                                                   std::string password) override;
    Task<Result<KeysFound, StoreError>> scram_keys(std::string user,
                                                   smtp::sasl::Hash hash) override;
    Task<Result<std::optional<Proven>, StoreError>> find(std::string user) override;

protected:
    virtual Task<Result<std::optional<User>, StoreError>> fetch(std::string name) = 0;
    // A user whose passwords cost what others' do, to be tried in vain. May be nothing.
    virtual Task<std::optional<User>> any_user(uint64_t number) = 0;

private:
    std::string keyed(std::string_view purpose, std::string_view user) const;
    smtp::sasl::ScramKeys false_keys(std::string_view user, smtp::sasl::Hash hash,
                                     uint32_t iterations) const;

    world::Worker& worker_;
    std::string key_;
};

}  // namespace postrider::accounts
