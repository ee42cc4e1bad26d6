// mailauth/dkim/header_data.h: the octets of a header that a signature is over.
//
// Failure: none.
// Threads: pure functions.
// RFC 6376 §3.7.

#pragma once

#include <string>
#include <string_view>

#include "mail/header.h"
#include "mailauth/dkim/canonical.h"

namespace postrider::mailauth::dkim {

// A signed field, with its line end.
void append_field(Canonicalization form, const HeaderField& field, std::string& data);

// The DKIM-Signature field itself, which comes last: without its final line end and without the
// value of b=, which stands at [b_begin, b_end) of the field's value.
void append_signature_field(Canonicalization form, const HeaderField& field, std::size_t b_begin,
                            std::size_t b_end, std::string& data);

}  // namespace postrider::mailauth::dkim
