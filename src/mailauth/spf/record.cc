#include "mailauth/spf/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "mailauth/domain.h"
#include "mailauth/ip_address.h"
#include "mailauth/spf/macro.h"

namespace postrider::mailauth::spf {

namespace {

constexpr std::string_view kVersion = "v=spf1";

constexpr std::pair<std::string_view, Mechanism> kMechanisms[] = {
    {"all", Mechanism::All}, {"include", Mechanism::Include}, {"a", Mechanism::A},
    {"mx", Mechanism::Mx},   {"ptr", Mechanism::Ptr},         {"ip4", Mechanism::Ip4},
    {"ip6", Mechanism::Ip6}, {"exists", Mechanism::Exists},
};

// What people write, and what they mean.
constexpr std::pair<std::string_view, std::string_view> kMistakes[] = {
    {"ip", "ip4"},   {"ipv4", "ip4"},         {"ipv6", "ip6"},
    {"prt", "ptr"},  {"all.", "all"},         {"redirect", "redirect="},
    {"exp", "exp="}, {"includes", "include"}, {"incude", "include"},
};

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }

std::unexpected<Error> bad(std::string_view term, std::string_view why) {
    return fail(fmt::format("\"{}\" {}", shown(term), why));
}

// RFC 7208 §4.6.1: a modifier's name = ALPHA *( ALPHA / DIGIT / "-" / "_" / "." ), and "=" right
// behind it. Gives the name's length, or 0 when the term is no modifier.
std::size_t modifier_name(std::string_view term) {
    if (term.empty() || !is_alpha(term.front())) return 0;
    std::size_t end = 1;
    while (end < term.size() &&
           (is_alpha(term[end]) || is_digit(term[end]) ||
            std::string_view("-_.").find(term[end]) != std::string_view::npos)) {
        end++;
    }
    return end < term.size() && term[end] == '=' ? end : 0;
}

// RFC 7208 §5.6: "/" ("0" / %x31-39 *DIGIT) at the end of `text`, with that many slashes before it.
// Takes it away and gives the number; nothing when there is none of this form.
std::optional<unsigned> take_cidr(std::string_view& text, std::string_view slashes) {
    std::size_t begin = text.size();
    while (begin > 0 && is_digit(text[begin - 1])) begin--;
    const std::string_view digits = text.substr(begin);
    if (digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits.front() == '0')) {
        return std::nullopt;
    }
    if (!text.substr(0, begin).ends_with(slashes)) return std::nullopt;
    unsigned value = 0;
    for (const char c : digits) value = value * 10 + unsigned(c - '0');
    text = text.substr(0, begin - slashes.size());
    return value;
}

// dual-cidr-length = [ ip4-cidr-length ] [ "/" ip6-cidr-length ]
Status<> take_dual_cidr(std::string_view term, std::string_view& argument, Directive& directive) {
    if (const auto bits = take_cidr(argument, "//")) {
        if (*bits > 128) return bad(term, "has an IPv6 prefix longer than 128 bits");
        directive.cidr6 = static_cast<uint8_t>(*bits);
    }
    if (const auto bits = take_cidr(argument, "/")) {
        if (*bits > 32) return bad(term, "has an IPv4 prefix longer than 32 bits");
        directive.cidr4 = static_cast<uint8_t>(*bits);
    }
    return {};
}

// [ ":" domain-spec ], or with ":" demanded.
Status<> take_domain_spec(std::string_view term, std::string_view argument, Directive& directive) {
    const bool optional = directive.mechanism == Mechanism::A ||
                          directive.mechanism == Mechanism::Mx ||
                          directive.mechanism == Mechanism::Ptr;
    if (argument.empty() && optional) return {};
    if (argument.empty()) return bad(term, R"(needs ":" and a domain)");
    if (argument.front() != ':') return bad(term, "has a prefix length that cannot be read");
    argument.remove_prefix(1);
    if (auto right = check_macros(argument, MacroPlace::DomainSpec); !right) {
        if (argument.empty()) return bad(term, R"(names no domain behind ":")");
        if (argument.ends_with(',')) return bad(term, "ends in a comma; spaces separate terms");
        return bad(term, fmt::format("has a domain that {}", right.error().message));
    }
    directive.domain_spec = argument;
    return {};
}

Status<> take_network(std::string_view term, std::string_view argument, Directive& directive) {
    if (argument.empty() || argument.front() != ':') {
        return bad(term, R"(needs ":" and a network)");
    }
    argument.remove_prefix(1);
    const bool v6 = directive.mechanism == Mechanism::Ip6;
    if (const auto bits = take_cidr(argument, "/")) {
        if (*bits > (v6 ? 128U : 32U)) {
            return bad(term, fmt::format("has a prefix longer than {} bits", v6 ? 128 : 32));
        }
        (v6 ? directive.cidr6 : directive.cidr4) = static_cast<uint8_t>(*bits);
    }
    if (v6) {
        const auto octets = parse_ipv6_octets(argument);
        if (!octets) return bad(term, "does not name an IPv6 network");
        directive.network = *octets;
        return {};
    }
    const auto address = IpAddress::parse(argument);
    if (!address || address->is_v6() || argument.find(':') != std::string_view::npos) {
        return bad(term, "does not name an IPv4 network");
    }
    std::ranges::copy(address->octets(), directive.network.begin());
    return {};
}

