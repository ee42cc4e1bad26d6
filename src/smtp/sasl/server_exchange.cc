#include "smtp/sasl/server_exchange.h"

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

#include "mail/domain.h"
#include "smtp/sasl/base64.h"
#include "smtp/sasl/prepare.h"
#include "smtp/sasl/token.h"

namespace postrider::smtp::sasl {
namespace {

// An authorization identity that may be compared and logged.
bool is_identity(std::string_view text) {
    return text.size() <= kSecretOctetsMax && !text.contains('\0') && is_utf8(text);
}

}  // namespace

ServerExchange::ServerExchange(Mechanism mechanism, ServerFacts facts)
    : mechanism_(mechanism), facts_(std::move(facts)) {}

Step ServerExchange::fail(std::string_view reason) {
    state_ = State::Over;
    return step::Failure{reason};
}

Step ServerExchange::succeed() {
    state_ = State::Over;
    return step::Success{user_, authorization_};
}

Step ServerExchange::begin(std::optional<std::string_view> initial_response) {
    if (state_ != State::Start) std::abort();
    state_ = State::First;
    if (initial_response) return first(*initial_response);
    // RFC 4954 §4: an empty challenge where the client speaks first.
    return step::Challenge{mechanism_ == Mechanism::Login ? "Username:" : ""};
}

Step ServerExchange::respond(std::string_view response) {
    switch (state_) {
        case State::First:
            return first(response);
        case State::LoginPassword:
            return login_password(response);
        case State::ClientFinal:
            return scram_final(response);
        case State::LastEmpty:
            if (!response.empty()) return fail("the client's last message is not empty");
            return succeed();
        case State::TokenRefused:
            return fail("the token was refused");
        case State::Start:
        case State::Asked:
        case State::Over:
            break;
    }
    std::abort();
}

Step ServerExchange::first(std::string_view message) {
    switch (mechanism_) {
        case Mechanism::Plain:
            return plain(message);
        case Mechanism::Login:
            return login_user(message);
        case Mechanism::External:
            return external(message);
        case Mechanism::OAuthBearer:
        case Mechanism::XOAuth2:
            return token(message);
        case Mechanism::ScramSha256Plus:
        case Mechanism::ScramSha256:
        case Mechanism::ScramSha1Plus:
        case Mechanism::ScramSha1:
            return scram_first(message);
    }
    std::abort();
}

Step ServerExchange::tell(bool is_right) {
    if (state_ != State::Asked) std::abort();
    return is_right ? succeed() : fail("wrong user or password");
}

// RFC 4616 §2: [authzid] NUL authcid NUL passwd.
Step ServerExchange::plain(std::string_view message) {
    const std::size_t first_nul = message.find('\0');
    const std::size_t second_nul =
        first_nul == std::string_view::npos ? first_nul : message.find('\0', first_nul + 1);
    if (second_nul == std::string_view::npos) return fail("not a message of PLAIN");
    const std::string_view authorization = message.substr(0, first_nul);
    auto user = prepare(message.substr(first_nul + 1, second_nul - first_nul - 1));
    auto password = prepare(message.substr(second_nul + 1));
    if (!user || !password || !is_identity(authorization)) {
        return fail("not a user and a password");
    }
    authorization_ = authorization;
    user_ = *user;
    state_ = State::Asked;
    return step::AskPassword{std::move(*user), std::move(*password)};
}

Step ServerExchange::login_user(std::string_view message) {
    auto user = prepare(message);
    if (!user) return fail("not a user name");
    user_ = std::move(*user);
    state_ = State::LoginPassword;
    return step::Challenge{"Password:"};
}

Step ServerExchange::login_password(std::string_view message) {
    auto password = prepare(message);
    if (!password) return fail("not a password");
    state_ = State::Asked;
    return step::AskPassword{user_, std::move(*password)};
}

// RFC 4422 appendix A: the client's message is the authorization identity, and may be empty.
Step ServerExchange::external(std::string_view message) {
    if (!is_identity(message)) return fail("not an authorization identity");
    if (facts_.certificate_identity.empty()) return fail("no client certificate that is known");
    authorization_ = message;
    user_ = facts_.certificate_identity;
    return succeed();
}

const ChannelBinding* ServerExchange::binding_of(std::string_view type) const {
    const auto found = std::ranges::find(facts_.bindings, type, &ChannelBinding::type);
    return found == facts_.bindings.end() ? nullptr : &*found;
}

// RFC 5802 §5, §6.
Step ServerExchange::scram_first(std::string_view message) {
    const auto first = parse_client_first(message);
    if (!first) return fail("not a first message of SCRAM");
    const bool bound = first->binding_flag == 'p';
    if (bound != is_plus(mechanism_)) {
        return fail(bound ? "a channel binding without -PLUS" : "-PLUS without a channel binding");
    }
    if (first->binding_flag == 'y' && facts_.plus_offered) {
        return fail("the client says that no channel binding was offered: somebody took it away");
    }
    if (bound && !binding_of(first->binding_type)) return fail("a channel binding that is not had");
    auto user = prepare(first->user);
    if (!user) return fail("not a user name");
    user_ = *user;
    authorization_ = first->authorization;
    header_ = first->header;
    binding_type_ = first->binding_type;
    client_first_ = first->bare;
    nonce_ = first->nonce + facts_.nonce;
    state_ = State::Asked;
    return step::AskScramKeys{std::move(*user), hash_of(mechanism_)};
}

Step ServerExchange::tell(const ScramKeys& keys, bool exists) {
    if (state_ != State::Asked || !is_scram(mechanism_) || keys.hash != hash_of(mechanism_)) {
        std::abort();
    }
    keys_ = keys;
    exists_ = exists;
    server_first_ =
        fmt::format("r={},s={},i={}", nonce_, encode_base64(keys.salt), keys.iterations);
    state_ = State::ClientFinal;
    return step::Challenge{server_first_};
}

Step ServerExchange::scram_final(std::string_view message) {
    const auto final = parse_client_final(message);
    if (!final) return fail("not a final message of SCRAM");
    std::string binding = header_;
    if (is_plus(mechanism_)) binding += binding_of(binding_type_)->data;
    if (!equal_secrets(final->binding, binding)) {
        return fail("the channel binding does not match: two TLS connections, not one");
    }
    if (!equal_secrets(final->nonce, nonce_)) return fail("not the nonce of this exchange");
    const std::string auth_message =
        fmt::format("{},{},{}", client_first_, server_first_, final->without_proof);
    const std::string signature = client_signature(keys_, auth_message);
    if (final->proof.size() != signature.size()) return fail("not a proof");
    const std::string client_key = exclusive_or(final->proof, signature);
    const bool proved = equal_secrets(digest(keys_.hash, client_key), keys_.stored_key);
    if (!proved || !exists_) return fail("wrong user or password");
    state_ = State::LastEmpty;
    return step::Challenge{"v=" + encode_base64(server_signature(keys_, auth_message))};
}

Step ServerExchange::token(std::string_view message) {
    auto parsed =
        mechanism_ == Mechanism::XOAuth2 ? parse_xoauth2(message) : parse_oauthbearer(message);
    if (!parsed) return fail("not a message with a token");
    authorization_ = parsed->user;
    user_ = parsed->user;
    state_ = State::Asked;
    return step::AskToken{std::move(parsed->user), std::move(parsed->token)};
}

// RFC 7628 §3.2.2: a refusal is told as JSON, and the client answers it with one octet.
Step ServerExchange::tell(std::optional<std::string> token_identity) {
    if (state_ != State::Asked) std::abort();
    if (!token_identity || token_identity->empty()) {
        state_ = State::TokenRefused;
        return step::Challenge{R"({"status":"invalid_token"})"};
    }
    user_ = std::move(*token_identity);
    return succeed();
}

}  // namespace postrider::smtp::sasl
