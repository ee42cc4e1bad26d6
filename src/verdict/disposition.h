// verdict/disposition.h: what is done with a message, for one recipient, and why.
//
// The problem: RFC 9989 §7.4 and §8 forbid to refuse a message only because its author's domain
// asks for it (lists and forwarders break what is true), and want what is known besides to count.
// So by default a failed message is quarantined; who knows better says so in the configuration.
//
// In this order
//   1. From a network, or signed by a domain, that is trusted: accepted.
//   2. DMARC fails and the author's domain asks for something: what `dmarc` allows of it; all of it
//      for clients of reject_networks and authors of reject_domains.
//   3. SPF says fail (-all) and there is no signature at all: `spf_fail_unsigned`.
// The stricter of 2 and 3 is done.
//
// Threads: pure functions over values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "mailauth/dmarc/report_row.h"
#include "verdict/evidence.h"
#include "world/net.h"

namespace postrider::verdict {

// From mild to strict. For "dmarc" the most that is done of what the author's domain asks for.
enum class Action : uint8_t {
    Accept,
    Quarantine,
    Reject
};
std::string_view name(Action action);  // "accept", "quarantine", "reject"

struct Rules {
    Action dmarc = Action::Quarantine;
    Action spf_fail_unsigned = Action::Accept;
    std::vector<std::string> reject_domains;        // of authors, with all below; A-labels
    std::vector<world::IpNetwork> reject_networks;  // of clients
    std::vector<world::IpNetwork> trusted_networks;
    std::vector<std::string> trusted_signers;  // d= of a passing signature; A-labels
};

struct Disposition {
    Action action = Action::Accept;
    std::string reason;  // half a sentence; empty when nothing stood against the message
    // Because of DMARC alone, and why something else than the policy says: for the report's row.
    mailauth::dmarc::Policy applied = mailauth::dmarc::Policy::None;
    std::vector<mailauth::dmarc::Override> overrides;
};

// `dmarc`: of the recipient's domain, where it differs from the rules.
Disposition decide(const Evidence& evidence, const world::IpAddress& client, const Rules& rules,
                   std::optional<Action> dmarc);

}  // namespace postrider::verdict
