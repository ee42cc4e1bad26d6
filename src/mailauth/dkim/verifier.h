// mailauth/dkim/verifier.h: is a DKIM signature of this message true?
//
// The problem: a message streams by once, its keys come from DNS, and several signatures want
// different forms of it hashed. The order of calls:
//
//   Verifier verifier(header_block);          the whole block as it came, CRLF at line ends
//   for (question : verifier.questions())     all side by side; a KeyCache may know some
//       verifier.answer(question, ...);       any time before finish()
//   verifier.update(chunk); ...               the body behind the empty line, while keys are asked
//   Report report = verifier.finish(now);
//
// Promises
//   1. The header is hashed at once and not needed afterwards; the body is hashed in one pass, at
//      most once for each canonical form and hash algorithm, whatever the number of signatures.
//   2. Results depend on the octets alone, not on how the body was cut.
//   3. Any octets are a message; each signature looked at gets a result with a reason.
//   4. Bounded: signatures_max are looked at (from the top), each asks one question.
//
// A body in BINARYMIME is octets like any other. What follows a header block that a line which is
// no field has ended (mail/header.h) belongs to the body.
//
// Failure: none but results.
// Threads: one thread at a time.
// RFC 6376 §3.7, §3.9, §6; RFC 8301; RFC 8463; RFC 8601 §2.7.1 (the words); RFC 8616 §5.

#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "dns/answer.h"
#include "mailauth/dkim/body_digest.h"
#include "mailauth/dkim/key_record.h"
#include "mailauth/dkim/signature.h"
#include "mailauth/result_code.h"

namespace postrider::mailauth::dkim {

struct VerifyOptions {
    std::size_t signatures_max = 10;  // the others are only counted
    // How far the clocks of signer and verifier may differ, for t= and x=.
    std::chrono::seconds clock_skew{300};
    // A signature with l= that leaves a part of the body unsigned: Policy instead of Pass
    // (RFC 6376 §8.2: anyone can add to such a body).
    bool partial_body_is_policy = false;
    // What RFC 6376 took and RFC 8301 forbids: rsa-sha1, RSA keys of less than 1024 bits. For old
    // test data.
    bool legacy = false;
};

struct SignatureResult {
    // Pass; Fail: the message is not the one that was signed; Policy: true, but not acceptable;
    // TempError: the key could not be had for now; PermError: can never be verified as it stands.
    ResultCode code = ResultCode::PermError;
    std::string reason;       // one sentence, without a full stop
    std::string domain;       // d=, A-labels in lower case; empty when it could not be read
    std::string selector;     // s=
    std::string identity;     // i=, or "@" and d=
    std::string algorithm;    // a=, e.g. "rsa-sha256"
    std::string b_begin;      // first 8 characters of b= (header.b, RFC 6008)
    unsigned key_bits = 0;    // 0: no key was read
    bool testing = false;     // t=y: not to be treated differently from unsigned mail
    bool key_secure = false;  // DNSSEC vouches for the key
    std::optional<int64_t> signed_at, expires_at;  // t= and x=, seconds since 1970
    // Octets of the canonical body, and how many the signature covers: fewer only with l=.
    uint64_t body_octets = 0, body_octets_signed = 0;
    std::optional<uint64_t> length;  // l= as written
};

struct Report {
    std::vector<SignatureResult> signatures;  // from the top of the header down
    std::size_t skipped = 0;                  // signatures beyond signatures_max
};

class Verifier {
public:
    // `header_block`: all fields with their line ends, with or without the empty line behind them.
    explicit Verifier(std::string_view header_block, VerifyOptions options = {});

    // Signatures to be reported on. Zero: nothing needs to be asked or hashed.
    std::size_t signature_count() const { return jobs_.size(); }

    // TXT records wanted, each once. The same for the verifier's life.
    const std::vector<dns::Question>& questions() const { return questions_; }

    // What DNS said. An answer to what was not asked changes nothing. What is never answered is a
    // temporary error.
    void answer(const dns::Question& question, const dns::Answer& answer);
    void answer(const dns::Question& question, std::shared_ptr<const KeyAnswer> keys);

    // The next octets of the body.
    void update(std::string_view chunk);

    // The end of the body. REQUIRES: called once.
    Report finish(Wall now);

private:
    static constexpr std::size_t kNone = SIZE_MAX;

    struct Job {
        Signature signature;
        std::string header_hash;
        std::size_t from_signed = 0;  // names in h= that are From
        std::size_t body = kNone;     // in bodies_
        std::size_t key = kNone;      // in questions_ and keys_
    };

    void begin(Job& job);
    SignatureResult judge(const Job& job, Wall now) const;
    void judge_key(const Job& job, const KeyAnswer& answer, SignatureResult& result) const;
    void judge_content(const Job& job, const KeyRecord& key, SignatureResult& result) const;

    VerifyOptions options_;
    std::vector<Job> jobs_;
    std::size_t skipped_ = 0;
    std::size_t from_fields_ = 0;
    std::vector<BodyDigest> bodies_;
    std::vector<dns::Question> questions_;
    std::vector<std::shared_ptr<const KeyAnswer>> keys_;  // as questions_; null until answered
};

}  // namespace postrider::mailauth::dkim
