// front/message.h: what a local program wrote, as a whole Internet message.
//
// The problem: programs hand in a few lines with LF ends and expect a message to come of them. What
// is there stays as it is, in its order; what RFC 5322 requires and is missing is put in front.
//
// Promise
//   1. Every line ends with CRLF: LF, CRLF and a lone CR each end a line.
//   2. Date, From and Message-ID are added when they are missing. Bcc, Resent-Bcc and Return-Path
//   are
//      taken out, whoever named the recipients. A leading mbox line ("From someone ...") goes.
//   3. A text that does not begin with a header field is a body.
//
// Threads: pure; time and id are arguments.
// RFC 5322 §3.4 (addresses), §3.6 (fields), §3.6.3 (Bcc); RFC 2047 (a name that is not ASCII).

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "smtp/transaction.h"

namespace postrider::front {

// The addresses in a list as it stands in To, Cc or Bcc: names, comments and groups are left out.
// They are not yet checked as mailboxes.
Result<std::vector<std::string>> addresses_in(std::string_view list);

struct Author {
    std::string address;    // user@host
    std::string full_name;  // UTF-8; may be empty
};

struct Message {
    std::string content;                  // header block, empty line, body; CRLF
    std::vector<std::string> recipients;  // of To, Cc and Bcc; of the Resent- ones if there are any
    bool has_8bit = false;
};

// `text`: as read; with `dot_ends`, a line with a dot alone ends it (and nothing else does).
// `id`: the left part of a Message-ID, `host` its right. Fails for an octet NUL and for an address
// list that cannot be read.
Result<Message> complete(std::string_view text, bool dot_ends, const Author& author,
                         std::string_view id, std::string_view host, Wall now);

// What stands before the content in the drop directory (mail/drop_file.h).
std::string drop_head(const smtp::TransactionRequest& request);

}  // namespace postrider::front
