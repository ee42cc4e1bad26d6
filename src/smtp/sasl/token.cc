#include "smtp/sasl/token.h"

#include <algorithm>

#include <fmt/format.h>

#include "mail/domain.h"
#include "smtp/sasl/prepare.h"
#include "smtp/sasl/scram.h"

namespace postrider::smtp::sasl {
namespace {

constexpr char kSeparator = '\x01';

// RFC 6750 §2.1: b64token = 1*( ALPHA / DIGIT / "-" / "." / "_" / "~" / "+" / "/" ) *"="
bool is_token(std::string_view text) {
    while (text.ends_with('=')) text.remove_suffix(1);
    return !text.empty() && text.size() <= kTokenOctetsMax && std::ranges::all_of(text, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               std::string_view("-._~+/").contains(c);
    });
}

// The scheme in any case (RFC 7235 §2.1), then blanks, then the token.
std::optional<std::string> bearer_token(std::string_view value) {
    constexpr std::string_view kScheme = "bearer ";
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    if (value.size() <= kScheme.size() ||
        !std::ranges::equal(value.substr(0, kScheme.size()), kScheme, {}, lower)) {
        return std::nullopt;
    }
    value.remove_prefix(kScheme.size());
    while (value.starts_with(' ')) value.remove_prefix(1);
    if (!is_token(value)) return std::nullopt;
    return std::string(value);
}

// *(key "=" value ^A) ^A, and nothing behind it. Keys that are not known are passed over.
struct Pairs {
    std::optional<std::string_view> user;
    std::optional<std::string_view> auth;
};
std::optional<Pairs> parse_pairs(std::string_view text) {
    Pairs pairs;
    while (!text.empty() && text.front() != kSeparator) {
        const std::size_t end = text.find(kSeparator);
        if (end == std::string_view::npos) return std::nullopt;
        const std::string_view pair = text.substr(0, end);
        text.remove_prefix(end + 1);
        const std::size_t equals = pair.find('=');
        if (equals == std::string_view::npos) return std::nullopt;
        const std::string_view key = pair.substr(0, equals);
        std::optional<std::string_view>* known = key == "user"   ? &pairs.user
                                                 : key == "auth" ? &pairs.auth
                                                                 : nullptr;
        if (!known) continue;
        if (*known) return std::nullopt;
        *known = pair.substr(equals + 1);
    }
    if (text.size() != 1) return std::nullopt;
    return pairs;
}

std::optional<TokenMessage> message_of(std::string_view user, const std::optional<Pairs>& pairs) {
    if (!pairs || !pairs->auth) return std::nullopt;
    auto token = bearer_token(*pairs->auth);
    if (!token) return std::nullopt;
    TokenMessage message{{}, std::move(*token)};
    if (!user.empty()) {
        auto name = prepare(user);
        if (!name) return std::nullopt;
        message.user = std::move(*name);
    }
    return message;
}

}  // namespace

// RFC 7628 §3.1: gs2-header kvsep *kvpair kvsep.
std::optional<TokenMessage> parse_oauthbearer(std::string_view text) {
    const std::size_t separator = text.find(kSeparator);
    if (separator == std::string_view::npos) return std::nullopt;
    // The header is that of SCRAM, without a binding; its name parser is asked to read it.
    const std::string as_scram = std::string(text.substr(0, separator)) + "n=x,r=x";
    const auto header = parse_client_first(as_scram);
    if (!header || header->binding_flag == 'p' || header->bare.size() != 7) return std::nullopt;
    return message_of(header->authorization, parse_pairs(text.substr(separator + 1)));
}

std::optional<TokenMessage> parse_xoauth2(std::string_view text) {
    const auto pairs = parse_pairs(text);
    if (!pairs || !pairs->user || pairs->user->empty()) return std::nullopt;
    return message_of(*pairs->user, pairs);
}

std::string oauthbearer_text(const TokenMessage& message, std::string_view host, unsigned port) {
    const std::string who = message.user.empty() ? "" : "a=" + escape_name(message.user);
    return fmt::format(
        "n,{},\x01host={}\x01port={}\x01"
        "auth=Bearer {}\x01\x01",
        who, host, port, message.token);
}

std::string xoauth2_text(const TokenMessage& message) {
    return fmt::format(
        "user={}\x01"
        "auth=Bearer {}\x01\x01",
        message.user, message.token);
}

}  // namespace postrider::smtp::sasl
