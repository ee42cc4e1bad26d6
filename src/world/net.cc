#include "world/net.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace postrider::world {

namespace {

constexpr std::size_t kAddressTextOctetsMax = 45;  // the longest form of an IPv6 address
constexpr int kMappedPrefixBits = 96;              // ::ffff:0:0/96, RFC 4291 §2.5.5.2

// RFC 4291 §2.5.5.2: an IPv4 address in IPv6's clothes.
bool is_mapped(const std::array<uint8_t, 16>& octets) {
    return std::all_of(octets.begin(), octets.begin() + 10, [](uint8_t o) { return o == 0; }) &&
           octets[10] == 0xff && octets[11] == 0xff;
}

// As written, before a mapped address becomes IPv4.
std::optional<IpAddress> parse_as_written(std::string_view text) {
    if (text.empty() || text.size() > kAddressTextOctetsMax) return std::nullopt;
    if (text.find('\0') != std::string_view::npos) return std::nullopt;
    std::array<char, kAddressTextOctetsMax + 1> terminated{};
    std::copy(text.begin(), text.end(), terminated.begin());
    IpAddress address;
    bool v6 = text.find(':') != std::string_view::npos;
    address.family = v6 ? IpAddress::Family::V6 : IpAddress::Family::V4;
    int family = v6 ? AF_INET6 : AF_INET;
    // A plain translation of text; it asks nothing of the system.
    if (::inet_pton(family, terminated.data(), address.octets.data()) != 1) return std::nullopt;
    return address;
}

IpAddress unmapped(const IpAddress& address) {
    if (address.family == IpAddress::Family::V4 || !is_mapped(address.octets)) return address;
    IpAddress v4;
    std::copy(address.octets.begin() + 12, address.octets.end(), v4.octets.begin());
    return v4;
}

std::string v4_text(const uint8_t* octets) {
    std::string out;
    for (std::size_t i = 0; i < 4; i++) {
        if (i > 0) out += '.';
        out += std::to_string(octets[i]);
    }
    return out;
}

// RFC 5952 §4: lower case, no leading zeros, "::" for the first of the longest runs of two or more
// zero groups.
std::string v6_text(const std::array<uint8_t, 16>& octets) {
    std::array<unsigned, 8> groups{};
    for (std::size_t i = 0; i < groups.size(); i++) {
        groups[i] = unsigned{octets[2 * i]} << 8 | octets[2 * i + 1];
    }
    std::size_t run_begin = groups.size();
    std::size_t run_length = 1;
    for (std::size_t i = 0; i < groups.size();) {
        std::size_t end = i;
        while (end < groups.size() && groups[end] == 0) end++;
        if (end - i > run_length) {
            run_begin = i;
            run_length = end - i;
        }
        i = end + 1;
    }
    std::string out;
    for (std::size_t i = 0; i < groups.size(); i++) {
        if (i == run_begin) {
            out += "::";
            i += run_length - 1;
            continue;
        }
        if (!out.empty() && !out.ends_with(':')) out += ':';
        fmt::format_to(std::back_inserter(out), "{:x}", groups[i]);
    }
    return out;
}

// The first `bits` bits of both are the same.
bool same_prefix(const IpAddress& a, const IpAddress& b, int bits) {
    auto whole = static_cast<std::size_t>(bits / 8);
    if (!std::equal(a.octets.begin(), a.octets.begin() + whole, b.octets.begin())) return false;
    int rest = bits % 8;
    if (rest == 0) return true;
    return (a.octets[whole] ^ b.octets[whole]) >> (8 - rest) == 0;
}

bool host_bits_are_zero(const IpNetwork& network) {
    IpAddress masked = network.base;
    for (int bit = network.prefix_bits; bit < 128; bit++) {
        masked.octets[static_cast<std::size_t>(bit / 8)] &=
            static_cast<uint8_t>(~(0x80 >> bit % 8));
    }
    return masked == network.base;
}

}  // namespace

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    auto address = parse_as_written(text);
    if (address) address = unmapped(*address);
    return address;
}

std::string IpAddress::text() const {
    return family == Family::V4 ? v4_text(octets.data()) : v6_text(octets);
}

// RFC 5321 §4.1.3
std::string IpAddress::literal() const {
    return family == Family::V4 ? fmt::format("[{}]", text()) : fmt::format("[IPv6:{}]", text());
}

bool IpAddress::is_loopback() const {
    if (family == Family::V4) return octets[0] == 127;
    return octets[15] == 1 && std::all_of(octets.begin(), octets.begin() + 15,
                                          [](uint8_t octet) { return octet == 0; });
}

std::optional<IpNetwork> IpNetwork::parse(std::string_view text) {
    std::size_t slash = text.find('/');
    auto address = parse_as_written(text.substr(0, slash));
    if (!address) return std::nullopt;
    int bits_max = address->family == IpAddress::Family::V4 ? 32 : 128;
    int bits = bits_max;
    if (slash != std::string_view::npos) {
        std::string_view digits = text.substr(slash + 1);
        auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), bits);
        if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
        if (digits.size() > 1 && digits[0] == '0') return std::nullopt;
        if (bits < 0 || bits > bits_max) return std::nullopt;
    }
    IpNetwork network{*address, bits};
    if (!host_bits_are_zero(network)) return std::nullopt;
    if (bits_max == 128 && bits >= kMappedPrefixBits && is_mapped(address->octets)) {
        network = {unmapped(*address), bits - kMappedPrefixBits};
    }
    return network;
}

bool IpNetwork::contains(const IpAddress& address) const {
    return address.family == base.family && same_prefix(base, address, prefix_bits);
}

std::string IpEndpoint::text() const {
    std::string host = address.text();
    if (address.family == IpAddress::Family::V6) host = "[" + host + "]";
    return std::move(host) + ":" + std::to_string(port);
}

std::string text(const Endpoint& endpoint) {
    if (const auto* ip = std::get_if<IpEndpoint>(&endpoint)) return ip->text();
    return "unix:" + std::get<UnixEndpoint>(endpoint).path;
}

}  // namespace postrider::world
