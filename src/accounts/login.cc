#include "accounts/login.h"

#include <algorithm>
#include <array>

namespace postrider::accounts {

namespace {

using smtp::Reply;
using smtp::sasl::Mechanism;
namespace sasl = smtp::sasl;

bool can_verify(const Gate& gate, const Connection& connection, Mechanism mechanism) {
    if (!gate.store) return false;
    const StoreSkills skills = gate.store->skills();
    switch (mechanism) {
        case Mechanism::External:
            return !connection.certificate_identity.empty();
        case Mechanism::ScramSha256Plus:
            return skills.scram_sha256 && !connection.bindings.empty();
        case Mechanism::ScramSha256:
            return skills.scram_sha256;
        case Mechanism::ScramSha1Plus:
            return skills.scram_sha1 && !connection.bindings.empty();
        case Mechanism::ScramSha1:
            return skills.scram_sha1;
        case Mechanism::OAuthBearer:
        case Mechanism::XOAuth2:
            return gate.token_keys.has_value();
        case Mechanism::Plain:
        case Mechanism::Login:
            return skills.passwords;
    }
    return false;
}

// Whether a secret may be shown on this line.
bool is_covered(const Gate& gate, const Connection& connection) {
    if (connection.encrypted || !connection.address) return true;
    return std::ranges::any_of(gate.open_networks, [&](const world::IpNetwork& network) {
        return network.contains(*connection.address);
    });
}

sasl::ServerFacts facts_of(world::World& world, const Gate& gate, const Connection& connection) {
    std::array<std::byte, 18> random{};
    world.random.fill(random);
    const StoreSkills skills = gate.store->skills();
    return {
        .nonce = sasl::nonce_of({reinterpret_cast<const char*>(random.data()), random.size()}),
        .bindings = connection.bindings,
        .plus_offered = !connection.bindings.empty() && (skills.scram_sha1 || skills.scram_sha256),
        .certificate_identity = connection.certificate_identity};
}

}  // namespace

smtp::AuthOffer offer(const Gate& gate, const Connection& connection) {
    smtp::AuthOffer out;
    const bool covered = is_covered(gate, connection);
    for (const Mechanism mechanism : sasl::kMechanisms) {
        if (!can_verify(gate, connection, mechanism)) continue;
        const bool now = covered || !sasl::shows_secret(mechanism);
        (now ? out.mechanisms : out.after_tls).emplace_back(name_of(mechanism));
    }
    return out;
}

Login::Login(world::World& world, Failures& failures, std::shared_ptr<const Gate> gate,
             Connection connection, Mechanism mechanism)
    : world_(world),
      failures_(failures),
      gate_(std::move(gate)),
      connection_(std::move(connection)),
      exchange_(mechanism, facts_of(world, *gate_, connection_)) {}

Task<Progress> Login::begin(std::optional<std::string> initial) {
    const auto& address = connection_.address;
    if (address && failures_.is_shut_out(*address, world_.clock.now(), gate_->failures)) {
        world_.log.write(Event::LoginShutOut, {{"client", address->text()}});
        co_return Reply{421, EnhancedStatus{4, 7, 0},
                        "Too many failed logins from your address, come again later"};
    }
    co_return co_await go_on(
        exchange_.begin(initial ? std::optional<std::string_view>(*initial) : std::nullopt));
}

Task<Progress> Login::respond(std::string response) {
    co_return co_await go_on(exchange_.respond(response));
}

// The exchange goes on until it wants something of the client, or is over: at most four steps.
Task<Progress> Login::go_on(sasl::Step step) {
    while (true) {
        if (auto* challenge = std::get_if<sasl::step::Challenge>(&step)) {
            co_return Challenge{std::move(challenge->octets)};
        }
        if (auto* password = std::get_if<sasl::step::AskPassword>(&step)) {
            auto checked = co_await gate_->store->check_password(password->user,
                                                                 std::move(password->password));
            if (!checked) co_return cannot_ask(checked.error());
            proven_ = std::move(*checked);
            step = exchange_.tell(proven_.has_value());
        } else if (auto* ask = std::get_if<sasl::step::AskScramKeys>(&step)) {
            auto found = co_await gate_->store->scram_keys(ask->user, ask->hash);
            if (!found) co_return cannot_ask(found.error());
            proven_ = std::move(found->whose);
            step = exchange_.tell(found->keys, proven_.has_value());
        } else if (auto* token = std::get_if<sasl::step::AskToken>(&step)) {
            step = exchange_.tell(owner_of(*token));
        } else if (auto* success = std::get_if<sasl::step::Success>(&step)) {
            co_return co_await succeed(std::move(*success));
        } else {
            std::string reason(std::get<sasl::step::Failure>(step).reason);
            if (!token_reason_.empty()) reason += ": " + token_reason_;
            co_return co_await fail(std::move(reason));
        }
    }
}

std::optional<std::string> Login::owner_of(const sasl::step::AskToken& ask) {
    if (!gate_->token_keys) return std::nullopt;
    const std::chrono::sys_seconds now{std::chrono::seconds(world_.clock.wall().seconds())};
    auto identity = sasl::identity_of_token(ask.token, *gate_->token_keys, gate_->token_rules, now);
    if (identity) return std::move(*identity);
    token_reason_ = identity.error().message;
    return std::nullopt;
}

Task<Progress> Login::succeed(sasl::step::Success success) {
    if (!proven_) {
        auto found = co_await gate_->store->find(success.identity);
        if (!found) co_return cannot_ask(found.error());
        if (!*found) co_return co_await fail("no account " + success.identity);
        proven_ = std::move(**found);
    }
    // RFC 4422 §3.4.1: as somebody else only who may, and nobody may.
    const std::string wanted = folded(success.authorization);
    if (!wanted.empty() && wanted != folded(proven_->account) &&
        wanted != folded(success.identity)) {
        co_return co_await fail("wants to act as " + success.authorization);
    }
    if (connection_.address) failures_.succeeded(*connection_.address);
    world_.log.write(Event::LoggedIn,
                     {{"client", connection_.address ? connection_.address->text() : ""},
                      {"account", proven_->account},
                      {"label", proven_->label},
                      {"mechanism", name_of(exchange_.mechanism())}});
    co_return std::move(*proven_);
}

Task<Progress> Login::fail(std::string reason) {
    world_.log.write(Event::LoginFailed,
                     {{"client", connection_.address ? connection_.address->text() : ""},
                      {"account", exchange_.user()},
                      {"mechanism", name_of(exchange_.mechanism())},
                      {"reason", reason}});
    Duration delay = gate_->failures.delay_first;
    if (connection_.address) {
        delay = failures_.failed(*connection_.address, world_.clock.now(), gate_->failures);
    }
    co_await world_.clock.sleep_for(delay);
    co_return Reply{535, EnhancedStatus{5, 7, 8}, "Authentication failed"};
}

Progress Login::cannot_ask(const StoreError& error) {
    world_.log.write(Event::AccountStoreFailed,
                     {{"client", connection_.address ? connection_.address->text() : ""},
                      {"reason", error.message}});
    return Reply{454, EnhancedStatus{4, 7, 0}, "Accounts cannot be looked up now, come again soon"};
}

}  // namespace postrider::accounts
