// The parts beneath an exchange: base64, SASLprep, stored keys, tokens.

#include <chrono>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "smtp/sasl/base64.h"
#include "smtp/sasl/jwt.h"
#include "smtp/sasl/prepare.h"
#include "smtp/sasl/scram.h"

namespace postrider::smtp::sasl {
namespace {

std::string read(const std::string& name) {
    std::ifstream file(std::string(POSTRIDER_SOURCE_DIR) + "/src/smtp/sasl/testdata/jwt/" + name);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
}

// RFC 4648 §10.
TEST(Base64, ExamplesOfTheRfc) {
    for (auto [octets, text] :
         std::initializer_list<std::pair<const char*, const char*>>{{"", ""},
                                                                    {"f", "Zg=="},
                                                                    {"fo", "Zm8="},
                                                                    {"foo", "Zm9v"},
                                                                    {"foob", "Zm9vYg=="},
                                                                    {"fooba", "Zm9vYmE="},
                                                                    {"foobar", "Zm9vYmFy"}}) {
        EXPECT_EQ(encode_base64(octets), text);
        EXPECT_EQ(decode_base64(text), octets);
    }
}

TEST(Base64, WhatIsNotWholeOrHasOtherLettersIsRefused) {
    for (const char* text : {"Z", "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "Zm9v=", "Zm 9v",
                             "Zm9v\n", "Zg==Zg==", "Zm9-", "Zm9_", "=Zm9"}) {
        EXPECT_FALSE(decode_base64(text)) << text;
    }
}

// RFC 4013 §3.
TEST(Prepare, ExamplesOfTheRfc) {
    EXPECT_EQ(prepare("I\u00ADX"), "IX");
    EXPECT_EQ(prepare("user"), "user");
    EXPECT_EQ(prepare("USER"), "USER");
    EXPECT_EQ(prepare("\u00AA"), "a");
    EXPECT_EQ(prepare("\u2168"), "IX");
    EXPECT_FALSE(prepare("\x07"));
    EXPECT_FALSE(prepare("\u0627\u0031"));
}

TEST(Prepare, NothingAndWhatIsNoUtf8IsRefused) {
    EXPECT_FALSE(prepare(""));
    EXPECT_FALSE(prepare("\u00AD"));
    EXPECT_FALSE(prepare("\xff"));
    EXPECT_FALSE(prepare(std::string_view("a\0b", 3)));
    EXPECT_FALSE(prepare(std::string(1025, 'a')));
}

TEST(ScramKeys, StoredFormIsThatOfRfc5803) {
    const std::string text =
        ScramKeys::from_password(Hash::Sha256, "pencil", "0123456789abcdef", 4096).text();
    const auto keys = ScramKeys::parse(text);
    ASSERT_TRUE(keys);
    EXPECT_EQ(keys->text(), text);
    EXPECT_TRUE(keys->knows("pencil"));
    EXPECT_FALSE(keys->knows("Pencil"));
    for (std::string bad : {"", "SCRAM-SHA-256$", "SCRAM-SHA-256$4096",
                            "SCRAM-SHA-256$4096:$:", "SCRAM-SHA-256$1:c2FsdA==$AAAA:AAAA",
                            "SCRAM-SHA-512$4096:c2FsdA==$AAAA:AAAA"}) {
        EXPECT_FALSE(ScramKeys::parse(bad)) << bad;
    }
    EXPECT_FALSE(ScramKeys::parse(text + "="));
    // Fewer iterations than are worth anything, more than a server should do (RFC 7677 §4).
    for (const char* iterations : {"1", "4095", "0", "04096", "99999999"}) {
        std::string other = text;
        other.replace(other.find('$') + 1, 4, iterations);
        EXPECT_FALSE(ScramKeys::parse(other)) << other;
    }
}

TEST(Jwt, TokensOfAnIssuerAreTakenAndNothingElse) {
    const auto keys = TokenKeys::parse(read("keys.pem"));
    ASSERT_TRUE(keys) << keys.error().message;
    EXPECT_EQ(keys->size(), 3);
    const auto vectors = nlohmann::json::parse(read("tokens.json"));
    const TokenRules rules{.issuer = "https://id.example.org", .audience = "mail.example.org"};
    const std::chrono::sys_seconds now{std::chrono::seconds(vectors["now"].get<int64_t>())};
    int agreed = 0, all = 0;
    for (const auto& vector : vectors["cases"]) {
        all++;
        const auto identity =
            identity_of_token(vector["token"].get<std::string>(), *keys, rules, now);
        const bool good = vector["identity"].is_null()
                              ? !identity
                              : identity && *identity == vector["identity"].get<std::string>();
        EXPECT_TRUE(good) << vector["what"] << ": "
                          << (identity ? *identity : identity.error().message);
        agreed += good;
    }
    fmt::print("vectors sasl/jwt: {} of {}, {} differences\n", agreed, all, all - agreed);
    EXPECT_GE(all, 20);
}

TEST(Jwt, KeysThatAreWeakOrNoKeysAreRefused) {
    EXPECT_FALSE(TokenKeys::parse(""));
    EXPECT_FALSE(TokenKeys::parse("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"));
    EXPECT_FALSE(TokenKeys::parse(read("weak.pem")));
    EXPECT_FALSE(TokenKeys::parse(read("keys.pem") + "-----BEGIN PUBLIC KEY-----\nAA"));
}

}  // namespace
}  // namespace postrider::smtp::sasl
