// smtp/told_client.h: what a proxy tells us about the client behind it: XCLIENT and XFORWARD.
//
// A proxy or filter in front of us is the client of every connection, so limits, rules and logs
// would know nobody else. Postfix has two commands for this, and other programs speak them too:
// with XCLIENT the session is from then on the told client's; with XFORWARD the client is only
// logged. Both are taken from listed networks only, which the driver decides.
//
//   XCLIENT  NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT
//   XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE
//
// Values are xtext, at most 255 octets; [UNAVAILABLE] and [TEMPUNAVAIL] say that there is none.
// What is not xtext, too long, has controls or does not have the attribute's own form is 501 5.5.4.
//
// Threads: pure functions.
// Postfix XCLIENT_README and XFORWARD_README; RFC 3461 §4 (xtext).

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "smtp/reply.h"

namespace postrider::smtp {

enum class ToldName : uint8_t {
    Name,   // the client's name in the DNS
    Addr,   // its address: "192.0.2.1", "IPV6:2001:db8::1"
    Port,   // its port
    Proto,  // SMTP or ESMTP
    Helo,   // what it said in its hello
    Login,  // as whom it has logged in
    DestAddr,
    DestPort,  // where it has connected to
    Ident,     // the message's name at the other program
    Source,    // LOCAL or REMOTE
};
inline constexpr std::size_t kToldNameCount = 10;

// What was told; an attribute that was not told stays as it is.
class ToldClient {
public:
    struct Attribute {
        bool told = false;
        std::string value;  // decoded; empty = there is none
        friend bool operator==(const Attribute&, const Attribute&) = default;
    };
    const Attribute& operator[](ToldName name) const {
        return attributes_[static_cast<std::size_t>(name)];
    }
    Attribute& operator[](ToldName name) { return attributes_[static_cast<std::size_t>(name)]; }
    // "name=mx.example addr=192.0.2.1", for the log.
    std::string text() const;
    friend bool operator==(const ToldClient&, const ToldClient&) = default;

private:
    std::array<Attribute, kToldNameCount> attributes_;
};

enum class ToldCommand : uint8_t {
    XClient,
    XForward
};

// "XCLIENT NAME ADDR ...", as it stands in the answer to EHLO.
std::string_view keyword_line(ToldCommand command);

// The argument of one of the two commands.
Result<ToldClient, Reply> parse_told_client(ToldCommand command, std::string_view argument);

}  // namespace postrider::smtp
