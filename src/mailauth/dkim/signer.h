// mailauth/dkim/signer.h: signs a message with one key or several, while it streams by.
//
//   auto signer = Signer::start(header_block, keys, options, now);
//   signer->update(chunk); ...                 the body behind the empty line
//   auto fields = signer->finish();            DKIM-Signature fields, to be put in front
//
// Promises
//   1. One pass over the body and one hash of the header fields, whatever the number of keys. The
//      header block is not needed after start().
//   2. The fields are ready to be put in front: CRLF at line ends, folded, lines of at most 78
//      octets unless a domain, selector, field name or identity alone is longer.
//   3. From is always signed. A field that is oversigned cannot be added later without breaking
//      the signature.
//
// What is signed must be what is sent: sign after the last change to the message.
//
// Failure: a sentence for the operator: no From field, a key's domain that is none, too many
// fields. Threads: one thread at a time. start() is cheap; finish() has the private key operations
// (RSA
//   2048: about a millisecond), so it may run on a worker.
// RFC 6376 §3.5, §5; RFC 8301; RFC 8463; RFC 8616 §5 (A-labels are always valid).

#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "mailauth/dkim/body_digest.h"
#include "mailauth/dkim/keys.h"

namespace postrider::mailauth::dkim {

struct SigningKey {
    std::string domain;    // d=; U-labels are written as A-labels
    std::string selector;  // s=
    PrivateKey key;
    // i=: an address, whose local part may be missing, in `domain` or below it. As it is: what
    // needs it is quoted here.
    std::optional<std::string> identity;
};

enum class Oversign : uint8_t {
    No,         // the fields that are there
    IfPresent,  // one more than there are, if there is any: none can be added to them
    Always,     // one more than there are, even if there is none
};

struct SignedField {
    std::string name;
    Oversign oversign = Oversign::No;
};

// RFC 6376 §5.4.1, with the fields of MIME (a changed boundary shows another body) and of lists.
// Always oversigned are those that a reader sees and of which there may be one; if present, those
// that a later host adds when they are missing.
const std::vector<SignedField>& default_signed_fields();

struct SignOptions {
    Canonicalization header_form = Canonicalization::Relaxed;
    Canonicalization body_form = Canonicalization::Relaxed;
    std::vector<SignedField> fields = default_signed_fields();
    bool timestamp = true;                              // t=
    std::optional<std::chrono::seconds> expires_after;  // x=, counted from `now`
};

inline constexpr std::size_t kSigningKeysMax = 10;
inline constexpr std::size_t kSignedFieldsMax = 500;  // names in h=

class Signer {
public:
    // `header_block`: all fields with their line ends, with or without the empty line behind them.
    static Result<Signer> start(std::string_view header_block, std::vector<SigningKey> keys,
                                const SignOptions& options, Wall now);

    // The next octets of the body.
    void update(std::string_view chunk) { body_.update(chunk); }

    // The end of the body: one field for each key, in their order. REQUIRES: called once.
    Result<std::string> finish();

private:
    Signer(const SignOptions& options, std::vector<SigningKey> keys);

    std::string field_before_b(const SigningKey& key, std::string_view body_hash) const;

    Canonicalization header_form_;
    std::vector<SigningKey> keys_;
    std::vector<std::string> names_;  // h=
    Digest header_;
    BodyDigest body_;
    std::optional<int64_t> signed_at_, expires_at_;
};

}  // namespace postrider::mailauth::dkim
