// Addresses that others collected: isemail, and the JSON Schema test suite. Origin and licence:
// src/mail/testdata/vectors/SOURCES.md.

#include <fstream>
#include <map>

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "mail/domain.h"
#include "mail/internet_time.h"
#include "mail/mailbox.h"

namespace postrider {
namespace {

using nlohmann::json;

json load(const std::string& name) {
    std::ifstream in(POSTRIDER_SOURCE_DIR "/src/mail/testdata/vectors/" + name);
    EXPECT_TRUE(in) << name;
    return json::parse(in);
}

void report(const char* name, int agreed, int all, int differences) {
    fmt::print("vectors {}: {} of {}, {} differences\n", name, agreed, all, differences);
    EXPECT_EQ(agreed + differences, all);
}

// What a category means for an address in MAIL and RCPT: comments, folding and obsolete forms may
// stand in header fields only.
bool valid_in_smtp(const std::string& category) {
    return category == "ISEMAIL_VALID_CATEGORY" || category == "ISEMAIL_DNSWARN" ||
           category == "ISEMAIL_RFC5321";
}

TEST(MailboxVectors, IsemailIsDiagnosedAlike) {
    int agreed = 0, all = 0;
    for (const json& test : load("isemail/tests.json")) {
        ++all;
        const std::string address = test["address"];
        const bool want = valid_in_smtp(test["category"]);
        const bool taken = Mailbox::parse(address).has_value();
        EXPECT_EQ(taken, want) << test["id"] << ' ' << test["address"] << ' ' << test["diagnosis"];
        agreed += taken == want;
    }
    report("smtp/address/isemail", agreed, all, 0);
}

template <typename Taken>
void run_json_schema(const char* name, const std::map<std::string, std::string>& differences,
                     Taken taken) {
    int agreed = 0, all = 0, differing = 0;
    for (const json& group : load(fmt::format("json-schema/{}.json", name))) {
        for (const json& test : group["tests"]) {
            if (!test["data"].is_string()) continue;  // "all string formats ignore integers"
            ++all;
            const std::string data = test["data"];
            const bool same = taken(data) == test["valid"].get<bool>();
            if (differences.contains(test["description"])) {
                EXPECT_FALSE(same) << "no difference any more: " << test["description"];
                ++differing;
            } else {
                EXPECT_TRUE(same) << test["description"] << ' ' << test["data"];
                agreed += same;
            }
        }
    }
    EXPECT_EQ(std::size_t(differing), differences.size());
    report(fmt::format("smtp/address/json-schema/{}", name).c_str(), agreed, all, differing);
}

TEST(MailboxVectors, JsonSchemaEmailAgrees) {
    run_json_schema("email", {},
                    [](const std::string& text) { return Mailbox::parse(text).has_value(); });
}

TEST(MailboxVectors, JsonSchemaIdnEmailAgrees) {
    run_json_schema("idn-email", {}, [](const std::string& text) {
        return Mailbox::parse(text, AddressForm::Utf8).has_value();
    });
}

TEST(MailboxVectors, JsonSchemaIpv4Agrees) {
    run_json_schema("ipv4", {}, [](const std::string& text) { return is_ipv4_address(text); });
}

TEST(MailboxVectors, JsonSchemaIpv6Agrees) {
    const std::map<std::string, std::string> differences = {
        {"a leading zero in the last IPv4 octet is invalid",
         "RFC 5321 §4.1.3: Snum = 1*3DIGIT, a decimal integer; leading zeros are allowed"},
    };
    run_json_schema("ipv6", differences,
                    [](const std::string& text) { return is_ipv6_address(text); });
}

// RFC 5321 §4.1.2: a Domain is letters, digits and hyphens. Whether the Unicode behind an A-label
// is well chosen (RFC 5892) is for registries; such a name is looked up and found or not.
const std::string kNotOurs = "an A-label is not decoded by the grammar of SMTP";

TEST(MailboxVectors, JsonSchemaHostnameAgrees) {
    const std::map<std::string, std::string> differences = {
        {"invalid Punycode", kNotOurs},
        {"contains illegal char U+302E Hangul single dot tone mark", kNotOurs},
        {"Begins with a Spacing Combining Mark", kNotOurs},
        {"Begins with a Nonspacing Mark", kNotOurs},
        {"Begins with an Enclosing Mark", kNotOurs},
        {"Exceptions that are DISALLOWED, right-to-left chars", kNotOurs},
        {"Exceptions that are DISALLOWED, left-to-right chars", kNotOurs},
        {"MIDDLE DOT with no preceding 'l'", kNotOurs},
        {"MIDDLE DOT with nothing preceding", kNotOurs},
        {"MIDDLE DOT with no following 'l'", kNotOurs},
        {"MIDDLE DOT with nothing following", kNotOurs},
        {"Greek KERAIA not followed by Greek", kNotOurs},
        {"Greek KERAIA not followed by anything", kNotOurs},
        {"Hebrew GERESH not preceded by Hebrew", kNotOurs},
        {"Hebrew GERESH not preceded by anything", kNotOurs},
        {"Hebrew GERSHAYIM not preceded by Hebrew", kNotOurs},
        {"Hebrew GERSHAYIM not preceded by anything", kNotOurs},
        {"KATAKANA MIDDLE DOT with no Hiragana, Katakana, or Han", kNotOurs},
        {"KATAKANA MIDDLE DOT with no other characters", kNotOurs},
        {"Arabic-Indic digits mixed with Extended Arabic-Indic digits", kNotOurs},
        {"ZERO WIDTH JOINER not preceded by Virama", kNotOurs},
        {"ZERO WIDTH JOINER not preceded by anything", kNotOurs},
        {"contains \"--\" in the 3rd and 4th position", kNotOurs},
    };
    run_json_schema("hostname", differences,
                    [](const std::string& text) { return parse_domain(text).has_value(); });
}

TEST(MailboxVectors, JsonSchemaIdnHostnameAgrees) {
    const std::string kContext =
        "RFC 5891 §5.4: what is looked up need not keep the rules of CONTEXTO characters";
    const std::map<std::string, std::string> differences = {
        {"MIDDLE DOT with no preceding 'l'", kContext},
        {"MIDDLE DOT with nothing preceding", kContext},
        {"MIDDLE DOT with no following 'l'", kContext},
        {"MIDDLE DOT with nothing following", kContext},
        {"Greek KERAIA not followed by Greek", kContext},
        {"Greek KERAIA not followed by anything", kContext},
        {"Hebrew GERESH not preceded by anything", kContext},
        {"Hebrew GERSHAYIM not preceded by anything", kContext},
        {"KATAKANA MIDDLE DOT with no Hiragana, Katakana, or Han", kContext},
        {"KATAKANA MIDDLE DOT with no other characters", kContext},
        {"Arabic-Indic digits mixed with Extended Arabic-Indic digits", kContext},
        {"Bidi domain name with a digit-first label is invalid",
         "libidn2 keeps RFC 5893 label by label, not for the whole name"},
        {"right-to-left label mixing both digit types is invalid",
         "libidn2 does not keep rule 4 of RFC 5893 §2"},
        {"a name longer than 253 characters is invalid", "RFC 5321 §4.5.3.1.2: 255 octets"},
        {"A-label that decodes to a disallowed code point is invalid", kNotOurs},
        {"A-label that decodes to a Bidi rule violation is invalid", kNotOurs},
        {"U-label contains \"--\" in the 3rd and 4th position", kNotOurs},
        {"invalid Punycode", kNotOurs},
        {"non-canonical Punycode that does not re-encode to itself is invalid", kNotOurs},
    };
    run_json_schema("idn-hostname", differences, [](const std::string& text) {
        return parse_domain(text, AddressForm::Utf8) && ascii_domain(text);
    });
}

// HOLDUNTIL (RFC 4865 §3).
TEST(MailboxVectors, JsonSchemaDateTimeAgrees) {
    const std::string kUtc = "RFC 4865 §3: in UTC only";
    const std::map<std::string, std::string> differences = {
        {"a valid date-time string with plus offset", kUtc},
        {"a valid date-time string with minus offset", kUtc},
        {"a valid date-time with a leap second, with minus offset", kUtc},
    };
    run_json_schema("date-time", differences,
                    [](const std::string& text) { return parse_internet_time(text).has_value(); });
}

}  // namespace
}  // namespace postrider
