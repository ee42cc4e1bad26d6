// accounts/login.h: one client proves who it is: an exchange of SASL, with the store asked where it
// has questions.
//
// Promise
//   1. What is offered can be verified, and shows no secret on an open line.
//   2. A failure is told late, and later each time; an address that failed too often is refused
//      even with the right password (421 4.7.0), for a while.
//   3. Whoever wants to act as somebody else is refused (535).
//   4. The client learns "535 5.7.8" and nothing of the reason, which is in the log.
//
// Threads: a Login lives on its session's shard; Gate is shared.
// RFC 4954 §4, §6.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "accounts/failures.h"
#include "accounts/store.h"
#include "smtp/reply.h"
#include "smtp/sasl/jwt.h"
#include "smtp/sasl/server_exchange.h"
#include "smtp/server_session.h"
#include "world/world.h"

namespace postrider::accounts {

// What all logins share; replaced as a whole by a reload.
struct Gate {
    std::shared_ptr<Store> store;  // null: nobody can log in
    std::optional<smtp::sasl::TokenKeys> token_keys;
    smtp::sasl::TokenRules token_rules;
    FailureRules failures;
    std::vector<world::IpNetwork> open_networks;  // secrets are taken from them without TLS
};

// What is known of the connection.
struct Connection {
    std::optional<world::IpAddress> address;  // none: a local socket
    bool encrypted = false;
    smtp::sasl::ChannelBindings bindings;
    std::string certificate_identity;  // of a verified client certificate that names an account
};

smtp::AuthOffer offer(const Gate& gate, const Connection& connection);

struct Challenge {
    std::string octets;
};
using Progress = std::variant<Challenge, Proven, smtp::Reply>;

class Login {
public:
    // REQUIRES: world and failures outlive it.
    Login(world::World& world, Failures& failures, std::shared_ptr<const Gate> gate,
          Connection connection, smtp::sasl::Mechanism mechanism);

    Task<Progress> begin(std::optional<std::string> initial);
    Task<Progress> respond(std::string response);

private:
    Task<Progress> go_on(smtp::sasl::Step step);
    Task<Progress> succeed(smtp::sasl::step::Success success);
    Task<Progress> fail(std::string reason);
    Progress cannot_ask(const StoreError& error);
    std::optional<std::string> owner_of(const smtp::sasl::step::AskToken& ask);

    world::World& world_;
    Failures& failures_;
    std::shared_ptr<const Gate> gate_;
    Connection connection_;
    smtp::sasl::ServerExchange exchange_;
    std::optional<Proven> proven_;  // by the store; still to be confirmed by the exchange
    std::string token_reason_;
};

}  // namespace postrider::accounts
