#include "mailauth/dkim/key_record.h"

#include <algorithm>

#include <fmt/format.h>

#include "mailauth/dkim/tag_list.h"

namespace postrider::mailauth::dkim {
namespace {

bool lists(std::string_view value, std::string_view wanted) {
    const auto parts = split_colons(value);
    return std::ranges::find(parts, wanted) != parts.end();
}

Result<PublicKey> read_key(const TagList& tags) {
    const auto p = tags.value("p");
    if (!p) return fail("the key record has no p=");
    if (p->empty()) return fail("the key is revoked: its record has an empty p=");
    const auto octets = decode_base64(*p);
    if (!octets) return fail("p= of the key record is not base64");
    const std::string_view k = tags.value("k").value_or("rsa");
    if (k == "rsa") return PublicKey::rsa(*octets);
    if (k == "ed25519") return PublicKey::ed25519(*octets);
    return fail("the key record has an unknown k=, neither rsa nor ed25519");
}

}  // namespace

// RFC 6376 §3.6.1. v= is taken in any place: no reader can be harmed by one that does not stand
// first. g= of older texts, and n=, have no meaning.
Result<KeyRecord> parse_key_record(std::string_view text) {
    if (trimmed(text).empty()) return fail("the key record is empty");
    auto tags = TagList::parse(text);
    if (!tags) return fail("the key record cannot be read: " + tags.error().message);
    if (tags->value("v").value_or("DKIM1") != "DKIM1") {
        return fail("the key record has a v= other than DKIM1");
    }
    // Revoked is revoked, whatever else is wrong.
    auto key = read_key(*tags);
    if (!key) return std::unexpected(key.error());
    KeyRecord record{.key = *key};
    if (const auto h = tags->value("h")) {
        record.takes_sha1 = lists(*h, "sha1");
        record.takes_sha256 = lists(*h, "sha256");
    }
    if (const auto s = tags->value("s"); s && !lists(*s, "*") && !lists(*s, "email")) {
        return fail("the key is not for mail: s= of its record names other services");
    }
    const std::string_view t = tags->value("t").value_or("");
    record.testing = lists(t, "y");
    record.exact_identity = lists(t, "s");
    return record;
}

// RFC 6376 §6.1.2. Several records at one name are an error of the domain; a wildcard's other texts
// among them are passed over.
std::shared_ptr<const KeyAnswer> read_keys(const dns::Answer& answer) {
    auto out = std::make_shared<KeyAnswer>();
    out->secure = answer.secure;
    out->ttl_seconds = answer.ttl_seconds;
    switch (answer.status) {
        case dns::Answer::Status::Temporary:
            out->temporary = true;
            out->reason = "the key could not be looked up: " + answer.reason;
            return out;
        case dns::Answer::Status::NxDomain:
        case dns::Answer::Status::NoData:
            out->reason = "the domain publishes no key under this selector";
            return out;
        case dns::Answer::Status::Ok:
            break;
    }
    for (const dns::Rdata& rdata : answer.records) {
        const auto* txt = std::get_if<dns::Txt>(&rdata);
        if (!txt || out->keys.size() == kKeyRecordsMax) continue;
        auto record = parse_key_record(txt->text);
        if (record) {
            out->keys.push_back(std::move(*record));
        } else if (out->reason.empty()) {
            out->reason = record.error().message;
        }
    }
    if (out->keys.empty() && out->reason.empty()) out->reason = "the domain publishes no key";
    return out;
}

std::string key_record_text(const PrivateKey& key) {
    return fmt::format("v=DKIM1; k={}; p={}", name(key.type()), encode_base64(key.public_octets()));
}

std::string zone_file_strings(std::string_view text) {
    constexpr std::size_t kStringOctetsMax = 255;
    std::string out;
    do {
        if (!out.empty()) out += ' ';
        out += '"';
        for (const char c : text.substr(0, kStringOctetsMax)) {
            if (c == '"' || c == '\\') out += '\\';
            out += c;
        }
        out += '"';
        text.remove_prefix(std::min(text.size(), kStringOctetsMax));
    } while (!text.empty());
    return out;
}

}  // namespace postrider::mailauth::dkim
