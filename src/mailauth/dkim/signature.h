// mailauth/dkim/signature.h: a DKIM-Signature field, read.
//
// Failure: a Signature always comes back; `error` says what is wrong with it, and domain and
//   selector are there whenever they could be read, so that a result can name them.
// Threads: values.
// RFC 6376 §3.5, §3.6.2.1, §6.1.1; RFC 8616 §5.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dns/name.h"
#include "mailauth/dkim/canonical.h"
#include "mailauth/dkim/digest.h"
#include "mailauth/dkim/keys.h"

namespace postrider::mailauth::dkim {

struct Signature {
    std::string error;  // empty: the signature can be verified as far as the field goes

    std::string algorithm;  // a= as written, e.g. "rsa-sha256"
    KeyType key_type = KeyType::Rsa;
    HashAlgorithm hash = HashAlgorithm::Sha256;
    Canonicalization header_form = Canonicalization::Simple;
    Canonicalization body_form = Canonicalization::Simple;
    std::string domain;    // d= as A-labels in lower case
    std::string selector;  // s= likewise
    std::string identity;  // i=, decoded, its domain as A-labels in lower case; "@" d= without i=
    dns::Name key_name;    // where the key stands
    std::string signature, body_hash;      // b= and bh=, octets
    std::string signature_begin;           // the first characters of b=, for reports (RFC 6008)
    std::vector<std::string_view> fields;  // h=: views into the text that was read
    std::optional<uint64_t> length;        // l=
    std::optional<int64_t> signed_at;      // t=, seconds since 1970
    std::optional<int64_t> expires_at;     // x=

    // What b= is, in the text that was read: from behind "=" to ";" or the end.
    std::size_t b_begin = 0, b_end = 0;

    bool identity_is_below = false;  // the domain of i= is a subdomain of d=
};

// `value` is what stands behind the colon of the field.
Signature parse_signature(std::string_view value);

// A domain as DNS has it: lower case, U-labels made A-labels (RFC 8616 §5). Nothing for what is no
// domain.
std::optional<std::string> ascii_domain(std::string_view domain);

// The name of a selector's key record (RFC 6376 §3.6.2.1), both as A-labels. Nothing when too long.
std::optional<dns::Name> key_record_name(std::string_view selector, std::string_view domain);

}  // namespace postrider::mailauth::dkim
