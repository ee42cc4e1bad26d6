#include "verdict/disposition.h"

#include <fmt/format.h>

#include <algorithm>

namespace postrider::verdict {

namespace {

using mailauth::ResultCode;
using mailauth::dmarc::Override;
using mailauth::dmarc::Policy;

bool is_within(std::string_view name, std::string_view ancestor) {
    return name == ancestor || (name.size() > ancestor.size() && name.ends_with(ancestor) &&
                                name[name.size() - ancestor.size() - 1] == '.');
}

bool holds(const std::vector<world::IpNetwork>& networks, const world::IpAddress& client) {
    return std::ranges::any_of(networks,
                               [&](const auto& network) { return network.contains(client); });
}

bool signed_by_trusted(const Evidence& evidence, const std::vector<std::string>& signers) {
    return std::ranges::any_of(evidence.dkim.signatures, [&](const auto& signature) {
        return signature.code == ResultCode::Pass &&
               std::ranges::find(signers, signature.domain) != signers.end();
    });
}

Action asked_for(Policy policy) { return static_cast<Action>(policy); }
static_assert(static_cast<int>(Policy::Quarantine) == static_cast<int>(Action::Quarantine));
static_assert(static_cast<int>(Policy::Reject) == static_cast<int>(Action::Reject));

void decide_by_dmarc(const Evidence& evidence, const world::IpAddress& client, const Rules& rules,
                     Action most, Disposition& out) {
    const mailauth::dmarc::Finding& dmarc = evidence.dmarc;
    if (dmarc.requested == Policy::None) return;
    bool listed = holds(rules.reject_networks, client) ||
                  std::ranges::any_of(rules.reject_domains, [&](const std::string& domain) {
                      return is_within(dmarc.author_domain, domain);
                  });
    out.action = std::min(asked_for(dmarc.requested), listed ? Action::Reject : most);
    out.applied = static_cast<Policy>(out.action);
    out.reason = fmt::format("DMARC fails for {}, whose policy is {}", dmarc.author_domain,
                             name(dmarc.requested));
    if (out.action < asked_for(dmarc.requested)) {
        out.overrides.push_back(
            {Override::Type::LocalPolicy, "nothing but DMARC stands against it"});
    }
}

}  // namespace

std::string_view name(Action action) {
    switch (action) {
        case Action::Accept:
            return "accept";
        case Action::Quarantine:
            return "quarantine";
        case Action::Reject:
            return "reject";
    }
    return "";
}

Disposition decide(const Evidence& evidence, const world::IpAddress& client, const Rules& rules,
                   std::optional<Action> dmarc) {
    Disposition out;
    bool trusted_client = holds(rules.trusted_networks, client);
    if (trusted_client || signed_by_trusted(evidence, rules.trusted_signers)) {
        if (evidence.dmarc.requested != Policy::None) {
            out.reason = trusted_client ? "the client is trusted" : "a trusted domain signed it";
            out.overrides.push_back(
                {trusted_client ? Override::Type::TrustedForwarder : Override::Type::LocalPolicy,
                 out.reason});
        }
        return out;
    }
    decide_by_dmarc(evidence, client, rules, dmarc.value_or(rules.dmarc), out);
    // RFC 7208 §8.4: the domain itself says that this client may not send for it.
    bool spf_fails = evidence.spf().code == ResultCode::Fail && !evidence.has_signature();
    if (spf_fails && rules.spf_fail_unsigned > out.action) {
        out.action = rules.spf_fail_unsigned;
        out.reason =
            fmt::format("SPF fails for {}, and nobody signed the message", evidence.spf().domain);
    }
    return out;
}

}  // namespace postrider::verdict
