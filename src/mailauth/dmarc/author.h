// mailauth/dmarc/author.h: whose mail is this? The Author Domain, from the From field.
//
// The problem: DMARC is about one domain, and a forger writes a From field with two, two From
// fields, or one that everybody reads differently. Whatever could be taken for an author's domain
// is found here, and whatever keeps the answer from being one domain is told.
//
// Promise
//   1. problem is empty exactly when there is one well-formed From field whose addresses have one
//      domain; it is domains[0] then.
//   2. What cannot be read does not hide domains before and behind it.
//
// RFC 9989 §5.3.1, §11.5; RFC 5322 §3.4, §3.6.2, §4.4; RFC 6854 (groups in From); RFC 8616 §6.
// Threads: values.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postrider::mailauth::dmarc {

inline constexpr std::size_t kAuthorDomainsMax = 8;

struct Authors {
    std::vector<std::string> domains;  // A-labels, each once, in order; at most kAuthorDomainsMax
    std::string problem;               // half a sentence: "the From field ..."; empty: none
    std::size_t fields = 0;            // From fields
    bool complete = true;              // no domain was left out for their number
};

// Of a header block, as octets.
Authors authors_of(std::string_view header);

}  // namespace postrider::mailauth::dmarc
