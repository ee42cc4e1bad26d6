#include "smtp/sasl/client_exchange.h"

#include <algorithm>

#include <fmt/format.h>

#include "smtp/sasl/base64.h"
#include "smtp/sasl/prepare.h"
#include "smtp/sasl/token.h"

namespace postrider::smtp::sasl {
namespace {

// More would take longer than a server waits.
constexpr uint32_t kIterationsTaken = 1'000'000;

bool has_what_it_needs(Mechanism mechanism, const Credentials& credentials,
                       const ChannelBindings& bindings) {
    switch (mechanism) {
        case Mechanism::External:
            return credentials.certificate;
        case Mechanism::OAuthBearer:
        case Mechanism::XOAuth2:
            return !credentials.token.empty();
        default:
            return !credentials.password.empty() && (!is_plus(mechanism) || !bindings.empty());
    }
}

}  // namespace

std::optional<Mechanism> choose(std::span<const std::string> offered,
                                const Credentials& credentials, const ChannelBindings& bindings,
                                bool encrypted) {
    for (const Mechanism mechanism : kMechanisms) {
        const bool is_offered = std::ranges::any_of(
            offered, [&](const std::string& name) { return mechanism_named(name) == mechanism; });
        if (is_offered && (encrypted || !shows_secret(mechanism)) &&
            has_what_it_needs(mechanism, credentials, bindings)) {
            return mechanism;
        }
    }
    return std::nullopt;
}

ClientExchange::ClientExchange(Mechanism mechanism, Credentials credentials, std::string nonce,
                               ChannelBindings bindings, bool plus_offered)
    : mechanism_(mechanism),
      credentials_(std::move(credentials)),
      nonce_(std::move(nonce)),
      plus_offered_(plus_offered) {
    if (!bindings.empty()) binding_ = std::move(bindings.front());
}

Result<std::optional<std::string>> ClientExchange::initial_response() {
    state_ = State::Sent;
    if (mechanism_ == Mechanism::Login) return std::nullopt;
    if (mechanism_ == Mechanism::External) return std::string();
    if (mechanism_ == Mechanism::OAuthBearer) {
        return oauthbearer_text({credentials_.user, credentials_.token}, credentials_.host,
                                credentials_.port);
    }
    if (mechanism_ == Mechanism::XOAuth2) {
        return xoauth2_text({credentials_.user, credentials_.token});
    }
    const auto user = prepare(credentials_.user);
    const auto password = prepare(credentials_.password);
    if (!user || !password) return fail("the user name or the password is not valid text");
    if (mechanism_ == Mechanism::Plain) {
        return fmt::format("{0}{1}{0}{2}", '\0', *user, *password);
    }
    // RFC 5802 §6: "y" says that we could have bound ourselves and saw no offer.
    header_ = is_plus(mechanism_)                        ? fmt::format("p={},,", binding_.type)
              : !binding_.type.empty() && !plus_offered_ ? "y,,"
                                                         : "n,,";
    first_bare_ = fmt::format("n={},r={}", escape_name(*user), nonce_);
    return header_ + first_bare_;
}

Result<std::string> ClientExchange::respond(std::string_view challenge) {
    if (++answered_ > 4) return fail("the server asks on and on");
    if (is_scram(mechanism_)) {
        if (state_ == State::Sent) return scram_final(challenge);
        if (state_ == State::FinalSent) return check_server(challenge);
        return fail("the server goes on behind its proof");
    }
    if (mechanism_ == Mechanism::Login && answered_ <= 2) {
        auto text = prepare(answered_ == 1 ? credentials_.user : credentials_.password);
        if (!text) return fail("the user name or the password is not valid text");
        return std::move(*text);
    }
    // RFC 7628 §3.2.3: the answer to an error; then comes the refusal.
    if (mechanism_ == Mechanism::OAuthBearer && answered_ == 1) return std::string("\x01");
    if (mechanism_ == Mechanism::XOAuth2 && answered_ == 1) return std::string();
    return fail("the server asks for more than the mechanism has");
}

Result<std::string> ClientExchange::scram_final(std::string_view challenge) {
    if (challenge.starts_with("e=")) return fail("the server refuses the exchange");
    const auto first = parse_server_first(challenge);
    if (!first) return fail("the server's first message is not SCRAM");
    if (!first->nonce.starts_with(nonce_) || first->nonce.size() == nonce_.size()) {
        return fail("the server's nonce does not extend ours");
    }
    if (first->iterations < kScramIterationsMin || first->iterations > kIterationsTaken) {
        return fail(fmt::format("the server asks for {} iterations", first->iterations));
    }
    const auto password = prepare(credentials_.password);
    if (!password) return fail("the password is not valid text");
    const Hash hash = hash_of(mechanism_);
    const std::string salted = pbkdf2(hash, *password, first->salt, first->iterations);
    const std::string client_key = hmac(hash, salted, "Client Key");
    const std::string without_proof = fmt::format(
        "c={},r={}", encode_base64(header_ + (is_plus(mechanism_) ? binding_.data : "")),
        first->nonce);
    const std::string auth_message = fmt::format("{},{},{}", first_bare_, challenge, without_proof);
    const std::string signature = hmac(hash, digest(hash, client_key), auth_message);
    server_signature_ = hmac(hash, hmac(hash, salted, "Server Key"), auth_message);
    state_ = State::FinalSent;
    return fmt::format("{},p={}", without_proof,
                       encode_base64(exclusive_or(client_key, signature)));
}

Result<std::string> ClientExchange::check_server(std::string_view challenge) {
    const std::string_view value = challenge.substr(0, challenge.find(','));
    if (!value.starts_with("v=")) return fail("the server refuses our proof");
    const auto signature = decode_base64(value.substr(2));
    if (!signature || !equal_secrets(*signature, server_signature_)) {
        return fail("the server does not know the password: it is not the one it claims to be");
    }
    state_ = State::ServerProved;
    return std::string();
}

bool ClientExchange::server_proved() const {
    return !is_scram(mechanism_) || state_ == State::ServerProved;
}

}  // namespace postrider::smtp::sasl
