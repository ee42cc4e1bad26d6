// seal/signing.h: signs what our own clients send, so that others believe it is ours.
//
// The problem: which keys sign is decided by the author's domain and by who handed the message in,
// the content streams by once, and an RSA signature takes a millisecond that no event loop should
// spend.
//
//     auto start = Signing::start(keys, rules, header, account, now);   start.signing: perhaps none
//     start.signing->update(chunk); ...
//     auto fields = co_await start.signing->finish(worker);             to be put in front
//
// Promise
//   1. The keys are those that the first fitting rule names. Without one they are those of the From
//      field's domain, or else of the nearest domain above it that has any: relaxed alignment holds
//      (RFC 9989 §4.4.1). A key that a rule names signs for no other mail.
//   2. All keys chosen sign, in one pass over the content.
//   3. What is handed over must be what is stored: the header block after its last edit.
//
// Who may write in whose name is not asked here: that was decided when the message was taken.
// Failure: a message with no author, or authors of several domains, is not signed.
// Threads: one at a time; finish() does its work on a worker. KeyRing and SigningRules are
// immutable when shared. RFC 6376 §5; RFC 8463.

#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "mailauth/dkim/signer.h"
#include "world/worker.h"

namespace postrider::seal {

// The keys that sign, by domain.
class KeyRing {
public:
    void add(mailauth::dkim::SigningKey key);  // a domain's keys sign in the order of add()

    bool is_empty() const { return keys_.empty(); }
    // Of this domain alone, in A-labels; null when it has none.
    const std::vector<mailauth::dkim::SigningKey>* find(std::string_view domain) const;

private:
    std::map<std::string, std::vector<mailauth::dkim::SigningKey>, std::less<>> keys_;
};

// Stands in a rule's keys for those that would sign without the rule.
inline constexpr std::string_view kAuthorsKeys = "author";

// Other keys for some of the mail.
struct SigningRule {
    std::vector<std::string> accounts;  // that hand it in; empty: any, and mail without one
    std::vector<std::string> domains;   // of the author, with all below, in A-labels; empty: any
    // kAuthorsKeys, "example.org" (all keys of that domain that no rule names), or one key by the
    // key_record_name(). Empty: not signed.
    std::vector<std::string> keys;
};

struct SigningRules {
    mailauth::dkim::SignOptions options;
    std::vector<SigningRule> rules;  // the first that fits counts
};

// "news._domainkey.example.org", in lower case.
std::string key_record_name(const mailauth::dkim::SigningKey& key);

struct Choice {
    std::vector<mailauth::dkim::SigningKey> keys;
    std::string missing;  // a key that a rule names and that is not there; empty: none
};

// `author`: the From field's domain in A-labels. `account`: that handed the message in; empty:
// none.
Choice choose_keys(const KeyRing& ring, const SigningRules& rules, std::string_view author,
                   std::string_view account);

class Signing {
public:
    struct Start {
        std::unique_ptr<Signing> signing;  // null: nothing signs it
        std::string domain;                // of the author; empty: none, or several
        std::string trouble;               // why it is not signed as it should be; empty: it is
    };
    static Start start(const KeyRing& keys, const SigningRules& rules,
                       std::string_view header_block, std::string_view account, Wall now);

    void update(std::string_view body_chunk) { signer_.update(body_chunk); }

    // The DKIM-Signature fields. Once.
    Task<Result<std::string>> finish(world::Worker& worker);

private:
    explicit Signing(mailauth::dkim::Signer signer) : signer_(std::move(signer)) {}

    mailauth::dkim::Signer signer_;
};

}  // namespace postrider::seal
