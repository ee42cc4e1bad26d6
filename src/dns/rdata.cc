#include "dns/rdata.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>

namespace postrider::dns {

namespace {

using Wire = std::span<const uint8_t>;

std::string_view as_text(Wire wire) {
    return {reinterpret_cast<const char*>(wire.data()), wire.size()};
}

template <typename Address>
std::optional<Rdata> parse_address(Wire wire) {
    Address address;
    if (wire.size() != address.octets.size()) return std::nullopt;
    std::copy(wire.begin(), wire.end(), address.octets.begin());
    return address;
}

// A name that fills the rest.
std::optional<Name> parse_name(Wire wire) {
    std::size_t at = 0;
    auto found = Name::from_wire(wire, at);
    if (!found || at != wire.size()) return std::nullopt;
    return found;
}

template <typename Alias>
std::optional<Rdata> parse_alias(Wire wire) {
    auto target = parse_name(wire);
    if (!target) return std::nullopt;
    return Alias{std::move(*target)};
}

// RFC 1035 §3.3.9
std::optional<Rdata> parse_mx(Wire wire) {
    if (wire.size() < 3) return std::nullopt;
    auto exchange = parse_name(wire.subspan(2));
    if (!exchange) return std::nullopt;
    return Mx{static_cast<uint16_t>(wire[0] << 8 | wire[1]), std::move(*exchange)};
}

// RFC 1035 §3.3.14: one or more character-strings.
std::optional<Rdata> parse_txt(Wire wire) {
    if (wire.empty()) return std::nullopt;
    Txt txt;
    while (!wire.empty()) {
        std::size_t length = wire[0];
        if (length > wire.size() - 1) return std::nullopt;
        txt.text += as_text(wire.subspan(1, length));
        wire = wire.subspan(1 + length);
    }
    return txt;
}

// RFC 6698 §2.1: data may have any length, but an empty one could match nothing.
std::optional<Rdata> parse_tlsa(Wire wire) {
    if (wire.size() < 4) return std::nullopt;
    return Tlsa{wire[0], wire[1], wire[2], std::string(as_text(wire.subspan(3)))};
}

template <std::size_t size>
std::string address_text(int family, const std::array<uint8_t, size>& octets) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    ::inet_ntop(family, octets.data(), text.data(), text.size());
    return text.data();
}

// A zone file's quoted string: RFC 1035 §5.1.
std::string quoted(std::string_view octets) {
    std::string out = "\"";
    for (char c : octets) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c >= ' ' && c < 127) {
            out += c;
        } else {
            fmt::format_to(std::back_inserter(out), "\\{:03}", static_cast<uint8_t>(c));
        }
    }
    return out + '"';
}

struct Text {
    std::string operator()(const A& a) const { return address_text(AF_INET, a.octets); }
    std::string operator()(const Aaaa& a) const { return address_text(AF_INET6, a.octets); }
    std::string operator()(const Mx& mx) const {
        return fmt::format("{} {}", mx.preference, mx.exchange.text());
    }
    std::string operator()(const Cname& cname) const { return cname.target.text(); }
    std::string operator()(const Ptr& ptr) const { return ptr.target.text(); }
    std::string operator()(const Txt& txt) const { return quoted(txt.text); }
    std::string operator()(const Tlsa& tlsa) const {
        std::string out = fmt::format("{} {} {} ", tlsa.usage, tlsa.selector, tlsa.matching_type);
        for (char c : tlsa.data) {
            fmt::format_to(std::back_inserter(out), "{:02x}", static_cast<uint8_t>(c));
        }
        return out;
    }
};

struct TypeOf {
    Type operator()(const A&) const { return Type::A; }
    Type operator()(const Aaaa&) const { return Type::Aaaa; }
    Type operator()(const Mx&) const { return Type::Mx; }
    Type operator()(const Cname&) const { return Type::Cname; }
    Type operator()(const Ptr&) const { return Type::Ptr; }
    Type operator()(const Txt&) const { return Type::Txt; }
    Type operator()(const Tlsa&) const { return Type::Tlsa; }
};

}  // namespace

std::string_view name(Type type) {
    switch (type) {
        case Type::A:
            return "A";
        case Type::Cname:
            return "CNAME";
        case Type::Ptr:
            return "PTR";
        case Type::Mx:
            return "MX";
        case Type::Txt:
            return "TXT";
        case Type::Aaaa:
            return "AAAA";
        case Type::Tlsa:
            return "TLSA";
    }
    return "?";
}

Type type_of(const Rdata& rdata) { return std::visit(TypeOf{}, rdata); }

std::string text(const Rdata& rdata) { return std::visit(Text{}, rdata); }

std::optional<Rdata> parse_rdata(Type type, std::span<const uint8_t> wire) {
    switch (type) {
        case Type::A:
            return parse_address<A>(wire);
        case Type::Cname:
            return parse_alias<Cname>(wire);
        case Type::Ptr:
            return parse_alias<Ptr>(wire);
        case Type::Mx:
            return parse_mx(wire);
        case Type::Txt:
            return parse_txt(wire);
        case Type::Aaaa:
            return parse_address<Aaaa>(wire);
        case Type::Tlsa:
            return parse_tlsa(wire);
    }
    return std::nullopt;
}

}  // namespace postrider::dns
