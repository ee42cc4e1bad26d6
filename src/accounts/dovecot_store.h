// accounts/dovecot_store.h: accounts of a Dovecot, asked over the socket of its auth service.
//
// Dovecot has the passwords and says yes or no, so this serves PLAIN and LOGIN only. Each question
// has a connection of its own: the handshake is a few lines, and nothing is held while idle.
//
// Threads: from any shard. Failure: StoreError when Dovecot cannot be asked in kAnswerTime, or says
// that it is in trouble itself.
// Dovecot's authentication protocol, version 1.

#pragma once

#include <string>

#include "accounts/store.h"
#include "world/world.h"

namespace postrider::accounts {

class DovecotStore : public Store {
public:
    static constexpr auto kAnswerTime = std::chrono::seconds(30);

    // REQUIRES: world outlives it.
    DovecotStore(world::World& world, std::string socket)
        : world_(world), socket_(std::move(socket)) {}

    StoreSkills skills() const override { return {.passwords = true}; }
    Task<Result<std::optional<Proven>, StoreError>> check_password(std::string user,
                                                                   std::string password) override;
    Task<Result<KeysFound, StoreError>> scram_keys(std::string user,
                                                   smtp::sasl::Hash hash) override;
    // Whoever has a certificate or a token is believed to be known there.
    Task<Result<std::optional<Proven>, StoreError>> find(std::string user) override;

private:
    world::World& world_;
    std::string socket_;
};

}  // namespace postrider::accounts
