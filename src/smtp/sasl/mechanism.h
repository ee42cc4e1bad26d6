// smtp/sasl/mechanism.h: the mechanisms by which a client proves who it is.
//
// Threads: values and pure functions.
// RFC 4422 (SASL, EXTERNAL), RFC 4616 (PLAIN), RFC 5802 and 7677 (SCRAM), RFC 7628 (OAUTHBEARER).
// LOGIN and XOAUTH2 have no RFC; much software speaks nothing else.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::smtp::sasl {

// The strongest first: the order in which they are offered, and in which a client of ours chooses.
enum class Mechanism : uint8_t {
    External,
    ScramSha256Plus,
    ScramSha256,
    ScramSha1Plus,
    ScramSha1,
    OAuthBearer,
    XOAuth2,
    Plain,
    Login,
};
inline constexpr std::array kMechanisms = {
    Mechanism::External,      Mechanism::ScramSha256Plus, Mechanism::ScramSha256,
    Mechanism::ScramSha1Plus, Mechanism::ScramSha1,       Mechanism::OAuthBearer,
    Mechanism::XOAuth2,       Mechanism::Plain,           Mechanism::Login,
};

std::string_view name_of(Mechanism mechanism);
// In any case of letters (RFC 4954 §3: mechanism names are those of EHLO, compared without case).
std::optional<Mechanism> mechanism_named(std::string_view name);

// Who reads the line can use what it says: a password, or a token that is as good as one.
bool shows_secret(Mechanism mechanism);
bool is_scram(Mechanism mechanism);
// Bound to the TLS connection beneath it.
bool is_plus(Mechanism mechanism);

// RFC 5056: what ties an authentication to one TLS connection.
struct ChannelBinding {
    std::string type;  // "tls-exporter", "tls-unique", "tls-server-end-point"
    std::string data;
    friend bool operator==(const ChannelBinding&, const ChannelBinding&) = default;
};
using ChannelBindings = std::vector<ChannelBinding>;

}  // namespace postrider::smtp::sasl
