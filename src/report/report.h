// report/report.h: tells a sender what became of the message: a delivery status notification.
//
// A person reads the first part and understands what happened, to whom and what can be done;
// programs read the second (message/delivery-status); the third returns the message or its header.
//
// Promise
//   1. Never a report about a message with a null reverse-path, and none that NOTIFY forbids
//      (RFC 3461 §4.1, RFC 5321 §6.1); the report itself has the null reverse-path.
//   2. What strangers wrote (replies of hosts, addresses) cannot break out of its place, and every
//      line is shorter than 998 octets.
//   3. The returned message is capped: whole up to kReturnedOctetsMax, else its header block alone;
//      that alone too when nothing failed.
//
// Pure: id and time are arguments. Threads: any.
// RFC 3464 (form), RFC 6522 (multipart/report), RFC 3461 §6 (when, and which fields), RFC 3463,
// RFC 6533 (international addresses), RFC 3834 (Auto-Submitted).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "mail/attempt.h"
#include "mail/envelope.h"

namespace postrider::report {

inline constexpr std::size_t kReturnedOctetsMax = 64 * 1024;

enum class Kind : uint8_t {
    Failure,  // for good
    Delay,    // still trying
    Success,  // delivered or relayed, as the sender asked to be told (RFC 3461 §5.2.2, §5.2.3)
};

struct Facts {
    Kind kind = Kind::Failure;
    const Envelope& original;              // the message that is reported about
    std::vector<RecipientResult> results;  // the recipients concerned
    // The original's content: all of it if it has at most kReturnedOctetsMax, else at least its
    // header block, cut at kReturnedOctetsMax.
    std::string_view content;
    uint64_t content_octets = 0;  // how much there is in truth
    uint32_t header_octets = 0;   // of the header block, with its empty line
    bool has_8bit = false;
    std::optional<Wall> retry_until;  // Delay: when we shall give up

    MessageId id;               // of the report
    std::string_view hostname;  // ours
    Wall now;
};

struct Report {
    Envelope envelope;  // null reverse-path, one recipient: the original's sender
    std::string content;
    uint32_t header_octets = 0;
};

// None: no report is owed for any of the results.
std::optional<Report> compose(const Facts& facts);

// Whether `recipient` of `original` is owed a report of this kind.
bool is_owed(const Envelope& original, uint32_t recipient, Kind kind);
// The same for what became of a recipient: Success only if no other host will tell it.
bool is_owed(const Envelope& original, const RecipientResult& result, Kind kind);

}  // namespace postrider::report
