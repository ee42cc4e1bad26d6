// What a signature's result says. The messages were signed by others (testdata/SOURCES.md); what
// changes here is the message, the key record, the time or an option.

#include "mailauth/dkim/verifier.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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
using testing::with_crlf;
using testing::Zone;

constexpr const char* kEdName = "brisbane._domainkey.football.example.com";
constexpr const char* kRsaName = "test._domainkey.football.example.com";
const std::string kEdKey = "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

// RFC 8463 A.3: an Ed25519 signature above an RSA one, both relaxed.
Message rfc8463() { return split(load("rfc/rfc8463-a3.eml")); }

Zone zone_of(const char* file) {
    Zone zone;
    for (const auto& [name, text] : nlohmann::json::parse(load(file))["dns"].items()) {
        zone[name] = txt(text);
    }
    return zone;
}
Zone rfc_zone() { return zone_of("rfc/expected.json"); }
Zone made_zone() { return zone_of("made/keys.json"); }

std::string line_of(const SignatureResult& result) {
    return std::string(name(result.code)) + ": " + result.reason;
}

// The Ed25519 signature of RFC 8463 with another record for its key.
std::string with_record(const std::string& record, VerifyOptions options = {}) {
    Zone zone = rfc_zone();
    zone[kEdName] = txt(record);
    return line_of(verify(rfc8463(), zone, options).signatures.at(0));
}

std::string with_message(const Message& message, VerifyOptions options = {}) {
    return line_of(verify(message, rfc_zone(), options).signatures.at(0));
}

TEST(Verifier, SaysWhatItFound) {
    const Report report = verify(rfc8463(), rfc_zone());
    ASSERT_EQ(report.signatures.size(), 2u);
    EXPECT_EQ(report.skipped, 0u);
    const SignatureResult& ed = report.signatures[0];
    EXPECT_EQ(line_of(ed), "pass: good signature");
    EXPECT_EQ(ed.domain, "football.example.com");
    EXPECT_EQ(ed.selector, "brisbane");
    EXPECT_EQ(ed.identity, "@football.example.com");
    EXPECT_EQ(ed.algorithm, "ed25519-sha256");
    EXPECT_EQ(ed.key_bits, 256u);
    EXPECT_EQ(ed.signed_at, 1528637909);
    EXPECT_EQ(ed.b_begin, "/gCrinpc");
    EXPECT_FALSE(ed.testing || ed.key_secure || ed.expires_at || ed.length);
    EXPECT_EQ(ed.body_octets, ed.body_octets_signed);
    EXPECT_EQ(report.signatures[1].key_bits, 1024u);
    EXPECT_EQ(report.signatures[1].algorithm, "rsa-sha256");
}

TEST(Verifier, AsksForEachKeyOnce) {
    Message message = rfc8463();
    Verifier verifier(message.header + message.header);
    EXPECT_EQ(verifier.signature_count(), 4u);
    ASSERT_EQ(verifier.questions().size(), 2u);
    EXPECT_EQ(dns::text(verifier.questions()[0]), "TXT " + std::string(kEdName));
    EXPECT_EQ(dns::text(verifier.questions()[1]), "TXT " + std::string(kRsaName));
}

TEST(Verifier, AsksNothingWithoutASignature) {
    Verifier verifier("From: a@example.org\r\nDomainKey-Signature: a=rsa-sha1; b=x\r\n");
    EXPECT_EQ(verifier.signature_count(), 0u);
    EXPECT_TRUE(verifier.questions().empty());
    verifier.update("body");
    const Report report = verifier.finish(kNow);
    EXPECT_TRUE(report.signatures.empty());
}

TEST(Verifier, SaysWhatWasChanged) {
    Message body = rfc8463();
    body.body += "more\r\n";
    EXPECT_EQ(with_message(body),
              "fail: the body was changed after signing; the header fields are as signed");
    Message header = rfc8463();
    header.header.replace(header.header.find("Subject: "), 9, "Subject: x");
    EXPECT_EQ(with_message(header),
              "fail: the signed header fields were changed, or another key signed them");
    header.body = body.body;
    EXPECT_EQ(with_message(header),
              "fail: header and body were changed, or another key signed them");
}

