// Messages that others signed: the examples of the RFCs, dkimpy's and Mail::DKIM's. Origin and
// licence: src/mailauth/dkim/testdata/SOURCES.md.

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "mailauth/dkim/signer.h"
#include "mailauth/dkim/tag_list.h"
#include "mailauth/dkim/testing.h"

namespace postrider::mailauth::dkim {
namespace {

using nlohmann::json;
using testing::kNow;
using testing::load;
using testing::Message;
using testing::reasons;
using testing::split;
using testing::summary;
using testing::txt;
using testing::verify;
using testing::with_crlf;
using testing::Zone;

// Chunk sizes that every message is fed in.
constexpr std::size_t kPieces[] = {SIZE_MAX, 1, 7, 64};

void print_count(const char* name, int agreed, int all, int differences) {
    fmt::print("vectors {}: {} of {}, {} differences\n", name, agreed, all, differences);
    EXPECT_EQ(agreed + differences, all);
}

Zone zone_of(const json& dns) {
    Zone zone;
    for (const auto& [name, text] : dns.items()) {
        const std::string record = text;
        const std::string key = dns::Name::parse(name)->text();
        if (record == "NXDOMAIN") continue;
        if (record.starts_with("~~")) {
            zone[key] = dns::Answer::temporary(dns::Answer::Failure::ServFail, record);
        } else {
            zone[key] = txt(record == "\"\"" ? "" : record);
        }
    }
    return zone;
}

TEST(DkimVectors, ExamplesOfTheRfcsPass) {
    const json expected = json::parse(load("rfc/expected.json"));
    const Zone zone = zone_of(expected["dns"]);
    int agreed = 0, all = 0;
    for (const json& test : expected["cases"]) {
        const Message message = split(load("rfc/" + test["file"].get<std::string>()));
        for (const std::size_t piece : kPieces) {
            const Report report = verify(message, zone, {}, piece);
            ASSERT_EQ(report.signatures.size(), test["signatures"].size());
            for (std::size_t i = 0; i < report.signatures.size(); i++) {
                const SignatureResult& result = report.signatures[i];
                const json& want = test["signatures"][i];
                EXPECT_EQ(result.algorithm, want["a"].get<std::string>());
                const bool same = name(result.code) == want["result"].get<std::string>();
                EXPECT_TRUE(same) << test["file"] << reasons(report);
                if (piece != SIZE_MAX) continue;
                all++;
                agreed += same;
            }
        }
    }
    print_count("dkim/rfc", agreed, all, 0);
}

void run_mail_dkim(const char* column, VerifyOptions options) {
    const Zone zone = zone_of(json::parse(load("mail-dkim/dns.json")));
    int agreed = 0, all = 0;
    for (const json& test : json::parse(load("mail-dkim/expected.json"))) {
        all++;
        const std::string file = test["file"];
        const Message message = split(with_crlf(load("mail-dkim/" + file)));
        bool same = true;
        for (const std::size_t piece : kPieces) {
            const Report report = verify(message, zone, options, piece);
            same &= summary(report) == test[column].get<std::string>();
            EXPECT_TRUE(same) << file << ' ' << column << ' ' << test[column] << '\n'
                              << test["note"] << '\n'
                              << reasons(report);
        }
        agreed += same;
    }
    print_count(fmt::format("dkim/mail-dkim {}", column).c_str(), agreed, all, 0);
}

TEST(DkimVectors, MailDkimCorpusIsJudgedByRfc8301) { run_mail_dkim("rfc8301_result", {}); }

TEST(DkimVectors, MailDkimCorpusIsJudgedByRfc6376WithTheLegacySwitch) {
    run_mail_dkim("rfc6376_result", {.legacy = true});
}

std::string dkimpy(const std::string& file) { return with_crlf(load("dkimpy/" + file)); }

TEST(DkimVectors, MessagesOfDkimpyPass) {
    const json scenarios = json::parse(load("dkimpy/scenarios.json"));
    const Zone zone = zone_of(scenarios["dns"]);
    int agreed = 0, all = 0;
    for (const json& test : scenarios["verify"]) {
        all++;
        const Report report = verify(split(dkimpy(test["file"])), zone);
        bool passed = !report.signatures.empty();
        for (const SignatureResult& result : report.signatures) {
            passed &= result.code == ResultCode::Pass;
        }
        EXPECT_TRUE(passed) << test["file"] << reasons(report);
        agreed += passed;
    }
    print_count("dkim/dkimpy verify", agreed, all, 0);
}

PrivateKey read_key(const std::string& file) {
    const std::string text = load("dkimpy/" + file);
    auto key = text.starts_with("-----") ? PrivateKey::from_pem(text)
                                         : PrivateKey::ed25519_from_seed(*decode_base64(text));
    EXPECT_TRUE(key) << file << key.error().message;
    return *key;
}

Result<std::string> sign(const Message& message, const json& test, const SignOptions& options) {
    SigningKey key{.domain = test.value("d", "example.com"),
                   .selector = test.value("s", "test"),
                   .key = read_key(test.value("key", "test.private"))};
    auto signer = Signer::start(message.header, {key}, options, kNow);
    if (!signer) return std::unexpected(signer.error());
    signer->update(message.body);
    return signer->finish();
}

// What a scenario's "mutate" says; the first word that fits.
std::vector<Message> mutated(const Message& message, const std::string& mutation) {
    const std::string second_from = "From: somebody@else.example\r\n";
    if (mutation.starts_with("append \"foo\"")) return {{message.header, message.body + "foo"}};
    if (mutation.starts_with("add header"))
        return {{message.header + "X-Foo: bar\r\n", message.body}};
    if (mutation.starts_with("add a second From")) {
        return {{second_from + message.header, message.body},
                {message.header + second_from, message.body}};
    }
    EXPECT_EQ(mutation, "");
    return {message};
}

SignOptions options_of(const std::string& c) {
    const auto form = [](std::string_view word) {
        return word == "simple" ? Canonicalization::Simple : Canonicalization::Relaxed;
    };
    const std::size_t slash = c.find('/');
    return {.header_form = form(c.substr(0, slash)), .body_form = form(c.substr(slash + 1))};
}

// One scenario: all that was signed and changed as it says must be judged as it says.
bool round_trip(const json& test, Zone zone) {
    const Message message = split(dkimpy(test["message"]));
    if (test.contains("dns"))
        zone["test._domainkey.example.com"] = txt(load("dkimpy/" + test["dns"].get<std::string>()));
    const std::vector<std::string> forms =
        test.value("c", std::vector<std::string>{"relaxed/relaxed"});
    for (const std::string& c : forms) {
        const auto fields = sign(message, test, options_of(c));
        if (!fields) {
            ADD_FAILURE() << fields.error().message;
            return false;
        }
        const Message with_fields{*fields + message.header, message.body};
        for (const Message& changed : mutated(with_fields, test.value("mutate", ""))) {
            const Report report = verify(changed, zone);
            const std::string expected = test["expect"];
            EXPECT_EQ(summary(report), expected) << test << reasons(report);
            if (summary(report) != expected) return false;
        }
    }
    return true;
}

TEST(DkimVectors, ScenariosOfDkimpyEndAsTheySay) {
    const json scenarios = json::parse(load("dkimpy/scenarios.json"));
    const Zone zone = zone_of(scenarios["dns"]);
    int agreed = 0, all = 0;
    for (const json& test : scenarios["roundtrip"]) {
        all++;
        if (test.contains("sign_with")) {
            // Nothing here signs with l=, since anyone can add to such a body; dkimpy did.
            Message message = split(load("made/dkimpy-length.eml"));
            message.body += "added more text\r\n";
            const Report report = verify(message, zone);
            EXPECT_EQ(summary(report), "pass") << reasons(report);
            const Report strict = verify(message, zone, {.partial_body_is_policy = true});
            EXPECT_EQ(summary(strict), "policy") << reasons(strict);
            agreed += summary(report) == "pass" && summary(strict) == "policy";
        } else if (test["message"] == "test_nofrom.message") {
            const auto fields = sign(split(dkimpy(test["message"])), test, {});
            EXPECT_FALSE(fields);
            agreed += !fields;
        } else {
            agreed += round_trip(test, zone);
        }
    }
    print_count("dkim/dkimpy scenarios", agreed, all, 0);
}

}  // namespace
}  // namespace postrider::mailauth::dkim
