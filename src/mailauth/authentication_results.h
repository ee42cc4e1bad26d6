// mailauth/authentication_results.h: the Authentication-Results field: ours is written, others'
// read, and those that pretend to be ours found.
//
// The problem: whoever reads mail behind us believes the field with our name. So ours must not be
// broken by what stands in it, which is mostly the sender's choice, and no field that came in may
// claim our name, however oddly it is written.
//
// Promise
//   1. A written field is one field: no octet of a value can end a line, a string or a comment.
//   Lines
//      are folded at 78 octets where the values allow it and are never longer than 998.
//   2. What is written is read back as the same by parse().
//   3. A field that was written with our id, in any spelling, and any field that cannot be read and
//      holds our id somewhere, is found by claims().
//
// RFC 8601 §2.2, §5; RFC 5322 §2.1.1, §2.2.3. Threads: plain functions.

#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mail/mailbox.h"
#include "mailauth/result_code.h"

namespace postrider::mailauth {

// ptype "." property "=" value, e.g. smtp.mailfrom=example.org.
struct ResultProperty {
    std::string type;   // smtp, header, body, policy
    std::string name;   // mailfrom, d, iprev ...
    std::string value;  // decoded; a mailbox as Mailbox::text() writes it
    friend bool operator==(const ResultProperty&, const ResultProperty&) = default;
};

struct MethodResult {
    std::string method;   // spf, dkim, dmarc, arc, auth, iprev ... (RFC 8601 §2.7)
    std::string result;   // name(ResultCode), or a word of an extension
    std::string reason;   // "reason=": for programs; empty: none
    std::string comment;  // behind the result, in parentheses: for people; not read back
    std::vector<ResultProperty> properties;
    unsigned version = 1;  // of the method
    friend bool operator==(const MethodResult&, const MethodResult&) = default;
};

// The whole field with its name and line ends. Without results it says "none" (§2.2). `form`:
// octets above 127 stay only in an internationalized message (RFC 6532), else they become "?".
// REQUIRES: methods, results, types and names are keywords: letters, digits, "-".
std::string authentication_results_field(std::string_view authserv_id,
                                         std::span<const MethodResult> results,
                                         AddressForm form = AddressForm::Ascii);

struct AuthenticationResults {
    std::string authserv_id;  // decoded
    unsigned version = 1;
    std::vector<MethodResult> results;  // empty: "none"

    // Of the value of a field (behind its colon). Nothing when it is not well formed.
    static std::optional<AuthenticationResults> parse(std::string_view value);
};

// RFC 8601 §5: a field with this value would be taken for one of ours, or is of a version that we
// do not know. `our_ids` in any case, with A-labels or U-labels.
bool claims(std::string_view value, std::span<const std::string> our_ids);

// Where in a header block the fields stand that must go (their whole lines), in order.
struct OctetRange {
    std::size_t begin = 0;
    std::size_t size = 0;
    friend bool operator==(const OctetRange&, const OctetRange&) = default;
};
std::vector<OctetRange> claiming_fields(std::string_view header,
                                        std::span<const std::string> our_ids);

}  // namespace postrider::mailauth
