// smtp/capabilities_test.cc: answers to EHLO as servers give them, and what we make of them.

#include "smtp/capabilities.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

Capabilities parse(std::string_view lines) {
    return Capabilities::parse(Reply(250, "mx.example greets you\n" + std::string(lines)));
}

TEST(Capabilities, AllKnownExtensionsAreRead) {
    Capabilities got = parse(
        "SIZE "
        "1000\n8BITMIME\nPIPELINING\nCHUNKING\nBINARYMIME\nDSN\nSMTPUTF8\nENHANCEDSTATUSCODES\n"
        "STARTTLS\nREQUIRETLS\nAUTH PLAIN login\nMT-PRIORITY nsep\nDELIVERBY 240\n"
        "FUTURERELEASE 2592000 2026-12-24T00:00:00Z\nLIMITS RCPTMAX=20 MAILMAX=5 "
        "RCPTDOMAINMAX=1\nXCLIENT NAME");
    Capabilities want;
    want.extended = true;
    want.name = "mx.example";
    want.size = true;
    want.size_octets = 1000;
    want.eight_bit_mime = want.pipelining = want.chunking = want.binary_mime = true;
    want.dsn = want.smtputf8 = want.enhanced_status_codes = want.starttls = true;
    want.requiretls = want.mt_priority = want.deliver_by = want.future_release = true;
    want.auth = {"PLAIN", "LOGIN"};
    want.mt_priority_profile = "NSEP";
    want.deliver_by_min = std::chrono::seconds(240);
    want.future_release_max = std::chrono::seconds(2592000);
    want.limits = {5, 20, 1};
    want.unknown = {"XCLIENT"};
    EXPECT_EQ(got, want);
}

TEST(Capabilities, KeywordsAreReadInAnyCaseAndSpacing) {
    Capabilities got = parse("size  2000 \npipeLining \n\n8bitmime\t");
    EXPECT_EQ(got.size_octets, 2000u);
    EXPECT_TRUE(got.pipelining);
    EXPECT_TRUE(got.eight_bit_mime);
    EXPECT_TRUE(got.unknown.empty());
}

struct SizeCase {
    std::string_view line;
    bool want_size;
    uint64_t want_octets;
};

TEST(Capabilities, SizeWithoutANumberIsNoFixedLimit) {
    const SizeCase cases[] = {
        {"SIZE", true, 0},
        {"SIZE 0", true, 0},
        {"SIZE 52428800", true, 52428800},
        {"SIZE 99999999999999999999999999", true, 0},
        {"SIZE lots", false, 0},
        {"SIZE=1000", false, 0},
        {"SIZES 1000", false, 0},
    };
    for (const SizeCase& c : cases) {
        Capabilities got = parse(c.line);
        EXPECT_EQ(got.size, c.want_size) << c.line;
        EXPECT_EQ(got.size_octets, c.want_octets) << c.line;
    }
}

TEST(Capabilities, TheOldFormOfAuthIsReadAndRepeatsAreDropped) {
    EXPECT_EQ(parse("AUTH=LOGIN PLAIN\nAUTH LOGIN PLAIN XOAUTH2").auth,
              (std::vector<std::string>{"LOGIN", "PLAIN", "XOAUTH2"}));
}

TEST(Capabilities, LimitsThatMakeNoSenseAreNone) {
    EXPECT_EQ(parse("LIMITS RCPTMAX=0 MAILMAX= RCPTDOMAINMAX=-1 OTHER=7 RCPTMAX").limits,
              PeerLimits{});
    EXPECT_EQ(parse("LIMITS rcptmax=1x MAILMAX=3").limits.mail_max, 3u);
}

TEST(Capabilities, UnknownKeywordsAreKeptUpToABound) {
    std::string lines;
    for (int i = 0; i < 100; ++i) lines += fmt::format("X{}{}\n", i, std::string(200, 'y'));
    Capabilities got = parse(lines);
    EXPECT_EQ(got.unknown.size(), Capabilities::kUnknownMax);
    EXPECT_EQ(got.unknown[0].size(), 64u);
}

TEST(Capabilities, AnAnswerWithoutExtensionsIsStillExtended) {
    Capabilities got = Capabilities::parse(Reply(250, ""));
    EXPECT_TRUE(got.extended);
    EXPECT_EQ(got.name, "");
    EXPECT_FALSE(got.pipelining);
}

}  // namespace
}  // namespace postrider::smtp
