// seal/received.h: the trace field that every message gets when it comes in.
//
// It is how loops are found (hops are counted by it) and how people find out where mail was. Part
// of it comes from the client, so nothing given may break out of its place.
//
//   Received: from HELO (RDNS [IP literal]) by HOST with PROTOCOL (TLS) id ID
//           for <RECIPIENT>; DATE
//
// Promise
//   1. One field, ended by CRLF, lines of at most 78 octets unless one word is longer than that.
//   2. HELO stands as a word of its own only when it is a domain or an address literal; anything
//      else is shown in a comment, with what could harm replaced by "?".
//   3. A recipient is named only when the caller gives one, which it does when there is exactly
//      one: others are nobody's business (RFC 5321 §7.2).
//
// Threads: pure; time is an argument.
// RFC 5321 §4.4 (grammar), RFC 3848 (protocol keywords), RFC 5322 §2.2.3 (folding).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/id.h"
#include "base/time.h"
#include "mail/envelope.h"
#include "mail/mailbox.h"

namespace postrider::seal {

struct ReceivedFacts {
    const ClientFacts& client;
    std::string_view reverse_name;  // confirmed name of the client's address; empty = unknown
    std::string_view host;          // ours
    MessageId id;
    const Mailbox* recipient = nullptr;  // the only one, as the client named it; else null
    std::optional<int8_t> priority;      // RFC 6710 §7; none = not asked for
    Wall at;
    int zone_minutes = 0;  // east of UTC
};

std::string received_field(const ReceivedFacts& facts);

}  // namespace postrider::seal
