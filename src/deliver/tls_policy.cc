#include "deliver/tls_policy.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace postrider::deliver {

namespace {

constexpr uint16_t kImplicitPort = 465;  // RFC 8314 §7.3

const TlsRule* rule_for(const TlsRules& rules, std::string_view domain) {
    for (const TlsRule& rule : rules.rules) {
        if (std::ranges::find(rule.destinations, domain) != rule.destinations.end()) return &rule;
    }
    return nullptr;
}

// The host's own word, if it has one.
std::optional<TlsPolicy> by_host(const TlsWay& way) {
    HostTls chosen = way.chosen;
    std::string reason = "configured for " + way.host;
    if (chosen == HostTls::Default) {
        if (way.port != kImplicitPort) return std::nullopt;
        chosen = HostTls::Implicit;
        reason = "port 465 is for TLS from the beginning";
    }
    TlsPolicy policy{.reason = std::move(reason)};
    switch (chosen) {
        case HostTls::Implicit:
            policy.comes_first = true;
            [[fallthrough]];
        case HostTls::Verified:
            policy.level = TlsLevel::Verified;
            policy.names = {way.host};
            break;
        case HostTls::Required:
            policy.level = TlsLevel::Required;
            break;
        case HostTls::Opportunistic:
            policy.level = TlsLevel::Opportunistic;
            break;
        default:
            policy.level = TlsLevel::Off;
            break;
    }
    return policy;
}

}  // namespace

std::string_view text_of(TlsLevel level) {
    switch (level) {
        case TlsLevel::Off:
            return "off";
        case TlsLevel::Opportunistic:
            return "opportunistic";
        case TlsLevel::Required:
            return "required";
        case TlsLevel::Verified:
            return "verified";
    }
    return "";
}

std::string TlsPolicy::text() const { return fmt::format("{} ({})", text_of(level), reason); }

// A name that the DNS gave cannot say whose certificate it should be: whoever forges the MX record
// has one for his own host. So under Verified the domain itself must be in the certificate, unless
// the operator has named others.
TlsPolicy tls_policy(const TlsRules& rules, const TlsWay& way) {
    if (way.port == 0) return {.reason = "a Unix socket"};
    if (way.is_chosen) {
        if (std::optional<TlsPolicy> own = by_host(way)) return *std::move(own);
    }
    TlsPolicy policy{.level = rules.level, .reason = "the default"};
    if (const TlsRule* rule = rule_for(rules, way.domain)) {
        policy.level = rule->level;
        policy.names = rule->names;
        policy.reason = "a [[tls_policy]] for " + way.domain;
    }
    if (policy.level != TlsLevel::Verified) {
        policy.names.clear();
    } else if (policy.names.empty()) {
        policy.names = way.is_chosen || way.domain.empty()
                           ? std::vector<std::string>{way.host}
                           : std::vector<std::string>{way.domain, "." + way.domain};
    }
    return policy;
}

std::string tls_group(const TlsRules& rules, std::string_view domain) {
    if (rules.rules.empty() && rules.level != TlsLevel::Verified) return {};
    const TlsRule* rule = rule_for(rules, domain);
    TlsLevel level = rule ? rule->level : rules.level;
    if (level == TlsLevel::Verified && (!rule || rule->names.empty())) return std::string(domain);
    return rule ? fmt::format("{}", rule - rules.rules.data()) : std::string();
}

}  // namespace postrider::deliver
