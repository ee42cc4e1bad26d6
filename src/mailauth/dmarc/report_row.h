// mailauth/dmarc/report_row.h: what an aggregate report will say about one message.
//
// A row is complete but for what the message's session knows: source_ip, count, envelope_to.
//
// RFC 9990 §3.1.1.5 to §3.1.1.14, §3.1.3. Threads: values.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mailauth/dmarc/evaluation.h"

namespace postrider::mailauth::dmarc {

inline constexpr std::size_t kReportedSignaturesMax = 100;  // RFC 9990 §3.1.3

// RFC 9990 §3.1.6: why something else was done than the policy says.
struct Override {
    enum class Type : uint8_t {
        LocalPolicy,
        MailingList,
        Other,
        PolicyTestMode,
        TrustedForwarder,
    };
    Type type = Type::Other;
    std::string comment;
    friend bool operator==(const Override&, const Override&) = default;
};
std::string_view name(Override::Type type);  // "local_policy"

struct ReportRow {
    // policy_published
    std::string policy_domain;
    Policy policy = Policy::None;              // p
    Policy subdomain_policy = Policy::None;    // sp, or what stands for it
    Policy nonexistent_policy = Policy::None;  // np, or what stands for it
    std::string failure_options;               // fo
    Alignment dkim_alignment = Alignment::Relaxed;
    Alignment spf_alignment = Alignment::Relaxed;
    bool testing = false;
    std::vector<std::string> problems;  // of the record, for "error"

    // policy_evaluated
    Policy disposition = Policy::None;  // what was done
    bool dkim_aligned = false;
    bool spf_aligned = false;
    std::vector<Override> overrides;  // "reason"

    // identifiers
    std::string header_from;
    std::string envelope_from;  // empty for a null reverse-path

    // auth_results; the signatures most telling first
    std::vector<DkimIdentifier> dkim;
    std::vector<SpfIdentifier> spf;  // one or none
};

// `applied`: what was done with the message because of DMARC. `envelope_from`: the domain of the
// reverse-path. Where something else was done than a failed domain's policy says, there is a reason
// in the row: one of `overrides`, or the test mode, or local policy (RFC 9990 §3.1.1.9).
// REQUIRES: finding.has_record(), and input is what it was found from.
ReportRow report_row(const Finding& finding, const Input& input, std::string envelope_from,
                     Policy applied, std::span<const Override> overrides);

}  // namespace postrider::mailauth::dmarc
