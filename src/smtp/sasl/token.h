// smtp/sasl/token.h: the messages that carry an OAuth 2.0 bearer token.
//
// Threads: pure functions. Failure: nothing, for what is not grammar.
// RFC 7628 §3.1 (OAUTHBEARER). XOAUTH2 is its forerunner: "user=" value ^A "auth=Bearer " token ^A
// ^A.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postrider::smtp::sasl {

inline constexpr std::size_t kTokenOctetsMax = 8192;

struct TokenMessage {
    std::string user;   // who the client wants to be; empty = as the token says
    std::string token;  // b64token of RFC 6750 §2.1
    friend bool operator==(const TokenMessage&, const TokenMessage&) = default;
};

std::optional<TokenMessage> parse_oauthbearer(std::string_view text);
std::optional<TokenMessage> parse_xoauth2(std::string_view text);
// `host` and `port` are those of the server that the client meant to reach.
std::string oauthbearer_text(const TokenMessage& message, std::string_view host, unsigned port);
std::string xoauth2_text(const TokenMessage& message);

}  // namespace postrider::smtp::sasl
