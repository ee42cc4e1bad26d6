// seal/submission.h: the one edit of a header block that a submission server makes.
//
// What a person's or a program's mail lacks is completed here, before it is signed and stored:
// Date, Message-ID, From, domains of addresses without one; Bcc is taken out; and the From field
// must be the account's own. Mail that only passes through never comes here.
//
// Promise
//   1. Fields that need no change stay octet for octet, in their order; a field that does is edited
//      in place, and what is added stands at the end of the block.
//   2. A message whose From field cannot be read is refused, since nobody could say whose it is.
//
// Threads: pure; time, id and rights are arguments. Failure: smtp-ready reasons in SubmissionFault.
// RFC 6409 §6 (what may be refused), §8 (what may be changed); RFC 5322 §3.6 (Date, From, Sender,
// Message-ID, Bcc), §3.4 (addresses).

#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/time.h"
#include "mail/outcome.h"

namespace postrider::seal {

struct SubmissionRules {
    // Whether this address may stand in From. Addresses have a domain.
    std::function<bool(std::string_view)> is_own;
    bool adds_sender = false;  // a foreign From gets a Sender field instead of a refusal
    std::string sender;        // what stands there: an address of the account's own
    std::string domain;        // for addresses without one; empty: they are refused
    std::string hostname;      // for Message-ID
    MessageId id;
    Wall now;
};

struct SubmissionFault {
    EnhancedStatus status;
    std::string reason;  // a sentence for the client, without a full stop
};

// The block without the empty line that ends it, edited. Empty lines are not in it.
Result<std::string, SubmissionFault> complete_submission(std::string_view block,
                                                         const SubmissionRules& rules);

// An address in a header field: where it stands in the value, and its text without comments.
struct HeaderAddress {
    std::size_t begin = 0;
    std::size_t end = 0;
    std::string text;
    bool has_domain = false;
};
// The addresses of a field's value, groups opened. Nothing: it cannot be read.
std::optional<std::vector<HeaderAddress>> header_addresses(std::string_view value);

}  // namespace postrider::seal
