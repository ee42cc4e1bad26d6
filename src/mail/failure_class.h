// mail/failure_class.h: what a refusal means, whoever words it how.
//
// The problem: RFC 5321 gives three digits, RFC 3463 three more, and the one sentence behind them
// is what a thousand programs and providers made of it. An operator wants to know "is the address
// dead, the mailbox full, are we taken for a spammer?", and so does the list of addresses that are
// not written to again. A reply that a next host gives at delivery and a line in a bounce are
// judged here alike: code, status and words.
//
// Promise
//   1. The rules are a table (failure_rules.inc), read from the top; the first that fits decides.
//      What is sure stands above what is likely, and status and code, which many set without
//      thought, are asked where the words say nothing.
//   2. Only what says that a mailbox or a domain does not exist is called so: hard bounces have
//      consequences, and a doubtful one is Other.
//   3. Time is linear in the text for each rule, and the text is bounded (kJudgedOctetsMax).
//
// Threads: pure functions.
// RFC 3463, RFC 5248 and the IANA registry (enhanced status codes); RFC 5321 §4.2.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "mail/attempt.h"
#include "mail/outcome.h"

namespace postrider {

// The numbers are written to disk and never change their meaning.
enum class FailureClass : uint8_t {
    Other = 0,       // none of these, or not told
    BadMailbox = 1,  // there is no such mailbox
    BadDomain = 2,   // there is no such domain, or it takes no mail
    Inactive = 3,    // the mailbox is there and was switched off
    Full = 4,        // the mailbox or its system has no space
    Size = 5,        // this message is too large
    Policy = 6,      // a rule refuses the sender or the message: relaying, authentication, content
    Spam = 7,        // we or the message are taken for spam: lists, reputation, filters
    Rate = 8,        // too much, too many, too fast, or greylisted
    Dns = 9,         // a name could not be looked up
    Tls = 10,        // encryption was missing or failed
    Loop = 11,       // the message goes in circles
    Connection = 12  // no connection, or none in time
};
inline constexpr std::size_t kFailureClassCount = 13;

inline constexpr std::size_t kJudgedOctetsMax = 4096;

// `code`: of the reply, 0 = not known. `status`: {} = not known. `text`: the words, any octets.
FailureClass classify(int code, EnhancedStatus status, std::string_view text);

// The same of an attempt. `remote`: the next host said so, and `reason` is its reply; otherwise it
// is ours and `kind` says what stood in the way.
FailureClass failure_class(FailureKind kind, bool remote, EnhancedStatus status,
                           std::string_view reason);
FailureClass failure_class(const RecipientResult& result);

// A mailbox or domain that is not there: writing to it again is of no use.
inline bool is_hard(FailureClass failure) {
    return failure == FailureClass::BadMailbox || failure == FailureClass::BadDomain;
}

std::string_view name(FailureClass failure);  // "bad-mailbox": for logs, commands and JSON
std::optional<FailureClass> failure_class_named(std::string_view name);

// What was found in a text: the first reply code and the first enhanced status that look like one.
struct FoundCodes {
    int code = 0;
    EnhancedStatus status;
};
FoundCodes find_codes(std::string_view text);

// "5.1.1" at the beginning of `text`, as a Status field has it (RFC 3464 §2.3.4).
std::optional<EnhancedStatus> parse_status(std::string_view text);

}  // namespace postrider
