// Any octets as a key record, and as the DER of a key: what is taken can be used, what is not has a
// printable reason, and a record in the strings of a zone file stays the same text.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mailauth/dkim/key_record.h"

namespace {

using namespace postrider;
using namespace postrider::mailauth::dkim;

void require(bool holds) {
    if (!holds) std::abort();
}

void require_usable(const PublicKey& key) {
    require(key.bits() > 0 && key.bits() <= kRsaVerifyBitsMax);
    require(!key.verifies(HashAlgorithm::Sha256, std::string(32, 'h'), std::string(256, 's')));
}

// What a server of the zone would say: the strings put together (RFC 7208 §3.3 for the sense).
std::string joined(std::string_view strings) {
    std::string out;
    bool inside = false;
    for (std::size_t at = 0; at < strings.size(); at++) {
        if (strings[at] == '"') {
            inside = !inside;
        } else if (inside) {
            if (strings[at] == '\\') at++;
            out += strings[at];
        }
    }
    require(!inside);
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto record = parse_key_record(text);
    if (record) {
        require_usable(record->key);
        const auto again = parse_key_record(" " + std::string(text));
        require(again && again->testing == record->testing &&
                again->takes_sha256 == record->takes_sha256 &&
                again->exact_identity == record->exact_identity &&
                again->key.bits() == record->key.bits());
    } else {
        require(!record.error().message.empty());
        for (const char c : record.error().message) require(c >= ' ' && c <= '~');
    }
    for (const auto& key : {PublicKey::rsa(text), PublicKey::ed25519(text)}) {
        if (key) require_usable(*key);
    }
    require(joined(zone_file_strings(text)) == text);

    const dns::Answer answer{.status = dns::Answer::Status::Ok,
                             .records = {dns::Txt{std::string(text)}, dns::Txt{std::string(text)}},
                             .ttl_seconds = 60};
    const auto keys = read_keys(answer);
    require(keys->keys.size() == (record ? 2 : 0));
    require(record || !keys->reason.empty());
    return 0;
}
