// deliver/tls_policy.h: whether an attempt uses TLS, and what it asks of the other side.
//
// The one place where this is decided, from what was configured and where the mail goes. Pure. What
// other sources say later (a domain's DANE records or MTA-STS policy, a message's REQUIRETLS) joins
// here: each can only raise the level.
//
// Promise: what is not Off and not Opportunistic never ends in plaintext; who drives the attempt
// asks allows_plaintext() and nothing else.
//
// Threads: values.
// RFC 3207 (STARTTLS), RFC 7435 (opportunistic security), RFC 8314 §3 (TLS before the greeting).

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::deliver {

enum class TlsLevel : uint8_t {
    Off,            // never
    Opportunistic,  // where it works, with any certificate; else plaintext
    Required,       // with any certificate; else the mail waits
    Verified,       // with a certificate that leads to a root and bears a name; else the mail waits
};
std::string_view text_of(TlsLevel level);

struct TlsPolicy {
    TlsLevel level = TlsLevel::Off;
    bool comes_first = false;        // TLS before the greeting, without STARTTLS
    std::vector<std::string> names;  // under Verified; ".example.net" is any host below
    std::string reason;              // what decided, for the operator

    bool allows_plaintext() const { return level <= TlsLevel::Opportunistic; }
    // "verified (a [[tls_policy]] for example.net)", for the attempt's dialogue.
    std::string text() const;
};

// For domains of recipients, whatever hosts they have.
struct TlsRule {
    std::vector<std::string> destinations;  // as route::domain_key() gives them
    TlsLevel level = TlsLevel::Opportunistic;
    std::vector<std::string> names;  // empty: the domain, and any host below it
};

// Of one host that was chosen by the operator.
enum class HostTls : uint8_t {
    Default,  // Implicit at port 465, else as for all others
    Off,
    Opportunistic,
    Required,
    Verified,
    Implicit,  // TLS first, verified
};

struct TlsRules {
    TlsLevel level = TlsLevel::Opportunistic;  // where nothing else is said
    std::vector<TlsRule> rules;                // the first that matches
};

// Where an attempt goes.
struct TlsWay {
    std::string domain;      // of the recipients, as route::domain_key() gives it; may be empty
    std::string host;        // its name, or its address as text
    uint16_t port = 25;      // 0 for a Unix socket
    bool is_chosen = false;  // by the operator, not by MX records
    HostTls chosen = HostTls::Default;  // where is_chosen
};

TlsPolicy tls_policy(const TlsRules& rules, const TlsWay& way);

// Recipients' domains with the same group may share a connection.
std::string tls_group(const TlsRules& rules, std::string_view domain);

}  // namespace postrider::deliver
