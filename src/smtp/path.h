// smtp/path.h: what stands between the angle brackets of MAIL FROM and RCPT TO.
//
// A path may carry a source route, a list of hosts from another age. It must be understood and is
// thrown away: what is left is the mailbox.
//
// RFC 5321 §4.1.2 (Path, A-d-l), §4.1.1.3 and appendix C (source routes), §4.5.3.1.3 (length).
// Threads: pure functions.

#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.h"
#include "mail/mailbox.h"

namespace postrider::smtp {

// The length of the path at the start of `text`, both brackets counted; a '>' within a quoted
// string does not end it. 0 if there is none.
std::size_t path_length(std::string_view text);

// REQUIRES of both: `path` is what path_length() found. The error is a sentence for the peer.
// Reverse-path = Path / "<>".
Result<ReversePath> parse_reverse_path(std::string_view path, AddressForm form);
// Forward-path, or "<Postmaster>" in any case.
Result<Mailbox> parse_forward_path(std::string_view path, AddressForm form);

}  // namespace postrider::smtp
