// smtp/parameters.h: the parameters of MAIL and RCPT, as rows of a table.
//
// An extension brings its parameters as rows (keyword, which offer allows it, its parser) and a
// field in MailParameters or RcptParameters; nothing else has to know.
//
// RFC 5321 §4.1.2 (esmtp-param), §4.1.1.11 (555).
// Threads: pure functions.

#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "smtp/command.h"

namespace postrider::smtp {

// `text` is what follows the path: empty, or *(SP esmtp-param). What was read before an error
// stays.
Status<Reply> parse_parameters(std::string_view text, const Offered& offered, MailParameters& out);
Status<Reply> parse_parameters(std::string_view text, const Offered& offered, RcptParameters& out);

bool equals_ignoring_case(std::string_view a, std::string_view b);

}  // namespace postrider::smtp