TEST(Verifier, BelievesAHeaderBlockWithItsEmptyLineToo) {
    Message message = rfc8463();
    message.header += "\r\n";
    EXPECT_EQ(with_message(message), "pass: good signature");
}

TEST(Verifier, NeedsTheHeaderBlockOnlyAtFirst) {
    const Message message = rfc8463();
    std::string block = message.header;
    Verifier verifier(block);
    std::ranges::fill(block, '?');
    verifier.update(message.body);
    for (const dns::Question& question : verifier.questions()) {
        verifier.answer(question, testing::look_up(rfc_zone(), question));
    }
    for (const SignatureResult& result : verifier.finish(testing::kNow).signatures) {
        EXPECT_EQ(line_of(result), "pass: good signature");
    }
}

TEST(Verifier, ReportsWhatIsWrongWithTheKey) {
    const std::string ed = "v=DKIM1; k=ed25519; ";
    EXPECT_EQ(with_record(ed + "p="), "permerror: the key is revoked: its record has an empty p=");
    EXPECT_EQ(with_record(ed + "h=sha1; " + kEdKey),
              "permerror: the key record (h=) does not allow sha256");
    EXPECT_EQ(with_record(ed + "s=tlsrpt; " + kEdKey),
              "permerror: the key is not for mail: s= of its record names other services");
    const std::string rsa = std::get<dns::Txt>(rfc_zone()[kRsaName].records[0]).text;
    EXPECT_EQ(with_record(rsa),
              "permerror: the key record (k=) does not fit the signature's a=ed25519-sha256");
    EXPECT_EQ(with_record(ed + "p=pP+YUyRjAvKha4Oc49KAY703oLUS1NLMEuGD3IHMKww="),
              "fail: the signed header fields were changed, or another key signed them");
    EXPECT_EQ(with_record(ed + "h=sha256; s=email; t=s; " + kEdKey), "pass: good signature");
}

TEST(Verifier, TellsATestingKey) {
    Zone zone = rfc_zone();
    zone[kEdName] = txt("k=ed25519; t=y; " + kEdKey);
    zone[kEdName].secure = true;
    const Report report = verify(rfc8463(), zone);
    EXPECT_EQ(report.signatures[0].code, ResultCode::Pass);
    EXPECT_TRUE(report.signatures[0].testing);
    EXPECT_TRUE(report.signatures[0].key_secure);
}

TEST(Verifier, TellsAMissingKeyFromAFailureOfDns) {
    Zone zone = rfc_zone();
    zone.erase(kEdName);
    zone[kRsaName] = dns::Answer::temporary(dns::Answer::Failure::ServFail, "servers failed");
    EXPECT_EQ(reasons(verify(rfc8463(), zone)),
              "permerror: the domain publishes no key under this selector\n"
              "temperror: the key could not be looked up: servers failed\n");
}

TEST(Verifier, TakesAnUnansweredQuestionAsATemporaryError) {
    const Message message = rfc8463();
    Verifier verifier(message.header);
    verifier.answer({*dns::Name::parse("other.example"), dns::Type::Txt}, txt(kEdKey));
    verifier.update(message.body);
    EXPECT_EQ(line_of(verifier.finish(kNow).signatures.at(0)),
              "temperror: the key was not looked up in time");
}

TEST(Verifier, LooksAtTheFirstTenSignaturesOnly) {
    Message message = rfc8463();
    const std::string bad = "DKIM-Signature: v=1; a=rsa-sha256\r\n";
    for (int i = 0; i < 998; i++) message.header += bad;
    const Report report = verify(message, rfc_zone());
    ASSERT_EQ(report.signatures.size(), 10u);
    EXPECT_EQ(report.skipped, 990u);
    EXPECT_EQ(report.signatures[0].code, ResultCode::Pass);
    EXPECT_EQ(report.signatures[1].code, ResultCode::Pass);
    EXPECT_EQ(line_of(report.signatures[2]), "permerror: d= is missing");
}

// t= is 1528637909.
TEST(Verifier, RefusesASignatureFromTheFuture) {
    const Message message = rfc8463();
    const auto at = [&](int64_t seconds) {
        Verifier verifier(message.header);
        for (const auto& question : verifier.questions()) {
            verifier.answer(question, testing::look_up(rfc_zone(), question));
        }
        verifier.update(message.body);
        return line_of(verifier.finish({seconds * 1'000'000}).signatures.at(0));
    };
    EXPECT_EQ(at(1528637909 - 300), "pass: good signature");
    EXPECT_EQ(at(1528637909 - 301), "permerror: the signature was made in the future (t=)");
}

