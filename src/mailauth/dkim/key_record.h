// mailauth/dkim/key_record.h: the TXT record that publishes a key, and what DNS said about one.
//
// Failure: each record that cannot be used has a sentence that its domain's operator can act on.
// Threads: values.
// RFC 6376 §3.6.1, §3.6.2, §6.1.2; RFC 8301; RFC 8463 §4.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "dns/answer.h"
#include "mailauth/dkim/keys.h"

namespace postrider::mailauth::dkim {

struct KeyRecord {
    PublicKey key;
    bool takes_sha1 = true;       // h=
    bool takes_sha256 = true;     // h=
    bool testing = false;         // t=y: the domain only tries DKIM out
    bool exact_identity = false;  // t=s: the domain of i= must be d=
};

// The whole text of one record. Errors: not a key record, revoked (an empty p=), a key that cannot
// be read, not for mail.
Result<KeyRecord> parse_key_record(std::string_view text);

// An answer of DNS, read: kept in a KeyCache, so that the same key is read once.
struct KeyAnswer {
    std::vector<KeyRecord> keys;  // those that can be used, at most kKeyRecordsMax
    bool temporary = false;       // DNS failed: asking later may help
    std::string reason;           // why there is no key
    bool secure = false;          // DNSSEC vouches for the answer
    uint32_t ttl_seconds = 0;
};

inline constexpr std::size_t kKeyRecordsMax = 4;  // of one name; there should be one

std::shared_ptr<const KeyAnswer> read_keys(const dns::Answer& answer);

// "v=DKIM1; k=rsa; p=...": what to publish for a key.
std::string key_record_text(const PrivateKey& key);

// The text as a zone file has it: character-strings in quotes of at most 255 octets each, separated
// by a space (RFC 1035 §3.3, §5.1).
std::string zone_file_strings(std::string_view text);

}  // namespace postrider::mailauth::dkim
