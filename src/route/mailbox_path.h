// route/mailbox_path.h: the folder of a mailbox, made from its address.
//
// The problem: a local-part may hold nearly any octet, and somebody who may choose one must not be
// able to choose a path. Each part is encoded into one file name before it enters the template.
//
// Promise (encode_component)
//   1. The result holds only a-z A-Z 0-9 - _ + = . @ and % with two upper-case hexadecimal digits.
//   2. It is not empty, does not begin with a dot, and holds no slash and no NUL.
//   3. Two different texts have two different results.
//
// Threads: plain functions.

#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace postrider::route {

std::string encode_component(std::string_view text);

// A template such as "/var/mail/{domain}/{local}": every {domain} and {local} is replaced.
class MailboxPath {
public:
    // Refused with a sentence: no {local}, an unknown {word}, an unclosed brace, NUL.
    static Result<MailboxPath> parse(std::string_view text);

    // Both are keys (address_key.h), so that every spelling gives the same folder.
    std::string path(std::string_view domain, std::string_view local_part) const;

    // True when two domains never share a folder.
    bool names_domain() const { return text_.find("{domain}") != std::string::npos; }

private:
    explicit MailboxPath(std::string text) : text_(std::move(text)) {}

    std::string text_;
};

}  // namespace postrider::route
