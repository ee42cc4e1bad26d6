// mailauth/ip_address.h: the address of a client, as SPF compares it and as reports write it.
//
// Invariant: an IPv4-mapped IPv6 address is an IPv4 address (RFC 7208 §5).
// Threads: values.

#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace postrider::mailauth {

class IpAddress {
public:
    IpAddress() = default;  // 0.0.0.0

    // Four octets or sixteen, network order. REQUIRES: one of the two.
    explicit IpAddress(std::span<const uint8_t> octets);

    // Without brackets. IPv4 without leading zeros (RFC 7208 §5.6), IPv6 as RFC 4291 §2.2.
    static std::optional<IpAddress> parse(std::string_view text);

    bool is_v6() const { return v6_; }
    std::span<const uint8_t> octets() const { return {octets_.data(), v6_ ? 16U : 4U}; }

    std::string text() const;  // RFC 5952 for IPv6

    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

private:
    bool v6_ = false;
    std::array<uint8_t, 16> octets_{};
};

// As written: an IPv4-mapped address stays one of IPv6, which no client has. For networks of "ip6".
std::optional<std::array<uint8_t, 16>> parse_ipv6_octets(std::string_view text);

// The first `bits` bits are equal. REQUIRES: both of one size, and at least `bits` long.
bool same_prefix(std::span<const uint8_t> a, std::span<const uint8_t> b, unsigned bits);

}  // namespace postrider::mailauth
