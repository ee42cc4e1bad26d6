// AUTH: an exchange of lines that are no commands (RFC 4954).

#include <algorithm>
#include <cassert>

#include "smtp/parameters.h"
#include "smtp/sasl/base64.h"
#include "smtp/server_session.h"

namespace postrider::smtp {
namespace {

bool contains(const std::vector<std::string>& names, std::string_view name) {
    return std::ranges::any_of(
        names, [&](const std::string& known) { return equals_ignoring_case(known, name); });
}

}  // namespace

std::string ServerSession::auth_keywords() const {
    if (!options_->auth || auth_offer_.mechanisms.empty()) return {};
    std::string line = "\nAUTH";
    for (const std::string& mechanism : auth_offer_.mechanisms) line += " " + mechanism;
    return line;
}

// RFC 4954 §4.
std::optional<Event> ServerSession::auth(const Command& command) {
    if (authenticated_) {
        say_error(503, {5, 5, 1}, "you have authenticated already");
        return std::nullopt;
    }
    if (!extended_) {
        say_error(503, {5, 5, 1}, "say EHLO first");
        return std::nullopt;
    }
    auto parsed = parse_auth(command.argument);
    // Before anything about its response: so that nobody sends a password a second time in vain.
    if (parsed && !contains(auth_offer_.mechanisms, parsed->mechanism)) {
        if (contains(auth_offer_.after_tls, parsed->mechanism)) {
            say_error(538, {5, 7, 11}, "this mechanism needs an encrypted connection");
        } else {
            say_error(504, {5, 5, 4}, "this mechanism is not offered");
        }
        return std::nullopt;
    }
    if (!parsed) {
        say_error(parsed.error());
        return std::nullopt;
    }
    return owe(Owed::Auth, event::AuthBegun{parsed->mechanism, std::move(parsed->initial)});
}

std::optional<Event> ServerSession::auth_response(const LineReader::Line& line) {
    if (line.is_long_auth) return cancel_auth({500, {5, 5, 6}, "the response is too long"});
    if (line.error.empty() && line.text == "*") {
        return cancel_auth({501, {5, 7, 0}, "authentication cancelled"});
    }
    auto octets = line.error.empty() ? sasl::decode_base64(line.text) : std::nullopt;
    if (!octets) return cancel_auth({501, {5, 5, 2}, "the response is not base64"});
    return owe(Owed::Auth, event::AuthResponse{std::move(*octets)});
}

Event ServerSession::cancel_auth(const Reply& reply) {
    enter(Transition::AuthEnded);
    say_error(reply);
    return event::AuthCancelled{};
}

void ServerSession::challenge(std::string_view octets) {
    assert(owed_ == 1 && owed_kind_ == Owed::Auth);
    owed_ = 0;
    owed_kind_ = Owed::Nothing;
    // A whole line, however long: what the reply writer bounds to 512 octets is text for people.
    output_ += "334 " + sasl::encode_base64(octets) + "\r\n";
    enter(Transition::AuthChallenged);
}

}  // namespace postrider::smtp
