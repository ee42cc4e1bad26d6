#include "mailauth/dkim/verifier.h"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "mailauth/dkim/field_index.h"
#include "mailauth/dkim/header_data.h"

namespace postrider::mailauth::dkim {
namespace {

constexpr std::string_view kSignatureField = "DKIM-Signature";

// How many From fields h= covers.
std::size_t signed_from_fields(const Signature& signature) {
    return static_cast<std::size_t>(std::ranges::count_if(
        signature.fields,
        [](std::string_view field) { return HeaderField{.name = field}.is_named("From"); }));
}

// RFC 6376 §3.7: the hash of the header that a signature is over. `data` is only kept so that its
// memory is used again.
std::string hash_header(FieldIndex& index, const HeaderField& own, const Signature& signature,
                        std::string& data) {
    index.reset();
    data.clear();
    for (const std::string_view name : signature.fields) {
        const HeaderField* field = index.take(name);
        // §3.5: "the signer MUST NOT include the field that is being created".
        if (field && field->begin == own.begin) field = index.take(name);
        if (field) append_field(signature.header_form, *field, data);
    }
    append_signature_field(signature.header_form, own, signature.b_begin, signature.b_end, data);
    Digest digest(signature.hash);
    digest.update(data);
    return digest.finish();
}

void set(SignatureResult& result, ResultCode code, std::string reason) {
    result.code = code;
    result.reason = std::move(reason);
}

}  // namespace

Verifier::Verifier(std::string_view header_block, VerifyOptions options) : options_(options) {
    FieldIndex index(header_block);
    if (index.count(kSignatureField) == 0) return;
    from_fields_ = index.count("From");
    std::string data;
    for (const HeaderField& field : index.fields()) {
        if (!field.is_named(kSignatureField)) continue;
        if (jobs_.size() == options_.signatures_max) {
            skipped_++;
            continue;
        }
        Job& job = jobs_.emplace_back(Job{.signature = parse_signature(field.value)});
        if (!job.signature.error.empty()) continue;
        job.header_hash = hash_header(index, field, job.signature, data);
        job.from_signed = signed_from_fields(job.signature);
        job.signature.fields.clear();  // views into the header block, which may go now
        begin(job);
    }
}

// Finds the signature its body hash and its question, each shared with those that want the same.
void Verifier::begin(Job& job) {
    const Signature& signature = job.signature;
    const auto body = std::ranges::find_if(bodies_, [&](const BodyDigest& other) {
        return other.form() == signature.body_form && other.algorithm() == signature.hash;
    });
    job.body = static_cast<std::size_t>(body - bodies_.begin());
    if (body == bodies_.end()) bodies_.emplace_back(signature.body_form, signature.hash);
    if (signature.length) bodies_[job.body].want(*signature.length);

    const dns::Question question{signature.key_name, dns::Type::Txt};
    const auto asked = std::ranges::find(questions_, question);
    job.key = static_cast<std::size_t>(asked - questions_.begin());
    if (asked == questions_.end()) {
        questions_.push_back(question);
        keys_.emplace_back();
    }
}

void Verifier::answer(const dns::Question& question, const dns::Answer& answer) {
    this->answer(question, read_keys(answer));
}

void Verifier::answer(const dns::Question& question, std::shared_ptr<const KeyAnswer> keys) {
    const auto asked = std::ranges::find(questions_, question);
    if (asked == questions_.end()) return;
    keys_[static_cast<std::size_t>(asked - questions_.begin())] = std::move(keys);
}

void Verifier::update(std::string_view chunk) {
    for (BodyDigest& body : bodies_) body.update(chunk);
}

Report Verifier::finish(Wall now) {
    for (BodyDigest& body : bodies_) body.finish();
    Report report{.skipped = skipped_};
    report.signatures.reserve(jobs_.size());
    for (const Job& job : jobs_) report.signatures.push_back(judge(job, now));
    return report;
}

SignatureResult Verifier::judge(const Job& job, Wall now) const {
    const Signature& signature = job.signature;
    SignatureResult result{.domain = signature.domain,
                           .selector = signature.selector,
                           .identity = signature.domain.empty() ? "" : signature.identity,
                           .algorithm = signature.algorithm,
                           .b_begin = signature.signature_begin,
                           .signed_at = signature.signed_at,
                           .expires_at = signature.expires_at,
                           .length = signature.length};
    const int64_t skew = options_.clock_skew.count();
    if (!signature.error.empty()) {
        set(result, ResultCode::PermError, signature.error);
        return result;
    }
    result.body_octets = bodies_[job.body].octets();
    result.body_octets_signed = std::min(signature.length.value_or(UINT64_MAX), result.body_octets);
    // RFC 6376 §3.5: an expired signature may not be used; one from the future may be refused.
    if (signature.expires_at && *signature.expires_at < now.seconds() - skew) {
        set(result, ResultCode::PermError, "the signature has expired (x=)");
    } else if (signature.signed_at && *signature.signed_at > now.seconds() + skew) {
        set(result, ResultCode::PermError, "the signature was made in the future (t=)");
    } else if (const auto& keys = keys_[job.key]; keys) {
        judge_key(job, *keys, result);
    } else {
        set(result, ResultCode::TempError, "the key was not looked up in time");
    }
    return result;
}

// RFC 6376 §6.1.2: is there a key, and may it be used for this signature?
void Verifier::judge_key(const Job& job, const KeyAnswer& answer, SignatureResult& result) const {
    const Signature& signature = job.signature;
    result.key_secure = answer.secure;
    if (answer.temporary) return set(result, ResultCode::TempError, answer.reason);
    // RFC 8301 §3.1. Only now: until then a key that cannot be had is the greater trouble.
    if (signature.hash == HashAlgorithm::Sha1 && !options_.legacy) {
        return set(result, ResultCode::PermError,
                   "rsa-sha1 must not be used any more (RFC 8301); sign with rsa-sha256");
    }
    if (answer.keys.empty()) return set(result, ResultCode::PermError, answer.reason);
    const auto key = std::ranges::find_if(answer.keys, [&](const KeyRecord& record) {
        return record.key.type() == signature.key_type;
    });
    if (key == answer.keys.end()) {
        return set(result, ResultCode::PermError,
                   fmt::format("the key record (k=) does not fit the signature's a={}",
                               signature.algorithm));
    }
    result.key_bits = key->key.bits();
    result.testing = key->testing;
    if (!(signature.hash == HashAlgorithm::Sha1 ? key->takes_sha1 : key->takes_sha256)) {
        return set(result, ResultCode::PermError,
                   fmt::format("the key record (h=) does not allow {}", name(signature.hash)));
    }
    if (key->exact_identity && signature.identity_is_below) {
        return set(result, ResultCode::PermError,
                   "i= is of a subdomain, which the key record (t=s) does not allow");
    }
    if (key->key.type() == KeyType::Rsa && key->key.bits() < kRsaBitsMin && !options_.legacy) {
        return set(result, ResultCode::PermError,
                   fmt::format("the RSA key has only {} bits, and 1024 are the least (RFC 8301)",
                               key->key.bits()));
    }
    judge_content(job, *key, result);
}

// RFC 6376 §6.1.3. Both hashes are always looked at, since a reader of the reason wants to know
// whether the header, the body or both were changed.
void Verifier::judge_content(const Job& job, const KeyRecord& key, SignatureResult& result) const {
    const Signature& signature = job.signature;
    const BodyDigest& body = bodies_[job.body];
    const bool header_holds =
        key.key.verifies(signature.hash, job.header_hash, signature.signature);
    const std::string* hash = signature.length ? body.first(*signature.length) : &body.whole();
    if (!hash) {
        return set(result, ResultCode::Fail,
                   fmt::format("the body was cut short: {} octets were signed (l=), {} are left",
                               *signature.length, body.octets()));
    }
    const bool body_holds = *hash == signature.body_hash;
    if (!header_holds) {
        return set(result, ResultCode::Fail,
                   body_holds ? "the signed header fields were changed, or another key signed them"
                              : "header and body were changed, or another key signed them");
    }
    if (!body_holds) {
        return set(result, ResultCode::Fail,
                   "the body was changed after signing; the header fields are as signed");
    }
    // RFC 6376 §8.15, RFC 5322 §3.6: a signature vouches for one author field, which a reader sees.
    if (from_fields_ == 0) {
        return set(result, ResultCode::PermError, "the message has no From field");
    }
    if (from_fields_ > job.from_signed) {
        return set(result, ResultCode::Policy,
                   fmt::format("the message has {} From fields, and only {} of them is signed",
                               from_fields_, job.from_signed));
    }
    if (result.body_octets_signed < result.body_octets) {
        return set(result, options_.partial_body_is_policy ? ResultCode::Policy : ResultCode::Pass,
                   fmt::format("good signature, over the first {} of {} octets of the body (l=)",
                               result.body_octets_signed, result.body_octets));
    }
    set(result, ResultCode::Pass, "good signature");
}

}  // namespace postrider::mailauth::dkim
