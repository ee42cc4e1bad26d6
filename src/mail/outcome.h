// mail/outcome.h: how a recipient of an accepted message ends, or does not yet.
//
// Every accepted recipient ends in exactly one of the final states. Waiting is the only state that
// is not final.
//
// The numbers are written to disk and never change their meaning (docs/spool-format.md).
// Threads: values.

#pragma once

#include <cstdint>
#include <string>

#include "base/id.h"
#include "base/time.h"

namespace postrider {

enum class RecipientState : uint8_t {
    Waiting = 0,
    Delivered = 1,  // durably in its mailbox
    Relayed = 2,    // the next host took responsibility
    Failed = 3,     // for good; a report was made or none was owed
    Expanded = 4,   // replaced by other recipients or a new message
    Quarantined = 5,
    Removed = 6,   // by a named operator
    SetAside = 7,  // damaged or poisonous; the operator was told
};

inline bool is_final(RecipientState state) { return state != RecipientState::Waiting; }

// RFC 3463: class.subject.detail.
struct EnhancedStatus {
    uint8_t klass = 0;
    uint16_t subject = 0;
    uint16_t detail = 0;

    std::string text() const {
        return std::to_string(klass) + "." + std::to_string(subject) + "." + std::to_string(detail);
    }
    friend bool operator==(const EnhancedStatus&, const EnhancedStatus&) = default;
};

// One change of one recipient's state, to be written to the log of the spool.
struct RecipientChange {
    MessageId id;
    uint32_t recipient = 0;  // number, see envelope.h
    RecipientState state = RecipientState::Waiting;
    EnhancedStatus status;
    std::string reason;       // bounded; what was said by the other side or by us
    uint32_t attempts = 0;    // tried so far
    Wall next_attempt;        // for Waiting
    Wall at;                  // when this was decided
    bool delay_told = false;  // the sender was told that it is late; once said, it stays

    friend bool operator==(const RecipientChange&, const RecipientChange&) = default;
};

}  // namespace postrider
