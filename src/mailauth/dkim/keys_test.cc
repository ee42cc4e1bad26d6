// Keys and their records, made by openssl: src/mailauth/dkim/testdata/made.

#include "mailauth/dkim/keys.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "mailauth/dkim/key_cache.h"
#include "mailauth/dkim/key_record.h"
#include "mailauth/dkim/tag_list.h"
#include "mailauth/dkim/testing.h"

namespace postrider::mailauth::dkim {
namespace {

using testing::load;
using testing::txt;

std::string record_of(const std::string& selector) {
    const auto keys = nlohmann::json::parse(load("made/keys.json"));
    return keys["dns"][selector + "._domainkey.example.org"];
}

std::string error_of(const std::string& record) {
    const auto read = parse_key_record(record);
    return read ? "" : read.error().message;
}

TEST(PrivateKey, IsReadFromTheFormsOfPem) {
    for (const char* file : {"made/rsa2048-pkcs8.pem", "made/rsa2048-pkcs1.pem"}) {
        const auto key = PrivateKey::from_pem(load(file));
        ASSERT_TRUE(key) << file << key.error().message;
        EXPECT_EQ(key->type(), KeyType::Rsa);
        EXPECT_EQ(key->bits(), 2048u);
        EXPECT_EQ(key_record_text(*key), record_of("rsa2048"));
    }
    const auto key = PrivateKey::from_pem(load("mail-dkim/test.ed.key"));
    ASSERT_TRUE(key) << key.error().message;
    EXPECT_EQ(key->type(), KeyType::Ed25519);
}

TEST(PrivateKey, ThatCannotSignIsRefusedWithAReason) {
    const struct {
        std::string pem, reason;
    } cases[] = {
        {"", "there is no PEM text (\"-----BEGIN PRIVATE KEY-----\")"},
        {"MC4CAQAwBQYDK2VwBCIEIBNq", "there is no PEM text (\"-----BEGIN PRIVATE KEY-----\")"},
        {load("made/rsa2048-encrypted.pem"),
         "the private key is encrypted with a password; store it without one"},
        {load("made/ec.pem"), "DKIM signs with RSA or Ed25519 keys; this one is EC"},
        {load("made/rsa512.pem"),
         "the RSA key has 512 bits; receivers refuse less than 1024 and 2048 is good practice"},
        {std::string(65 * 1024, '-'), "the file is too long for a private key"},
    };
    for (const auto& test : cases) {
        const auto key = PrivateKey::from_pem(test.pem);
        ASSERT_FALSE(key);
        EXPECT_EQ(key.error().message, test.reason);
    }
    const auto cut = PrivateKey::from_pem(load("made/rsa2048-pkcs8.pem").substr(0, 500));
    ASSERT_FALSE(cut);
    EXPECT_TRUE(cut.error().message.starts_with("the PEM text holds no private key: "));
}

// RFC 8032 §7.1, test 1: seed and public key. RFC 8463 A.2 prints the latter as a record.
TEST(PrivateKey, OfEd25519HasThePublicKeyOfTheRfc) {
    const auto key = PrivateKey::ed25519_from_seed(*decode_base64(load("dkimpy/rfc8032_7_1.key")));
    ASSERT_TRUE(key);
    EXPECT_EQ(key_record_text(*key),
              "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
    EXPECT_FALSE(PrivateKey::ed25519_from_seed("short"));
}

TEST(PrivateKey, ThatIsNewIsAnotherEachTimeAndSurvivesPem) {
    for (const auto& make : {+[] { return PrivateKey::generate_rsa(1024); },
                             +[] { return PrivateKey::generate_ed25519(); }}) {
        const auto one = make();
        const auto other = make();
        ASSERT_TRUE(one && other);
        EXPECT_NE(one->public_octets(), other->public_octets());
        const auto again = PrivateKey::from_pem(one->to_pem());
        ASSERT_TRUE(again);
        EXPECT_EQ(again->public_octets(), one->public_octets());
        const auto record = parse_key_record(key_record_text(*one));
        ASSERT_TRUE(record);
        const std::string hash(32, 'h');
        EXPECT_TRUE(record->key.verifies(HashAlgorithm::Sha256, hash, *one->sign(hash)));
        EXPECT_FALSE(record->key.verifies(HashAlgorithm::Sha256, hash, *other->sign(hash)));
        EXPECT_FALSE(record->key.verifies(HashAlgorithm::Sha256, hash, ""));
    }
    EXPECT_FALSE(PrivateKey::generate_rsa(1023));
    EXPECT_FALSE(PrivateKey::generate_rsa(8192));
}

TEST(KeyRecord, IsReadInBothFormsOfRsaAndAllSizes) {
    const struct {
        const char* selector;
        unsigned bits;
    } cases[] = {{"rsa2048", 2048}, {"pkcs1", 2048}, {"rsa512", 512}, {"rsa8192", 8192}};
    for (const auto& test : cases) {
        const auto record = parse_key_record(record_of(test.selector));
        ASSERT_TRUE(record) << test.selector << record.error().message;
        EXPECT_EQ(record->key.type(), KeyType::Rsa);
        EXPECT_EQ(record->key.bits(), test.bits);
    }
}

TEST(KeyRecord, SaysWhatItsKeyIsFor) {
    const std::string p = "; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const auto plain = parse_key_record("v=DKIM1" + p);
    ASSERT_TRUE(plain);
    EXPECT_TRUE(plain->takes_sha1 && plain->takes_sha256);
    EXPECT_FALSE(plain->testing || plain->exact_identity);
    const auto full = parse_key_record(
        "v = DKIM1; s = other : email; t= y : s:z; h=sha256:x; n=a note; x1=y; g=" + p);
    ASSERT_TRUE(full) << full.error().message;
    EXPECT_TRUE(full->testing && full->exact_identity && full->takes_sha256);
    EXPECT_FALSE(full->takes_sha1);
    EXPECT_TRUE(parse_key_record("s=*" + p));
    EXPECT_TRUE(parse_key_record("p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlr wIaaPcHURo=; k=ed25519"));
}

TEST(KeyRecord, ThatCannotBeUsedIsRefusedWithAReason) {
    const std::string p = "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
    const struct {
        std::string record, reason;
    } cases[] = {
        {"", "the key record is empty"},
        {" ", "the key record is empty"},
        {"v=spf1 -all", "the key record has a v= other than DKIM1"},
        {"v=DKIM2; k=ed25519; " + p, "the key record has a v= other than DKIM1"},
        {"google-site",
         "the key record cannot be read: \"google-site\" is not of the form tag=value"},
        {"v=DKIM1; k=rsa", "the key record has no p="},
        {"v=DKIM1; k=foo; p=", "the key is revoked: its record has an empty p="},
        {"v=DKIM1; p=!", "p= of the key record is not base64"},
        {"v=DKIM1; k=foo; " + p, "the key record has an unknown k=, neither rsa nor ed25519"},
        {"v=DKIM1; " + p, "p= is not an RSA public key"},
        {"v=DKIM1; k=ed25519; p=AAAA", "p= has 3 octets, and an Ed25519 public key has 32"},
        {"v=DKIM1; k=ed25519; s=tlsrpt; " + p,
         "the key is not for mail: s= of its record names other services"},
    };
    for (const auto& test : cases) EXPECT_EQ(error_of(test.record), test.reason) << test.record;
}

TEST(KeyRecord, WithAnRsaKeyThatIsCutOrPaddedIsRefused) {
    const std::string record = record_of("rsa2048");
    const std::string der = *decode_base64(record.substr(record.find("p=") + 2));
    ASSERT_TRUE(PublicKey::rsa(der));
    for (std::size_t size = 0; size < der.size(); size++) {
        ASSERT_FALSE(PublicKey::rsa(der.substr(0, size))) << size;
    }
    EXPECT_FALSE(PublicKey::rsa(der + "x"));
}

// RSAPublicKey written by hand: SEQUENCE { INTEGER, INTEGER }.
TEST(KeyRecord, WithAnRsaKeyThatCostsTooMuchIsRefused) {
    const auto integer = [](std::size_t octets) {
        const char length[] = {'\x02', '\x82', static_cast<char>(octets >> 8),
                               static_cast<char>(octets & 255)};
        return std::string(length, 4) + std::string(octets, '\x55');
    };
    const auto reason = [&](std::size_t modulus, std::size_t exponent) {
        const std::string numbers = integer(modulus) + integer(exponent);
        const char length[] = {'\x30', '\x82', static_cast<char>(numbers.size() >> 8),
                               static_cast<char>(numbers.size() & 255)};
        const auto key = PublicKey::rsa(std::string(length, 4) + numbers);
        return key ? "" : key.error().message;
    };
    EXPECT_EQ(reason(1024, 8), "");
    EXPECT_EQ(reason(1025, 3), "the RSA key has more than 8192 bits");
    EXPECT_EQ(reason(256, 9), "the exponent of the RSA key has more than 64 bits");
    EXPECT_EQ(reason(256, 0), "p= is not an RSA public key");
    EXPECT_EQ(reason(0, 3), "p= is not an RSA public key");
}

TEST(KeyRecord, ForAZoneFileIsInStringsOf255Octets) {
    EXPECT_EQ(zone_file_strings("short"), "\"short\"");
    EXPECT_EQ(zone_file_strings(""), "\"\"");
    EXPECT_EQ(zone_file_strings("a\"b\\c"), "\"a\\\"b\\\\c\"");
    const std::string record = record_of("rsa2048");
    ASSERT_GT(record.size(), 255u);
    EXPECT_EQ(zone_file_strings(record),
              "\"" + record.substr(0, 255) + "\" \"" + record.substr(255) + "\"");
}

TEST(KeyAnswer, TellsNoKeyFromNoAnswer) {
    const auto none = read_keys({.status = dns::Answer::Status::NxDomain});
    EXPECT_FALSE(none->temporary);
    EXPECT_EQ(none->reason, "the domain publishes no key under this selector");
    const auto unknown = read_keys(dns::Answer::temporary(dns::Answer::Failure::Timeout, "late"));
    EXPECT_TRUE(unknown->temporary);
    EXPECT_EQ(unknown->reason, "the key could not be looked up: late");
}

TEST(KeyAnswer, PassesOverOtherTextsAtTheName) {
    dns::Answer answer = txt("v=spf1 -all");
    answer.records.push_back(dns::Txt{record_of("rsa2048")});
    for (int i = 0; i < 10; i++) answer.records.push_back(answer.records[1]);
    EXPECT_EQ(read_keys(answer)->keys.size(), kKeyRecordsMax);
    EXPECT_TRUE(read_keys(txt("v=spf1 -all"))->keys.empty());
    EXPECT_EQ(read_keys(txt("v=spf1 -all"))->reason, "the key record has a v= other than DKIM1");
}

dns::Name name_of(int number) {
    return *dns::Name::parse("s" + std::to_string(number) + "._domainkey.example.org");
}

TEST(KeyCache, KeepsAnAnswerForItsTimeToLive) {
    KeyCache cache;
    const Monotonic now{};
    const auto answer = read_keys(txt(record_of("rsa2048")));  // for an hour
    EXPECT_EQ(cache.find(name_of(1), now), nullptr);
    cache.store(name_of(1), answer, now);
    EXPECT_EQ(cache.find(name_of(1), now + std::chrono::minutes(59)), answer);
    EXPECT_EQ(cache.find(name_of(2), now), nullptr);
    EXPECT_EQ(cache.find(name_of(1), now + std::chrono::hours(1)), nullptr);
    EXPECT_EQ(cache.size(), 0u);
}

TEST(KeyCache, KeepsNothingForMoreThanADayAndNoFailure) {
    KeyCache cache;
    const Monotonic now{};
    auto answer = txt(record_of("rsa2048"));
    answer.ttl_seconds = UINT32_MAX;
    cache.store(name_of(1), read_keys(answer), now);
    EXPECT_NE(cache.find(name_of(1), now + std::chrono::hours(23)), nullptr);
    EXPECT_EQ(cache.find(name_of(1), now + std::chrono::hours(24)), nullptr);
    cache.store(name_of(1), read_keys(dns::Answer::temporary(dns::Answer::Failure::Timeout, "")),
                now);
    answer.ttl_seconds = 0;
    cache.store(name_of(2), read_keys(answer), now);
    EXPECT_EQ(cache.size(), 0u);
}

TEST(KeyCache, DropsTheOneNotUsedForLongest) {
    KeyCache cache(3);
    const Monotonic now{};
    const auto answer = read_keys(txt(record_of("rsa2048")));
    for (int i = 1; i <= 3; i++) cache.store(name_of(i), answer, now);
    EXPECT_NE(cache.find(name_of(1), now), nullptr);
    cache.store(name_of(3), answer, now);  // the same again takes no more room
    cache.store(name_of(4), answer, now);
    EXPECT_EQ(cache.size(), 3u);
    EXPECT_EQ(cache.find(name_of(2), now), nullptr);
    EXPECT_NE(cache.find(name_of(1), now), nullptr);
    EXPECT_NE(cache.find(name_of(3), now), nullptr);
    EXPECT_NE(cache.find(name_of(4), now), nullptr);
}

}  // namespace
}  // namespace postrider::mailauth::dkim