ResultCode take_qualifier(std::string_view& term) {
    const char first = term.empty() ? '\0' : term.front();
    if (std::string_view("+-~?").find(first) == std::string_view::npos || first == '\0') {
        return ResultCode::Pass;
    }
    term.remove_prefix(1);
    switch (first) {
        case '-':
            return ResultCode::Fail;
        case '~':
            return ResultCode::SoftFail;
        case '?':
            return ResultCode::Neutral;
        default:
            return ResultCode::Pass;
    }
}

std::unexpected<Error> unknown_mechanism(std::string_view term, std::string_view name) {
    for (const auto& [mistake, meant] : kMistakes) {
        if (equal_ignoring_case(name, mistake)) {
            return bad(term, fmt::format("is no mechanism; \"{}\" may be meant", meant));
        }
    }
    if (IpAddress::parse(term)) return bad(term, R"(is an address without "ip4:" or "ip6:")");
    return bad(term, "is no mechanism");
}

Result<Directive> parse_directive(std::string_view term) {
    Directive directive;
    directive.text = term;
    std::string_view rest = term;
    directive.result = take_qualifier(rest);
    const std::size_t end = std::min(rest.find_first_of(":/"), rest.size());
    const std::string_view name = rest.substr(0, end);
    std::string_view argument = rest.substr(end);
    const auto* known = std::ranges::find_if(
        kMechanisms, [&](const auto& entry) { return equal_ignoring_case(name, entry.first); });
    if (known == std::end(kMechanisms)) return unknown_mechanism(term, name);
    directive.mechanism = known->second;

    Status<> status;
    switch (directive.mechanism) {
        case Mechanism::All:
            if (!argument.empty()) status = bad(term, R"(has more than "all")");
            break;
        case Mechanism::A:
        case Mechanism::Mx:
            status = take_dual_cidr(term, argument, directive);
            if (status) status = take_domain_spec(term, argument, directive);
            break;
        case Mechanism::Include:
        case Mechanism::Ptr:
        case Mechanism::Exists:
            status = take_domain_spec(term, argument, directive);
            break;
        case Mechanism::Ip4:
        case Mechanism::Ip6:
            status = take_network(term, argument, directive);
            break;
    }
    if (!status) return std::unexpected(status.error());
    return directive;
}

// RFC 7208 §6: "redirect" and "exp" at most once; others are ignored, but are macro strings.
Status<> parse_modifier(std::string_view term, std::size_t name_size, Record& record) {
    const std::string_view name = term.substr(0, name_size);
    const std::string_view value = term.substr(name_size + 1);
    const bool redirect = equal_ignoring_case(name, "redirect");
    const bool explanation = equal_ignoring_case(name, "exp");
    if (!redirect && !explanation) {
        if (auto right = check_macros(value, MacroPlace::MacroString); !right) {
            return bad(term, right.error().message);
        }
        return {};
    }
    auto& place = redirect ? record.redirect : record.explanation;
    if (place) return bad(term, fmt::format("is a second \"{}\"", ascii_lower(name)));
    if (auto right = check_macros(value, MacroPlace::DomainSpec); !right) {
        return bad(term, fmt::format("has a domain that {}", right.error().message));
    }
    place = value;
    return {};
}

}  // namespace

bool is_spf_record(std::string_view text) {
    return text.size() >= kVersion.size() &&
           equal_ignoring_case(text.substr(0, kVersion.size()), kVersion) &&
           (text.size() == kVersion.size() || text[kVersion.size()] == ' ');
}

bool asks_dns(Mechanism mechanism) {
    return mechanism != Mechanism::All && mechanism != Mechanism::Ip4 &&
           mechanism != Mechanism::Ip6;
}

Result<Record> Record::parse(std::string_view text) {
    Record record;
    std::string_view rest = text.substr(std::min(kVersion.size(), text.size()));
    // RFC 7208 §4.6.1: terms = *( 1*SP ( directive / modifier ) ); only spaces separate.
    while (!rest.empty()) {
        if (rest.front() == ' ') {
            rest.remove_prefix(1);
            continue;
        }
        const std::size_t end = std::min(rest.find(' '), rest.size());
        const std::string_view term = rest.substr(0, end);
        rest.remove_prefix(end);
        if (const std::size_t name_size = modifier_name(term)) {
            if (auto right = parse_modifier(term, name_size, record); !right) {
                return std::unexpected(right.error());
            }
            continue;
        }
        auto directive = parse_directive(term);
        if (!directive) return std::unexpected(directive.error());
        if (!record.has_all) record.directives.push_back(*directive);
        record.has_all = record.has_all || directive->mechanism == Mechanism::All;
    }
    return record;
}

}  // namespace postrider::mailauth::spf
