// mail/bounce.h: what a message that came back says, and about whom.
//
// The problem: a report has a form (RFC 3464), and half of the world's hosts have another one: text
// that people were meant to read. Whoever sends lists needs to know from both which address failed,
// how, and for good or for now.
//
// First the form: every part message/delivery-status (or a text with its fields, as some hosts send
// it) gives its recipients. Where a group says nothing but "5.0.0", the text for people is asked
// too. Where there is no such part, the text is read: up to the copy of the original message, the
// addresses in it are the recipients, and what stands after an address is said of it.
//
// Promise
//   1. Any octets are read without an error, in bounded time and memory; what is not understood is
//      not a bounce, or one whose failure is Other.
//   2. Answers that people's programs give (vacation) and complaints (RFC 5965) are told apart.
//   3. What stands in the returned message is never taken for a recipient.
//
// Nothing of it is proof: anybody can write such a message. Whoever acts on it needs a sign of his
// own that it belongs to something he sent.
//
// Threads: pure functions.
// RFC 3464 (fields), RFC 6522 (multipart/report), RFC 6533 (utf-8 addresses), RFC 3834, RFC 5965.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mail/failure_class.h"
#include "mail/outcome.h"

namespace postrider {

inline constexpr std::size_t kBouncedRecipientsMax = 1000;  // further ones are not read

struct BouncedRecipient {
    enum class Action : uint8_t {
        Failed,
        Delayed,
        Delivered,
        Relayed,
        Expanded
    };

    std::string address;   // as written, without brackets; may be none that Mailbox takes
    std::string original;  // Original-Recipient, where it was given
    Action action = Action::Failed;
    EnhancedStatus status;  // {} = none was given
    int reply_code = 0;     // of the host that refused; 0 = none
    FailureClass failure = FailureClass::Other;
    bool permanent = false;
    std::string text;  // what it was taken from, one line, at most kReasonOctetsMax
};

struct Bounce {
    enum class Kind : uint8_t {
        None,            // not about a message that was sent
        Report,          // recipients say what became of it
        Complaint,       // RFC 5965: somebody calls it spam
        AutomaticAnswer  // RFC 3834: a vacation notice and the like
    };

    Kind kind = Kind::None;
    std::vector<BouncedRecipient> recipients;
    std::string envelope_id;  // Original-Envelope-Id
};

Bounce read_bounce(std::string_view message);

std::string_view name(BouncedRecipient::Action action);

}  // namespace postrider
