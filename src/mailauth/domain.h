// mailauth/domain.h: domains as authentication compares and looks them up: A-labels, lower case.
//
// The problem: a domain comes from an SMTP command, a header field or a DNS record, with U-labels
// or A-labels, in any case, perhaps with a final dot. All that compare or ask for one go through
// here first.
//
// Failure: nothing for what cannot be a domain name. Threads: plain functions.
// RFC 5890 §2.3.2, RFC 5891 §5 (U-labels); RFC 8616 §3, §4; RFC 7208 §4.3.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "dns/name.h"

namespace postrider::mailauth {

// In lower case, U-labels as A-labels, without a final dot. Nothing when it is not UTF-8, when its
// U-labels have no A-labels, when a label is empty or too long, or for an address literal. What
// stands between the dots is not judged further: SPF and DMARC use names with "_".
std::optional<std::string> a_labels(std::string_view domain);

// The name of presentation text in which no octet is an escape, a backslash neither (as macros
// yield it). Nothing for what does not fit a name.
std::optional<dns::Name> plain_name(std::string_view text);

// Of the last `count` labels: "example.org" of "a.b.example.org" and 2; all of it when there are
// fewer. REQUIRES: text of a name, without a final dot.
std::string_view last_labels(std::string_view name, std::size_t count);
std::size_t count_labels(std::string_view name);

constexpr char ascii_lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}
std::string ascii_lower(std::string_view text);
bool equal_ignoring_case(std::string_view a, std::string_view b);  // ASCII
bool is_ascii(std::string_view text);

// For quoting somebody's octets inside a sentence: other than printable ASCII become "?", and at
// most `octets_max` are kept, with "..." behind.
std::string shown(std::string_view text, std::size_t octets_max = 80);

}  // namespace postrider::mailauth
