// dns/name.h: a domain name as DNS has it: labels of any octets, compared without case.
//
// The problem: the same name comes from a user, a configuration, a wire and a cache, in several
// spellings. Here it has one text, so that comparing, hashing and sorting are those of a string.
//
// The text: letters in lower case, no final dot, the root is "."; an octet that is not printable
// ASCII, a dot inside a label, a backslash, a quote or a space is written as \DDD (RFC 1035 §5.1).
// U-labels are the callers' matter: what is asked for here are A-labels.
//
// Promise
//   1. Two Names are equal exactly when DNS calls them equal (RFC 4343 §3).
//   2. Every Name fits the wire: labels of 1 to 63 octets, at most 255 with their lengths.
//
// RFC 1035 §2.3.4, §3.1, §5.1; RFC 4343.
// Threads: values.

#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postrider::dns {

inline constexpr std::size_t kLabelOctetsMax = 63;
inline constexpr std::size_t kNameWireOctetsMax = 255;  // with the length octets and the root's

class Name {
public:
    Name() = default;  // the root

    // From text, with or without the final dot, with \DDD and \X escapes. Nothing for an empty
    // text, an empty label or what is too long.
    static std::optional<Name> parse(std::string_view text);

    // From uncompressed wire form at `at`; then `at` stands behind the name. Nothing when the name
    // does not end inside `wire`, is too long or holds a compression pointer.
    static std::optional<Name> from_wire(std::span<const uint8_t> wire, std::size_t& at);

    const std::string& text() const { return text_; }
    bool is_root() const { return text_ == "."; }

    // This name is `ancestor` or stands below it.
    bool is_within(const Name& ancestor) const;

    // Without its first label; the root's parent is the root.
    Name parent() const;

    friend auto operator<=>(const Name&, const Name&) = default;

private:
    explicit Name(std::string text) : text_(std::move(text)) {}

    std::string text_ = ".";
};

// The name under in-addr.arpa or ip6.arpa at which an address's PTR record stands; 4 octets are an
// IPv4 address, 16 an IPv6 address in network order. RFC 1035 §3.5, RFC 3596 §2.5.
// REQUIRES: 4 or 16 octets.
Name reverse_name(std::span<const uint8_t> address);

}  // namespace postrider::dns
