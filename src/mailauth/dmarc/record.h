// mailauth/dmarc/record.h: the DMARC Policy Record as a value, and what of it counts.
//
// The problem: a record is written by hand, by all sorts of tools, and partly for the RFC of 2015.
// One wrong letter must not silence a whole policy, nor make one up.
//
// Promise
//   1. A record is one when it begins with v=DMARC1 and no tag stands in it twice; what else is
//      wrong in it is passed over and named in `problems` (RFC 9989 §4.8).
//   2. pct, rf and ri of RFC 7489 are passed over like every unknown tag (RFC 9989 §4.7).
//   3. A missing or wrong "p", or a wrong "sp" or "np", makes the record one of p=none when it asks
//      for reports, and else one under which nothing is done: applies() (RFC 9989 §4.10.1).
//
// RFC 9989 §4.7, §4.8; RFC 6376 §3.2 (tag lists). Threads: values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::mailauth::dmarc {

// RFC 9989 §4.7, "p": from mild to strict.
enum class Policy : uint8_t {
    None,
    Quarantine,
    Reject,
};
std::string_view name(Policy policy);

enum class Alignment : uint8_t {
    Relaxed,
    Strict,
};

// RFC 9989 §4.7, "psd".
enum class PublicSuffix : uint8_t {
    Unknown,  // u
    Yes,      // y
    No,       // n
};

// RFC 9989 §4.7, "fo": when failure reports are asked for.
struct FailureOptions {
    bool any = false;   // "1": when any mechanism gave no aligned pass; else "0": when all did so
    bool dkim = false;  // "d"
    bool spf = false;   // "s"
    friend bool operator==(const FailureOptions&, const FailureOptions&) = default;
};
std::string text(const FailureOptions& options);  // "0:d:s"

struct Record {
    Policy policy = Policy::None;              // p
    std::optional<Policy> subdomain_policy;    // sp
    std::optional<Policy> nonexistent_policy;  // np
    bool testing = false;                      // t=y
    PublicSuffix psd = PublicSuffix::Unknown;
    Alignment dkim_alignment = Alignment::Relaxed;  // adkim
    Alignment spf_alignment = Alignment::Relaxed;   // aspf
    FailureOptions failure_options;                 // fo; the default without "ruf"
    std::vector<std::string> aggregate_uris;        // rua: those that are URIs, without "!size"
    std::vector<std::string> failure_uris;          // ruf: the same
    std::vector<std::string> problems;              // for people and the "error" of a report

    // DMARC is done at all with this record: its policy is right, or reports are asked for.
    bool applies() const { return policy_is_right || !aggregate_uris.empty(); }
    bool policy_is_right = true;

    // Nothing: this text is not a DMARC Policy Record. Any octets.
    static std::optional<Record> parse(std::string_view text);
};

// Begins with v=DMARC1, whatever follows.
bool is_dmarc_record(std::string_view text);

}  // namespace postrider::mailauth::dmarc
