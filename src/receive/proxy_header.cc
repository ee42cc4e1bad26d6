#include "receive/proxy_header.h"

#include <algorithm>
#include <array>
#include <cassert>
#include <charconv>
#include <optional>

namespace postrider::receive {

namespace {

using namespace std::string_view_literals;

constexpr std::string_view kV1Begin = "PROXY ";
constexpr std::string_view kV2Signature = "\r\n\r\n\0\r\nQUIT\n"sv;
constexpr std::size_t kV2FixedOctets = 16;
constexpr uint8_t kCrc32cField = 0x03;  // PP2_TYPE_CRC32C

uint8_t octet(std::string_view text, std::size_t at) { return static_cast<uint8_t>(text[at]); }

std::size_t two_octets(std::string_view text, std::size_t at) {
    return std::size_t{octet(text, at)} << 8 | octet(text, at + 1);
}

// RFC 3720 §12.1, by the bit: headers are short and come once.
uint32_t crc32c(std::string_view octets) {
    uint32_t sum = ~uint32_t{0};
    for (const char c : octets) {
        sum ^= static_cast<uint8_t>(c);
        for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0x82F63B78U : 0);
    }
    return ~sum;
}

// §2.1: decimal, 0 to 65535, without leading zeros.
std::optional<uint16_t> parse_port(std::string_view text) {
    uint16_t port = 0;
    if (text.size() > 1 && text.front() == '0') return std::nullopt;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return port;
}

std::string_view take_word(std::string_view& text) {
    const std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(word.size() + 1, text.size()));
    return word;
}

world::IpEndpoint endpoint_of(world::IpAddress::Family family, std::string_view address,
                              std::size_t port) {
    world::IpAddress out{.family = family};
    std::ranges::copy(address, reinterpret_cast<char*>(out.octets.data()));
    // An IPv4 address in IPv6's clothes becomes what it is.
    return {*world::IpAddress::parse(out.text()), static_cast<uint16_t>(port)};
}

}  // namespace

std::size_t ProxyHeaderReader::wants() const {
    assert(state_ == State::More);
    // No header of either version is shorter than this.
    if (octets_.size() < kV2Signature.size()) return kV2Signature.size() - octets_.size();
    if (!octets_.starts_with(kV2Signature)) return 1;
    if (octets_.size() < kV2FixedOctets) return kV2FixedOctets - octets_.size();
    return kV2FixedOctets + two_octets(octets_, 14) - octets_.size();
}

void ProxyHeaderReader::feed(std::string_view octets) {
    assert(octets.size() <= wants());
    octets_ += octets;
    look();
}

void ProxyHeaderReader::fail(std::string_view why) {
    state_ = State::NoHeader;
    error_ = why;
}

// What does not begin as a header is none, however little of it has come.
void ProxyHeaderReader::look() {
    const std::string_view seen = octets_;
    if (kV1Begin.starts_with(seen.substr(0, kV1Begin.size()))) {
        const std::size_t end = seen.find('\n');
        if (end + 1 == seen.size()) return read_v1();
        if (end != std::string_view::npos) return fail("the line of the header is too short");
        if (seen.size() >= kV1OctetsMax) fail("the line of the header is too long");
        return;
    }
    if (!kV2Signature.starts_with(seen.substr(0, kV2Signature.size()))) {
        return fail("what came first is no PROXY header");
    }
    if (seen.size() < kV2FixedOctets) return;
    if (two_octets(seen, 14) > kV2OctetsMax - kV2FixedOctets) return fail("the header is too long");
    if (seen.size() == kV2FixedOctets + two_octets(seen, 14)) read_v2();
}

// §2.1: "PROXY" SP family SP source SP destination SP port SP port CRLF.
void ProxyHeaderReader::read_v1() {
    std::string_view line = octets_;
    if (!line.ends_with("\r\n")) return fail("the line of the header does not end with CRLF");
    line.remove_suffix(2);
    line.remove_prefix(kV1Begin.size());
    const std::string_view family = take_word(line);
    if (family == "UNKNOWN") {  // whatever follows has no meaning
        state_ = State::Itself;
        return;
    }
    const std::string_view source = take_word(line), destination = take_word(line);
    const std::string_view source_port = take_word(line);
    const bool v6 = family == "TCP6";
    if (!v6 && family != "TCP4") return fail("the header names no family that it may");
    for (const std::string_view address : {source, destination}) {
        if (!world::IpAddress::parse(address) || address.contains(':') != v6) {
            return fail("the header names no address of its family");
        }
    }
    const auto port = parse_port(source_port);
    if (!port || !parse_port(line)) return fail("the header names no port");
    client_ = {*world::IpAddress::parse(source), *port};
    state_ = State::Client;
}

// §2.2.
void ProxyHeaderReader::read_v2() {
    const std::string_view header = octets_;
    const uint8_t version = octet(header, 12) >> 4, command = octet(header, 12) & 0xF;
    const uint8_t family = octet(header, 13) >> 4, transport = octet(header, 13) & 0xF;
    if (version != 2) return fail("the header is of another version");
    if (command > 1) return fail("the header has a command that is not known");
    const bool local = command == 0, unspecified = family == 0 && transport == 0;
    const bool v4 = family == 1, v6 = family == 2;
    if (!local && !unspecified && !((v4 || v6) && transport == 1)) {
        return fail("the header is not about TCP");
    }
    // §2.2: for LOCAL the addresses have no meaning, whatever the family says.
    const bool told = !local && !unspecified;
    const std::size_t addresses = v4 ? 12 : v6 ? 36 : 0;
    const std::string_view rest = header.substr(kV2FixedOctets);
    if (told && rest.size() < addresses) return fail("the header is too short for its addresses");
    if (!local && !read_fields(rest.substr(unspecified ? 0 : addresses))) return;
    if (!told) {
        state_ = State::Itself;
        return;
    }
    const auto kind = v4 ? world::IpAddress::Family::V4 : world::IpAddress::Family::V6;
    const std::size_t size = v4 ? 4 : 16;
    client_ = endpoint_of(kind, rest.substr(0, size), two_octets(rest, 2 * size));
    state_ = State::Client;
}

// §2.2.1 and after: type, two octets of length, value. REQUIRES: `fields` views octets_.
bool ProxyHeaderReader::read_fields(std::string_view fields) {
    while (!fields.empty()) {
        if (fields.size() < 3 || fields.size() - 3 < two_octets(fields, 1)) {
            fail("a field of the header is cut off");
            return false;
        }
        const std::string_view value = fields.substr(3, two_octets(fields, 1));
        if (octet(fields, 0) == kCrc32cField) {
            if (value.size() != 4) {
                fail("the header's checksum has not 4 octets");
                return false;
            }
            // Summed up over the header with zeros in its own place.
            const uint32_t told =
                static_cast<uint32_t>(two_octets(value, 0) << 16 | two_octets(value, 2));
            std::string zeroed = octets_;
            zeroed.replace(static_cast<std::size_t>(value.data() - octets_.data()), 4, 4, '\0');
            if (crc32c(zeroed) != told) {
                fail("the header's checksum is wrong");
                return false;
            }
        }
        fields.remove_prefix(3 + value.size());
    }
    return true;
}

}  // namespace postrider::receive
