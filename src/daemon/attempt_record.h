// daemon/attempt_record.h: one attempt to deliver a message, as octets and back.
//
// The problem: what was tried and what was said must be found again by the message's id, in files
// of which a crash may have left the end torn and a bad disk any part changed.
//
// A record (integers little-endian, CRC as in the spool):
//   0   4  octet 1 and "PRA"
//   4   4  length of the payload, at most kAttemptPayloadMax
//   8   8  id of the message
//   16  4  CRC of the payload
//   20  4  CRC of octets 0 to 19
//   24     payload: fields as in docs/spool-format.md (tag 2, length 4, octets)
// Fields: 1 ended at, µs (8) · 2 number (4) · 3 site · 4 sender · 5 result (fields, list) ·
//   6 results left out (4) · 7 dialogue · 8 judgement
// Result: 1 recipient's number (4) · 2 mailbox · 3 state (1, as in the spool) · 4 status: class
// (1),
//   subject (2), detail (2) · 5 kind of failure (1) · 6 reason · 7 detail · 8 remote host
//
// Promise
//   1. A record that was changed or cut is not taken for one; the whole ones around it are found.
//   2. A record is never longer than its limit: results that do not fit are counted, texts are cut.
//
// Threads: values.

#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "mail/attempt.h"
#include "mail/envelope.h"

namespace postrider::daemon {

inline constexpr std::size_t kAttemptHeaderOctets = 24;
inline constexpr std::size_t kAttemptPayloadMax = 128 * 1024;
inline constexpr std::size_t kAttemptsPerMessageMax = 20;  // shown of one message

// What is to be written about an attempt; views, so that the path of a message copies nothing.
struct AttemptNote {
    Wall at;                             // when it ended
    uint32_t number = 0;                 // from 1
    std::string_view site;               // empty: no attempt, but an end without one
    const Envelope* envelope = nullptr;  // for names; may be missing
    std::span<const RecipientResult> results;
    std::optional<RecipientState> state;  // what became of all of them; else as the verdicts say
    std::string_view dialogue;            // "C: ..." and "S: ..." lines
};

// What a result makes of a recipient. A copy that bears the mark of a quarantine and is delivered
// here is quarantined; one that is relayed is the next host's.
RecipientState state_after(const Envelope& envelope, const RecipientResult& result);
std::string_view name(RecipientState state);  // "waiting", "set aside"; for logs and the operator

void append_attempt(std::string& out, MessageId id, const AttemptNote& note);

// The same, read back.
struct AttemptResult {
    uint32_t recipient = 0;
    std::string mailbox;  // empty = was not known
    RecipientState state = RecipientState::Waiting;
    EnhancedStatus status;
    FailureKind kind = FailureKind::Other;
    std::string reason, detail, remote_host;
};
struct AttemptRecord {
    Wall at;
    uint32_t number = 0;
    std::string site, sender;
    std::vector<AttemptResult> results;
    uint32_t left_out = 0;  // results that did not fit
    std::string dialogue;
    std::string judgement;  // judgement_in() of the first recipient's copy
};

// What is known of one message.
struct AttemptStory {
    std::vector<AttemptRecord> attempts;       // the first, which is how it began, and the newest
    std::size_t skipped = 0;                   // between the first and the second of them
    std::map<uint32_t, AttemptResult> newest;  // of each recipient, also from what was skipped

    void add(AttemptRecord record);
    void append(AttemptStory later);
};

// What is cut at the end of a part may go on in the next one; at the end of the file it stays cut.
enum class FilePart : uint8_t {
    Middle,
    End
};

// Adds the records of `wanted` that stand in `octets`, a part of a file. Returns from where to go
// on reading: never 0 when `octets` has room for one record.
std::size_t scan_attempts(std::string_view octets, FilePart part, MessageId wanted,
                          AttemptStory& story);

}  // namespace postrider::daemon
