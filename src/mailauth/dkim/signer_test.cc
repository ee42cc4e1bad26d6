// What our signatures look like. That others believe them is shown by
// tests/mailauth/dkim_peers_test.py and that they end as dkimpy's scenarios say by vectors_test.cc.

#include "mailauth/dkim/signer.h"

#include <gtest/gtest.h>

#include "mailauth/dkim/key_record.h"
#include "mailauth/dkim/tag_list.h"
#include "mailauth/dkim/testing.h"

namespace postrider::mailauth::dkim {
namespace {

using testing::kNow;
using testing::load;
using testing::Message;
using testing::reasons;
using testing::split;
using testing::txt;
using testing::verify;
using testing::Zone;

PrivateKey rsa_key() { return *PrivateKey::from_pem(load("made/rsa2048-pkcs8.pem")); }
PrivateKey ed_key() { return *PrivateKey::from_pem(load("mail-dkim/test.ed.key")); }

SigningKey signing_key() {
    return {.domain = "example.org", .selector = "sel", .key = ed_key(), .identity = {}};
}

Result<std::string> sign(const Message& message, std::vector<SigningKey> keys,
                         const SignOptions& options = {}) {
    auto signer = Signer::start(message.header, std::move(keys), options, kNow);
    if (!signer) return std::unexpected(signer.error());
    signer->update(message.body);
    return signer->finish();
}

std::string error_of(const Message& message, std::vector<SigningKey> keys,
                     const SignOptions& options = {}) {
    const auto fields = sign(message, std::move(keys), options);
    return fields ? "" : fields.error().message;
}

const Message kMessage{"From: a@example.org\r\nTo: b@example.net\r\nTo: c@example.net\r\n",
                       "x\r\n"};

// The value of a tag of the first field.
std::string tag_of(const std::string& fields, std::string_view tag) {
    const HeaderField field = *HeaderReader(fields).next();
    std::string value(TagList::parse(field.value)->value(tag).value_or("(none)"));
    std::erase_if(value, [](char c) { return c == ' ' || c == '\r' || c == '\n'; });
    return value;
}

// RFC 8463 A: the key, the message and the hash of its body are those of the RFC.
TEST(Signer, HasTheBodyHashOfTheRfc) {
    const Message message = split(testing::with_crlf(load("dkimpy/rfc6376.msg")));
    const auto fields = sign(message, {signing_key()});
    ASSERT_TRUE(fields);
    EXPECT_EQ(tag_of(*fields, "bh"), "2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=");
}

TEST(Signer, WritesTheTagsInOrderAndFoldsThem) {
    SigningKey key = signing_key();
    key.identity = "a=b;c@Sub.Example.ORG";
    const SignOptions options{.fields = {{"From", Oversign::Always}, {"to"}, {"Cc"}},
                              .expires_after = std::chrono::hours(1)};
    const auto fields = sign(kMessage, {key}, options);
    ASSERT_TRUE(fields) << fields.error().message;
    const std::size_t b = fields->find(" b=");
    EXPECT_EQ(fields->substr(0, fields->find(" bh=")),
              "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed; d=example.org;\r\n"
              " s=sel; i=a=3Db=3Bc@sub.example.org; t=1800000000; x=1800003600; h=From:From:\r\n"
              " to:to;");
    EXPECT_TRUE(fields->ends_with("==\r\n"));
    EXPECT_EQ(fields->find(';', b), std::string::npos);
}

TEST(Signer, KeepsLinesShort) {
    std::string header = "From: a@example.org\r\n";
    for (int i = 0; i < 100; i++) header += "List-Id: x\r\nReceived: y\r\n";
    for (const char* name : {"To", "Subject", "Date", "Message-ID", "References"}) {
        header += std::string(name) + ": z\r\n";
    }
    const auto fields = sign({header, ""}, {{"example.org", "s", rsa_key(), {}}, signing_key()});
    ASSERT_TRUE(fields);
    EXPECT_TRUE(fields->ends_with("\r\n"));
    std::size_t lines = 0;
    for (std::size_t at = 0; at < fields->size(); lines++) {
        const std::size_t end = fields->find("\r\n", at);
        EXPECT_LE(end - at, 78u) << fields->substr(at, end - at);
        EXPECT_GT(end - at, 1u);
        at = end + 2;
    }
    EXPECT_GT(lines, 25u);
}

TEST(Signer, NamesEachFieldOnceAndTheOversignedOnceMore) {
    const SignOptions options{.fields = {{"From"},
                                         {"To", Oversign::IfPresent},
                                         {"Cc", Oversign::IfPresent},
                                         {"Subject", Oversign::Always},
                                         {"Date"}}};
    EXPECT_EQ(tag_of(*sign(kMessage, {signing_key()}, options), "h"), "From:To:To:To:Subject");
}

TEST(Signer, OversignsByDefaultWhatAReaderSees) {
    const std::string h = tag_of(*sign(kMessage, {signing_key()}), "h");
    EXPECT_EQ(h, "From:From:Reply-To:To:To:To:Cc:Subject:In-Reply-To:References");
}

// Fields that most messages have once are named once more where they are there, so that none can be
// added; where they are missing, a program on the way may add them.
TEST(Signer, OversignsSomeFieldsWhereTheyAreThereOnly) {
    const Message dated{"Date: Fri, 13 Nov 2026 00:00:00 +0000\r\n" + kMessage.header,
                        kMessage.body};
    EXPECT_EQ(tag_of(*sign(kMessage, {signing_key()}), "h").find("Date"), std::string::npos);
    const auto field = sign(dated, {signing_key()});
    EXPECT_NE(tag_of(*field, "h").find("Date:Date:"), std::string::npos) << *field;
    const Zone zone{{"sel._domainkey.example.org", txt(key_record_text(ed_key()))}};
    Message with_field{*field + dated.header, dated.body};
    EXPECT_EQ(reasons(verify(with_field, zone)), "pass: good signature\n");
    with_field.header = "Date: Sat, 14 Nov 2026 00:00:00 +0000\r\n" + with_field.header;
    EXPECT_EQ(verify(with_field, zone).signatures.at(0).code, ResultCode::Fail);
}

// RFC 6376 §3.5: h= may name DKIM-Signature, which means those that were there before, and never
// the field itself.
TEST(Signer, MayOversignTheSignaturesThatAreThere) {
    const auto first = sign(kMessage, {signing_key()});
    const Message once{*first + kMessage.header, kMessage.body};
    SignOptions options;
    options.fields = {{"From", Oversign::Always}, {"DKIM-Signature", Oversign::Always}};
    const auto second = sign(once, {signing_key()}, options);
    EXPECT_EQ(tag_of(*second, "h"), "From:From:DKIM-Signature:DKIM-Signature");
    const Zone zone{{"sel._domainkey.example.org", txt(key_record_text(ed_key()))}};
    Message twice{*second + once.header, once.body};
    EXPECT_EQ(reasons(verify(twice, zone)), "pass: good signature\npass: good signature\n");
    // The outer one holds only with the inner one as it was.
    twice.header.replace(twice.header.rfind("s=sel"), 5, "s=sol");
    EXPECT_EQ(verify(twice, zone).signatures.at(0).code, ResultCode::Fail);
}

TEST(Signer, SignsWithSeveralKeysInOnePass) {
    const SigningKey rsa{.domain = "Example.ORG", .selector = "rsa", .key = rsa_key()};
    const auto fields = sign(kMessage, {rsa, signing_key()});
    ASSERT_TRUE(fields);
    const Zone zone{{"rsa._domainkey.example.org", txt(key_record_text(rsa_key()))},
                    {"sel._domainkey.example.org", txt(key_record_text(ed_key()))}};
    const Message with_fields{*fields + kMessage.header, kMessage.body};
    const Report report = verify(with_fields, zone);
    EXPECT_EQ(reasons(report), "pass: good signature\npass: good signature\n");
    EXPECT_EQ(report.signatures[0].selector, "rsa");
    EXPECT_EQ(report.signatures[1].selector, "sel");
    // What is added to an oversigned field, or to the body, is seen by both.
    Message added = with_fields;
    added.header += "Subject: added\r\n";
    for (const auto& result : verify(added, zone).signatures) {
        EXPECT_EQ(result.code, ResultCode::Fail);
    }
}

TEST(Signer, WritesAnInternationalDomainAsALabels) {
    SigningKey key = signing_key();
    key.domain = "Bücher.example";
    key.selector = "schlüssel";
    key.identity = "jürgen@bücher.example";
    const auto fields = sign(kMessage, {key});
    ASSERT_TRUE(fields) << fields.error().message;
    EXPECT_EQ(tag_of(*fields, "d"), "xn--bcher-kva.example");
    EXPECT_EQ(tag_of(*fields, "s"), "xn--schlssel-95a");
    EXPECT_EQ(tag_of(*fields, "i"), "j=C3=BCrgen@xn--bcher-kva.example");
}

TEST(Signer, MayLeaveOutTheTime) {
    const auto fields = sign(kMessage, {signing_key()}, {.timestamp = false});
    EXPECT_EQ(tag_of(*fields, "t"), "(none)");
    EXPECT_EQ(tag_of(*fields, "x"), "(none)");
}

TEST(Signer, RefusesWhatWouldNotVerify) {
    const auto with = [](auto change) {
        SigningKey key = signing_key();
        change(key);
        return error_of(kMessage, {key});
    };
    EXPECT_EQ(error_of({"To: b@example.net\r\n", ""}, {signing_key()}),
              "the message has no From field");
    EXPECT_EQ(error_of(kMessage, {}), "there is no key to sign with");
    EXPECT_EQ(error_of(kMessage, std::vector(11, signing_key())),
              "more than 10 keys to sign one message with");
    EXPECT_EQ(error_of(kMessage, {signing_key()}, {.fields = {{"To"}}}),
              "From is not among the fields to sign");
    EXPECT_EQ(error_of(kMessage, {signing_key()}, {.fields = {{"From"}, {"a:b"}}}),
              "\"a:b\" among the fields to sign is not a field name");
    EXPECT_EQ(error_of(kMessage, {signing_key()}, {.expires_after = std::chrono::seconds(0)}),
              "a signature cannot expire before it is made");
    EXPECT_EQ(with([](SigningKey& key) { key.domain = "org"; }),
              "cannot sign for \"org\": not a domain name");
    EXPECT_EQ(with([](SigningKey& key) { key.selector = "a b"; }),
              "cannot sign with the selector \"a b\" of example.org: not a selector");
    EXPECT_EQ(with([](SigningKey& key) { key.identity = "a@example.com"; }),
              "cannot sign with the identity \"a@example.com\": not in example.org");
    EXPECT_EQ(with([](SigningKey& key) { key.identity = "nobody"; }),
              "cannot sign with the identity \"nobody\": not in example.org");
    std::string many = kMessage.header;
    for (int i = 0; i < 500; i++) many += "To: x@example.net\r\n";
    EXPECT_EQ(error_of({many, ""}, {signing_key()}),
              "the message has more than 500 fields to sign");
}

}  // namespace
}  // namespace postrider::mailauth::dkim
