// mail/envelope.h: what the spool keeps beside a message's content, and what flows to delivery.
//
// One message has one content (header block and body) and one or more variants of how it goes on:
// each with its own prefix (trace fields written at finish), reverse-path and recipients.
// Stored = prefix + header block + body; nothing written by an earlier room is changed by a later.
//
// Recipients are numbered through all variants in order, from 0; outcomes name them by that number.
//
// Threads: values; shared between shards only as std::shared_ptr<const ...>.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "mail/mailbox.h"

namespace postrider {

// RFC 6152, RFC 3030: what the client declared with BODY=.
enum class BodyType : uint8_t {
    SevenBit = 0,
    EightBitMime = 1,
    BinaryMime = 2
};

// RFC 3461 §4.1, as a set. Empty optional = the parameter was not given.
struct DsnNotify {
    bool never = false;
    bool success = false;
    bool failure = false;
    bool delay = false;
    friend bool operator==(const DsnNotify&, const DsnNotify&) = default;
};

enum class DsnReturn : uint8_t {
    Full = 1,
    Headers = 2
};  // RFC 3461 §4.3

struct Recipient {
    Mailbox mailbox;                  // where it goes, after aliases
    std::optional<Mailbox> original;  // as the client named it, when that differs
    std::optional<DsnNotify> notify;  // RFC 3461 §4.1
    std::string orcpt;                // RFC 3461 §4.2, as given: "rfc822;..." xtext; empty = none
    friend bool operator==(const Recipient&, const Recipient&) = default;
};

struct Variant {
    ReversePath reverse_path;
    std::string prefix;  // header fields with CRLF line ends, to stand before the header block
    std::vector<Recipient> recipients;
    friend bool operator==(const Variant&, const Variant&) = default;
};

// Who handed the message in, for trace fields, logs and later "why?".
struct ClientFacts {
    std::string address;  // IP literal text without brackets; empty for a local source
    uint16_t port = 0;
    std::string helo;      // argument of EHLO/HELO/LHLO
    std::string protocol;  // RFC 3848 keyword: SMTP, ESMTP, ESMTPS, ESMTPSA, LMTP...
    std::string tls;       // version and cipher; empty = plaintext
    std::string account;   // authenticated user; empty = none
    friend bool operator==(const ClientFacts&, const ClientFacts&) = default;
};

struct Envelope {
    MessageId id;
    Wall received;
    BodyType body = BodyType::SevenBit;
    bool smtputf8 = false;                // RFC 6531
    bool requiretls = false;              // RFC 8689
    int8_t priority = 0;                  // RFC 6710: -9 to 9
    std::optional<Wall> hold_until;       // RFC 4865
    std::optional<Wall> deliver_by;       // RFC 2852
    bool deliver_by_return = false;       // RFC 2852: mode R (else N)
    bool deliver_by_trace = false;        // RFC 2852: by-trace T
    bool priority_given = false;          // RFC 6758: by parameter or header field
    std::string hold_request;             // RFC 4865 §5.1.2: "for;3600"; empty = none
    std::optional<DsnReturn> dsn_return;  // RFC 3461 §4.3
    std::string dsn_envid;                // RFC 3461 §4.4, as given (xtext); empty = none
    ClientFacts client;
    std::vector<Variant> variants;

    std::size_t recipient_count() const;
    // REQUIRES: number < recipient_count().
    const Recipient& recipient(std::size_t number) const;
    const Variant& variant_of(std::size_t number) const;
    friend bool operator==(const Envelope&, const Envelope&) = default;
};

}  // namespace postrider
