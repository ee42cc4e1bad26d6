// smtp/capabilities.h: what the other server says it can do, from its answer to EHLO or LHLO.
//
// Each line behind the first names an extension, with parameters or without. Known ones become
// fields; the names of unknown ones are kept, bounded, for the operator. A line that does not
// follow its extension's grammar counts as if the extension were not offered: less is then asked of
// the server, never more.
//
// Threads: values.
// RFC 5321 §4.1.1.1 (form); the RFC of each extension stands beside its field.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "smtp/reply.h"

namespace postrider::smtp {

// RFC 9422 §4. Empty = no such limit.
struct PeerLimits {
    std::optional<uint32_t> mail_max;         // MAIL commands in one session
    std::optional<uint32_t> rcpt_max;         // RCPT commands in one transaction
    std::optional<uint32_t> rcpt_domain_max;  // domains of RCPT commands in one session

    friend bool operator==(const PeerLimits&, const PeerLimits&) = default;
};

struct Capabilities {
    bool extended = false;  // the peer took EHLO or LHLO; all below is empty otherwise
    std::string name;       // the domain that it calls itself

    bool size = false;                   // RFC 1870
    uint64_t size_octets = 0;            // largest message; 0 = no fixed limit
    bool eight_bit_mime = false;         // RFC 6152
    bool pipelining = false;             // RFC 2920
    bool chunking = false;               // RFC 3030
    bool binary_mime = false;            // RFC 3030
    bool dsn = false;                    // RFC 3461
    bool smtputf8 = false;               // RFC 6531
    bool enhanced_status_codes = false;  // RFC 2034
    bool starttls = false;               // RFC 3207
    bool requiretls = false;             // RFC 8689
    bool mt_priority = false;            // RFC 6710
    std::string mt_priority_profile;     // its profile; empty = MIXER
    bool deliver_by = false;             // RFC 2852
    std::optional<Duration> deliver_by_min;
    bool future_release = false;  // RFC 4865
    std::optional<Duration> future_release_max;
    std::vector<std::string> auth;     // RFC 4954: mechanisms, upper case
    PeerLimits limits;                 // RFC 9422
    std::vector<std::string> unknown;  // keywords as given

    static constexpr std::size_t kUnknownMax = 32;
    static constexpr std::size_t kAuthMechanismsMax = 32;

    // REQUIRES: `reply` is a 2yz answer to EHLO or LHLO.
    static Capabilities parse(const Reply& reply);

    friend bool operator==(const Capabilities&, const Capabilities&) = default;
};

}  // namespace postrider::smtp
