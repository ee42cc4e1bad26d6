// mail/attempt.h: what one try to deliver gives back, for each recipient that was tried.
//
// Delivery says what happened, the queue decides when to try again, reports tell it to people; all
// three use these words.
//
// A recipient that was to be tried and has no result was not reached: it goes on waiting.
// Threads: values.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "mail/outcome.h"

namespace postrider {

// What stood in the way. It chooses the row of the retry schedule and says whether the site as a
// whole (Connection to Dns) or only this message or mailbox was the matter.
enum class FailureKind : uint8_t {
    Other = 0,          // none of the others, or no failure
    Connection,         // no connection, or it broke before the message was answered
    Greeting,           // 4yz or nothing instead of a greeting, 421 at any point
    Tls,                // no TLS where it was asked for
    Dns,                // the destination could not be looked up for now
    Mail4yz,            // 4yz to MAIL or to the message as a whole
    TooManyRecipients,  // 452 to RCPT after others were taken: RFC 5321 §4.5.3.1.10
    Greylisted,         // 4yz that asks to come again soon: RFC 6647
    Mailbox,            // this mailbox cannot be used for now, or does not exist
    Full,               // no space: 4.2.2, 4.3.1
    Policy,             // refused by a rule: X.7.z
};
inline constexpr std::size_t kFailureKindCount = 11;

std::string_view name(FailureKind kind);  // CamelCase, for logs and the operator

struct RecipientResult {
    enum class Verdict : uint8_t {
        Delivered,  // durably in its mailbox
        Relayed,    // the next host took responsibility
        Temporary,  // try again
        Permanent,  // never
    };

    uint32_t recipient = 0;  // number, see envelope.h
    Verdict verdict = Verdict::Temporary;
    EnhancedStatus status;
    int reply_code = 0;  // of the next host; 0 = none
    std::string reason;  // one line that may be shown to the sender; may come from outside
    std::string detail;  // for the operator only: paths, the system's words
    FailureKind kind = FailureKind::Other;
    std::string remote_host;  // who said so; empty = we did
    // Relayed to a host that took over what the sender asked to be told (RFC 3461 §5.2.1).
    bool dsn_handed_on = false;
    // Relayed, and its sender is told so even if it did not ask by NOTIFY (RFC 2852 §4.1.4).
    bool tell_relayed = false;

    bool is_final() const { return verdict != Verdict::Temporary; }
    friend bool operator==(const RecipientResult&, const RecipientResult&) = default;
};

}  // namespace postrider
