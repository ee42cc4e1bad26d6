// smtp/reply.h: what a server answers: three digits, an enhanced status code, text of some lines.
//
// Texts may hold what a stranger wrote (a name, an address, an answer of another host), so the way
// to the wire is the place where nothing dangerous gets through: control characters and octets
// above 126 become '?', and no line is ever longer than 512 octets.
//
// RFC 5321 §4.2 (form of replies), §4.5.3.1.5 (length); RFC 2034 §4 (the enhanced code stands on
// every line of a 2yz, 4yz or 5yz reply); RFC 3463 (its meaning). Threads: values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mail/outcome.h"

namespace postrider::smtp {

struct Reply {
    uint16_t code = 0;                     // 200 to 599; 0 = no reply yet
    std::optional<EnhancedStatus> status;  // not written with 1yz and 3yz, nor in answers to EHLO
    std::string text;                      // lines separated by '\n'; may be empty

    Reply() = default;
    Reply(uint16_t code_, std::string text_) : code(code_), text(std::move(text_)) {}
    Reply(uint16_t code_, EnhancedStatus status_, std::string text_)
        : code(code_), status(status_), text(std::move(text_)) {}

    bool is_positive() const { return code >= 200 && code < 300; }
    bool is_intermediate() const { return code >= 300 && code < 400; }
    bool is_temporary() const { return code >= 400 && code < 500; }
    bool is_permanent() const { return code >= 500 && code < 600; }
    bool is_refusal() const { return code >= 400; }

    // As sent, with CRLF behind each line.
    std::string wire() const;
    // One line for logs and outcomes: "550 5.1.1 no such mailbox", its lines joined with a blank.
    std::string one_line() const;

    friend bool operator==(const Reply&, const Reply&) = default;
};

// Appends a reply as it goes over the wire. Allocates only if `out` must grow.
// REQUIRES: 200 <= code < 600.
void append_reply(std::string& out, uint16_t code, const std::optional<EnhancedStatus>& status,
                  std::string_view text);
void append_reply(std::string& out, const Reply& reply);

}  // namespace postrider::smtp
