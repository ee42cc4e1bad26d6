#include "mailauth/ip_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace postrider::mailauth {

namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

// A plain translation of text: it asks nothing of the system.
template <std::size_t Size>
std::optional<std::array<uint8_t, Size>> translate(std::string_view text, int family) {
    std::array<char, INET6_ADDRSTRLEN + 1> terminated{};
    if (text.size() >= terminated.size() || text.find('\0') != std::string_view::npos) {
        return std::nullopt;
    }
    std::ranges::copy(text, terminated.begin());
    std::array<uint8_t, Size> octets{};
    if (::inet_pton(family, terminated.data(), octets.data()) != 1) return std::nullopt;
    return octets;
}

}  // namespace

IpAddress::IpAddress(std::span<const uint8_t> octets) : v6_(octets.size() == 16) {
    assert(octets.size() == 4 || octets.size() == 16);
    // RFC 7208 §5: an IPv4-mapped address is the IPv4 address.
    if (v6_ && std::ranges::equal(octets.first(kMapped.size()), kMapped)) {
        v6_ = false;
        octets = octets.subspan(kMapped.size());
    }
    std::ranges::copy(octets, octets_.begin());
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (text.find(':') == std::string_view::npos) {
        const auto octets = translate<4>(text, AF_INET);
        return octets ? std::optional<IpAddress>(IpAddress(*octets)) : std::nullopt;
    }
    const auto octets = parse_ipv6_octets(text);
    return octets ? std::optional<IpAddress>(IpAddress(*octets)) : std::nullopt;
}

std::optional<std::array<uint8_t, 16>> parse_ipv6_octets(std::string_view text) {
    return translate<16>(text, AF_INET6);
}

bool same_prefix(std::span<const uint8_t> a, std::span<const uint8_t> b, unsigned bits) {
    assert(a.size() == b.size() && bits <= a.size() * 8);
    const std::size_t whole = bits / 8;
    if (!std::ranges::equal(a.first(whole), b.first(whole))) return false;
    const unsigned rest = bits % 8;
    if (rest == 0) return true;
    const auto mask = static_cast<uint8_t>(0xffU << (8 - rest));
    return (a[whole] & mask) == (b[whole] & mask);
}

std::string IpAddress::text() const {
    if (!v6_) {
        return fmt::format("{}.{}.{}.{}", octets_[0], octets_[1], octets_[2], octets_[3]);
    }
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(AF_INET6, octets_.data(), text.data(), text.size());
    return text.data();
}

}  // namespace postrider::mailauth
