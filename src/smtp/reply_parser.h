// smtp/reply_parser.h: octets of a server in, replies out.
//
// Servers cut their replies anywhere, end lines loosely, leave texts out and sometimes answer
// nonsense. Here a reply is either whole and well-formed, or an error that says what was seen.
//
// Taken as it is seen in the wild, though the grammar is stricter: LF without CR; "250" with no
// blank behind it; a tab instead of the blank; codes of any three digits from 200 to 599; the
// enhanced status code on some lines only. Not taken: lines with differing codes (RFC 5321 §4.2.1),
// codes outside of 200 to 599, any other octet behind the code.
//
// Promise
//   1. Any cut of the input gives the same replies and the same error.
//   2. Memory is bounded: line octets, lines and octets of a reply, whatever the peer sends.
//   3. Text holds no control character but tab and the '\n' between its lines (each other one
//   became
//      '?'), so it can be logged and quoted in a report. Octets above 126 are kept.
//   4. The first error is final: every later call gives it again.
//
// Threads: one at a time.
// RFC 5321 §4.2.1 (form), §4.5.3.1.5 (length); RFC 2034 §4 and RFC 3463 §2 (enhanced status codes).

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "smtp/reply.h"

namespace postrider::smtp {

// RFC 5321 §4.5.3.1.5 allows a line 512 octets; longer ones are seen and do no harm.
inline constexpr std::size_t kReplyLineOctetsTaken = 4096;  // without the line end
inline constexpr std::size_t kReplyLinesMax = 256;
inline constexpr std::size_t kReplyOctetsMax = 16 * 1024;  // of all its lines

struct ReplyError {
    enum class Kind : uint8_t {
        BadCode,       // a line does not begin with a code from 200 to 599
        BadSeparator,  // neither '-' nor a blank behind the code
        CodeChanged,   // lines of one reply with differing codes
        TooLong,       // one of the bounds above
    };
    Kind kind = Kind::BadCode;
    std::string seen;  // the offending line's beginning, at most 80 octets, printable ASCII

    // "malformed reply (code changed within it): 250 ok"
    std::string text() const;
    friend bool operator==(const ReplyError&, const ReplyError&) = default;
};

class ReplyParser {
public:
    // Takes from the front of `input` up to the end of one reply. Nothing: more input is needed
    // (then `input` is empty).
    Result<std::optional<Reply>, ReplyError> next(std::string_view& input);

    // Octets of an unfinished reply were taken.
    bool in_reply() const { return lines_ > 0 || !line_.empty(); }

private:
    Result<bool, ReplyError> take_line(std::string_view line);
    void append_text(std::string_view text);
    std::unexpected<ReplyError> broken(ReplyError::Kind kind, std::string_view line);

    std::string line_;  // beginning of a line whose end has not come
    Reply reply_;       // lines so far
    std::size_t lines_ = 0;
    std::size_t octets_ = 0;
    std::optional<ReplyError> error_;
};

// The enhanced status code at the beginning of `text`, if its class is the reply code's first digit
// and a blank or the end follows; takes it and the blank away from `text`.
std::optional<EnhancedStatus> take_enhanced_status(uint16_t code, std::string_view& text);

// `octets` made fit for a log: at most `max` octets, all that is not printable ASCII became '?'.
std::string printable(std::string_view octets, std::size_t max);

}  // namespace postrider::smtp