// ignore_7: x=1193229946. Nothing is asked of the message's content, so it need not hold.
TEST(Verifier, RefusesAnExpiredSignature) {
    const Message message = split(with_crlf(load("mail-dkim/corpus/ignore_7.txt")));
    Verifier late(message.header), in_time(message.header);
    EXPECT_EQ(line_of(late.finish({(1193229946LL + 301) * 1'000'000}).signatures.at(0)),
              "permerror: the signature has expired (x=)");
    EXPECT_EQ(line_of(in_time.finish({(1193229946LL + 300) * 1'000'000}).signatures.at(0)),
              "temperror: the key was not looked up in time");
}

TEST(Verifier, WantsTheIdentityToBeTheDomainWhenTheKeySaysSo) {
    const Message message = split(load("made/dkimpy-subdomain.eml"));
    Zone zone = made_zone();
    EXPECT_EQ(reasons(verify(message, zone)), "pass: good signature\n");
    EXPECT_EQ(verify(message, zone).signatures[0].identity, "@lists.example.org");
    auto& record = std::get<dns::Txt>(zone["rsa2048._domainkey.example.org"].records[0]).text;
    record += "; t=s";
    EXPECT_EQ(reasons(verify(message, zone)),
              "permerror: i= is of a subdomain, which the key record (t=s) does not allow\n");
}

TEST(Verifier, TakesKeysOf8192BitsAndBothFormsOfRsa) {
    for (const char* file : {"made/dkimpy-rsa8192.eml", "made/dkimpy-pkcs1.eml"}) {
        EXPECT_EQ(reasons(verify(split(load(file)), made_zone())), "pass: good signature\n")
            << file;
    }
}

TEST(Verifier, LooksUpAnInternationalDomainByItsALabels) {
    const Report report = verify(split(load("made/dkimpy-idn.eml")), made_zone());
    EXPECT_EQ(reasons(report), "pass: good signature\n");
    EXPECT_EQ(report.signatures[0].domain, "xn--bcher-kva.example");
    EXPECT_EQ(report.signatures[0].selector, "xn--schlssel-95a");
    EXPECT_EQ(report.signatures[0].identity, "jürgen@xn--bcher-kva.example");
}

// RFC 8301: goodkey_4 is signed with rsa-sha1 and 512 bits, mine_ietf01_4 and others with
// rsa-sha256.
TEST(Verifier, RefusesWhatRfc8301Forbids) {
    const Message message = split(with_crlf(load("mail-dkim/corpus/goodkey_4.txt")));
    Zone zone;
    const auto dns = nlohmann::json::parse(load("mail-dkim/dns.json"));
    zone["test1._domainkey.messiah.edu"] = txt(dns["test1._domainkey.messiah.edu"]);
    EXPECT_EQ(reasons(verify(message, zone)),
              "permerror: rsa-sha1 must not be used any more (RFC 8301); sign with rsa-sha256\n");
    EXPECT_EQ(reasons(verify(message, zone, {.legacy = true})), "pass: good signature\n");
    Zone small = made_zone();
    small["rsa2048._domainkey.example.org"] = small["rsa512._domainkey.example.org"];
    EXPECT_EQ(reasons(verify(split(load("made/dkimpy-subdomain.eml")), small)),
              "permerror: the RSA key has only 512 bits, and 1024 are the least (RFC 8301)\n");
}

