// dns/rdata.h: the records that mail asks for, as values, and how they are read from a wire.
//
// Only uncompressed RDATA is read: a resolver has unpacked the names already.
//
// Failure: parse_rdata() gives nothing for what is too short, too long or malformed; it never reads
// past the end. (rdata_fuzz.cc)
// RFC 1035 §3.3, §3.4.1; RFC 3596 §2.2 (AAAA); RFC 6698 §2.1 (TLSA).
// Threads: values.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "dns/name.h"

namespace postrider::dns {

// The numbers are those of the registry.
enum class Type : uint16_t {
    A = 1,
    Cname = 5,
    Ptr = 12,
    Mx = 15,
    Txt = 16,
    Aaaa = 28,
    Tlsa = 52,
};

std::string_view name(Type type);  // "A", "AAAA", "MX" ...

struct A {
    std::array<uint8_t, 4> octets{};
    friend auto operator<=>(const A&, const A&) = default;
};

struct Aaaa {
    std::array<uint8_t, 16> octets{};
    friend auto operator<=>(const Aaaa&, const Aaaa&) = default;
};

struct Mx {
    uint16_t preference = 0;  // lower is better
    Name exchange;            // the root: no mail is taken (RFC 7505)
    friend auto operator<=>(const Mx&, const Mx&) = default;
};

struct Cname {
    Name target;
    friend auto operator<=>(const Cname&, const Cname&) = default;
};

struct Ptr {
    Name target;
    friend auto operator<=>(const Ptr&, const Ptr&) = default;
};

// The character-strings of one record put together, as SPF, DKIM and DMARC read them
// (RFC 7208 §3.3, RFC 6376 §3.6.2.2). Any octets.
struct Txt {
    std::string text;
    friend auto operator<=>(const Txt&, const Txt&) = default;
};

struct Tlsa {
    uint8_t usage = 0;
    uint8_t selector = 0;
    uint8_t matching_type = 0;
    std::string data;  // octets: certificate association data
    friend auto operator<=>(const Tlsa&, const Tlsa&) = default;
};

using Rdata = std::variant<A, Aaaa, Mx, Cname, Ptr, Txt, Tlsa>;

Type type_of(const Rdata& rdata);

// For logs and the operator, much as a zone file writes it: "10 mx.example.org".
std::string text(const Rdata& rdata);

// The whole of `wire` must be one record's RDATA of that type.
std::optional<Rdata> parse_rdata(Type type, std::span<const uint8_t> wire);

}  // namespace postrider::dns
