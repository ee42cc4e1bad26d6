#include "mailauth/dmarc/report_row.h"

#include <array>
#include <cassert>
#include <utility>

namespace postrider::mailauth::dmarc {

namespace {

// RFC 9990 §3.1.3: passes in strict, then in relaxed alignment, other passes, the rest. Which pass
// is aligned in the relaxed way is known for names below the Organizational Domain only.
constexpr int kRankMax = 3;
int rank(const DkimIdentifier& signature, const Finding& finding) {
    if (signature.result != ResultCode::Pass) return kRankMax;
    if (signature.domain == finding.author_domain) return 0;
    const std::string& top = finding.organizational_domain;
    const bool below =
        !top.empty() && (signature.domain == top || signature.domain.ends_with("." + top));
    return below ? 1 : 2;
}

}  // namespace

std::string_view name(Override::Type type) {
    constexpr std::array<std::string_view, 5> kNames = {"local_policy", "mailing_list", "other",
                                                        "policy_test_mode", "trusted_forwarder"};
    return kNames[static_cast<std::size_t>(type)];
}

ReportRow report_row(const Finding& finding, const Input& input, std::string envelope_from,
                     Policy applied, std::span<const Override> overrides) {
    assert(finding.has_record());
    const Record& record = finding.record;
    ReportRow row;
    row.policy_domain = finding.policy_domain;
    row.policy = record.policy;
    row.subdomain_policy = record.subdomain_policy.value_or(record.policy);
    row.nonexistent_policy = record.nonexistent_policy.value_or(row.subdomain_policy);
    row.failure_options = text(record.failure_options);
    row.dkim_alignment = record.dkim_alignment;
    row.spf_alignment = record.spf_alignment;
    row.testing = record.testing;
    row.problems = record.problems;

    row.disposition = applied;
    row.dkim_aligned = finding.dkim_aligned;
    row.spf_aligned = finding.spf_aligned;
    row.overrides.assign(overrides.begin(), overrides.end());
    if (finding.code == ResultCode::Fail && applied != finding.policy && row.overrides.empty()) {
        // RFC 9990 §3.1.1.9, §3.1.6.
        const bool tested = finding.record.testing && applied == finding.requested;
        row.overrides.push_back(
            {tested ? Override::Type::PolicyTestMode : Override::Type::LocalPolicy, {}});
    }

    row.header_from = finding.author_domain;
    row.envelope_from = std::move(envelope_from);
    for (int wanted = 0; wanted <= kRankMax; wanted++) {
        for (const DkimIdentifier& signature : input.dkim) {
            if (row.dkim.size() == kReportedSignaturesMax) break;
            if (rank(signature, finding) == wanted) row.dkim.push_back(signature);
        }
    }
    if (input.spf) row.spf.push_back(*input.spf);
    return row;
}

}  // namespace postrider::mailauth::dmarc