// l=25, the whole body.
TEST(Verifier, SaysHowMuchOfTheBodyIsSigned) {
    const Zone zone = zone_of("dkimpy/scenarios.json");
    Message message = split(load("made/dkimpy-length.eml"));
    Report report = verify(message, zone);
    EXPECT_EQ(reasons(report), "pass: good signature\n");
    EXPECT_EQ(report.signatures[0].length, 25u);
    EXPECT_EQ(report.signatures[0].body_octets, 25u);
    message.body += "added\r\n";
    report = verify(message, zone);
    EXPECT_EQ(reasons(report),
              "pass: good signature, over the first 25 of 32 octets of the body (l=)\n");
    EXPECT_EQ(report.signatures[0].body_octets_signed, 25u);
    EXPECT_EQ(report.signatures[0].body_octets, 32u);
    EXPECT_EQ(verify(message, zone, {.partial_body_is_policy = true}).signatures[0].code,
              ResultCode::Policy);
    message.body = "This is a test\r\n";
    EXPECT_EQ(reasons(verify(message, zone)),
              "fail: the body was cut short: 25 octets were signed (l=), 16 are left\n");
}

// dkimpy signs From twice, so that none can be added; the RFC's example signs it twice, too. The
// corpus has those that do not.
TEST(Verifier, RefusesAnAuthorThatNobodySigned) {
    Zone zone;
    const auto dns = nlohmann::json::parse(load("mail-dkim/dns.json"));
    zone["test1._domainkey.messiah.edu"] = txt(dns["test1._domainkey.messiah.edu"]);
    Message message = split(with_crlf(load("mail-dkim/corpus/goodkey_4.txt")));
    message.header = "From: forged@example.net\r\n" + message.header;
    EXPECT_EQ(reasons(verify(message, zone, {.legacy = true})),
              "policy: the message has 2 From fields, and only 1 of them is signed\n");
    Message oversigned = rfc8463();
    oversigned.header = "From: forged@example.net\r\n" + oversigned.header;
    EXPECT_EQ(verify(oversigned, rfc_zone()).signatures[0].code, ResultCode::Fail);
}

TEST(Verifier, TakesRepeatedFieldsFromTheBottom) {
    Message message = rfc8463();
    const std::string subject = "Subject: another\r\n";
    // Above the one that was signed: not signed, and so no harm; below it: another message. The
    // example signs Subject twice, so the first is seen, too.
    message.header += "X-Unsigned: a\r\nx-unsigned: b\r\n";
    EXPECT_EQ(with_message(message), "pass: good signature");
    Message twice = rfc8463();
    twice.header = subject + twice.header;
    EXPECT_EQ(verify(twice, rfc_zone()).signatures[0].code, ResultCode::Fail);
}

// Signed by dkimpy in two forms; X-Note stands there twice, and the lower one is signed.
TEST(Verifier, EachSignatureHasItsOwnForms) {
    const Message good = split(load("made/dkimpy-two-forms.eml"));
    const auto codes = [&](const Message& message) {
        std::string out;
        for (const auto& result : verify(message, made_zone()).signatures) {
            out += std::string(name(result.code)) + " ";
        }
        return out;
    };
    // simple/relaxed, then relaxed/simple
    EXPECT_EQ(codes(good), "pass pass ");
    const auto changed = [&](std::string Message::* part, std::string_view from,
                             std::string_view to) {
        Message message = good;
        (message.*part).replace((message.*part).find(from), from.size(), to);
        return codes(message);
    };
    EXPECT_EQ(changed(&Message::body, "A  body \t\r\n", "A body\r\n"), "pass fail ");
    EXPECT_EQ(changed(&Message::body, "A  body \t\r\n", "A  bod y\r\n"), "fail fail ");
    EXPECT_EQ(changed(&Message::body, "lines\r\n\r\n", "lines\r\n\r\n\r\n"), "pass pass ");
    EXPECT_EQ(changed(&Message::header, "Subject: A", "SUBJECT:  A"), "fail pass ");
    EXPECT_EQ(changed(&Message::header, "the upper", "another"), "pass pass ");
    EXPECT_EQ(changed(&Message::header, "X-Note: the upper\r\n", ""), "pass pass ");
    EXPECT_EQ(changed(&Message::header, "the lower", "another"), "fail fail ");
}

TEST(Verifier, SurvivesAnyChangeOfOneOctet) {
    const Message good = rfc8463();
    const std::size_t end = good.header.find("From:");
    for (std::size_t at = 0; at < end; at += 3) {
        for (const char c : {'\0', ';', '\n'}) {
            Message message = good;
            if (message.header[at] == c) continue;
            message.header[at] = c;
            (void)verify(message, rfc_zone());
        }
    }
}

}  // namespace
}  // namespace postrider::mailauth::dkim
