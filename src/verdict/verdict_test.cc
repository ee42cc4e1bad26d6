// verdict/verdict_test.cc: when what is asked, how long a client waits, and what is found without
// answers, over a DNS whose every answer takes a known time.

#include "verdict/verdict.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "mailauth/dkim/key_record.h"
#include "mailauth/dkim/signer.h"
#include "verdict/disposition.h"
#include "verdict/testing.h"

namespace postrider::verdict {
namespace {

using namespace std::chrono_literals;
using mailauth::ResultCode;
using mailauth::dkim::PrivateKey;

Facts facts(std::string sender_domain = "sender.test") {
    return {.client = *mailauth::IpAddress::parse("192.0.2.7"),
            .helo = "client.test",
            .reverse_path = {Mailbox{"joe", std::move(sender_domain)}},
            .hostname = "mx.test"};
}

// A message of several signatures, all true, of keys that the zone holds.
std::string signed_message(TestWorld& world, const std::vector<std::string>& domains,
                           std::string_view author) {
    static const PrivateKey key = *PrivateKey::generate_ed25519();
    std::vector<mailauth::dkim::SigningKey> keys;
    for (const std::string& domain : domains) {
        world.zone.add_txt("s._domainkey." + domain, mailauth::dkim::key_record_text(key));
        keys.push_back({domain, "s", key, std::nullopt});
    }
    std::string header = fmt::format("From: a@{}\r\n", author);
    auto signer = mailauth::dkim::Signer::start(header, keys, {}, world.wall());
    return *signer->finish() + header;
}

std::map<std::string, int> counted(const TestWorld& world) {
    std::map<std::string, int> out;
    for (const auto& [at, question] : world.asked) out[question]++;
    return out;
}

TEST(Verdict, LookupsGoSideBySide) {
    TestWorld world;
    world.zone.add_txt("client.test", "v=spf1 -all");
    world.zone.add_txt("sender.test", "v=spf1 -all");
    world.zone.add_txt("_dmarc.author.test", "v=DMARC1; p=reject");
    std::string header =
        signed_message(world, {"author.test", "b.test", "c.test", "d.test"}, "author.test");
    auto judged = world.judge(facts(), header);
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->evidence.dmarc.code, ResultCode::Pass);
    EXPECT_EQ(judged->evidence.dkim.signatures.size(), 4u);
    // Seven questions of one second each: two of SPF, four keys, one of DMARC.
    EXPECT_EQ(world.asked.size(), 7u);
    for (const auto& [at, question] : world.asked) EXPECT_EQ(at, 0s) << question;
    EXPECT_EQ(judged->waited, 1s);
}

TEST(Verdict, WhatTakesLongIsAskedBeforeTheContentEnds) {
    TestWorld world;
    world.zone.add_txt("sender.test", "v=spf1 a include:more.test -all");
    world.zone.add_txt("more.test", "v=spf1 ip4:192.0.2.0/24 -all");
    std::string header = signed_message(world, {"author.test"}, "author.test");
    // Three questions of SPF one behind the other, the key and the policy: all known by then.
    auto judged = world.judge(facts(), header, "", /*content_time=*/5s);
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->evidence.spf().code, ResultCode::Pass);
    EXPECT_EQ(judged->evidence.dkim.signatures.at(0).code, ResultCode::Pass);
    EXPECT_LE(judged->waited, 2s) << "only walks of DMARC may be left";
}

TEST(Verdict, EachNameAndTypeIsAskedOnce) {
    TestWorld world;
    // HELO, MAIL FROM, two includes and an author of the same names; two signatures by one key.
    Facts same = facts("one.test");
    same.helo = "one.test";
    world.zone.add_txt("one.test", "v=spf1 include:inc.test include:inc.test a mx a:one.test -all");
    world.zone.add_txt("inc.test", "v=spf1 a:one.test mx:one.test ?all");
    world.zone.add("one.test", dns::A{{192, 0, 2, 99}});
    world.zone.add("one.test", dns::Mx{10, *dns::Name::parse("one.test")});
    world.zone.add_txt("_dmarc.one.test", "v=DMARC1; p=reject");
    std::string header = signed_message(world, {"one.test", "one.test"}, "one.test");
    auto judged = world.judge(same, header);
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->evidence.spf().code, ResultCode::Fail);
    EXPECT_EQ(judged->evidence.dkim.signatures.size(), 2u);
    std::map<std::string, int> want{{"TXT one.test", 1},        {"TXT inc.test", 1},
                                    {"A one.test", 1},          {"MX one.test", 1},
                                    {"TXT _dmarc.one.test", 1}, {"TXT s._domainkey.one.test", 1}};
    EXPECT_EQ(counted(world), want);
    EXPECT_EQ(judged->evidence.questions, want.size());
}

TEST(Verdict, AKeyThatIsKnownIsNotAskedForAsLongAsTheDnsAllows) {
    TestWorld world;
    std::string header = signed_message(world, {"author.test"}, "author.test");
    const dns::Question question{*dns::Name::parse("s._domainkey.author.test"), dns::Type::Txt};
    world.answers = [&](const dns::Question& asked) -> std::optional<dns::Answer> {
        if (asked != question) return std::nullopt;
        dns::Answer answer = world.zone.answer(asked);
        answer.ttl_seconds = 9000;
        return answer;
    };
    // A judgement takes an hour of the test's time.
    for (int want : {1, 0, 0, 1}) {
        world.asked.clear();
        auto judged = world.judge(facts(), header);
        ASSERT_TRUE(judged);
        EXPECT_EQ(judged->evidence.dkim.signatures.at(0).code, ResultCode::Pass);
        EXPECT_EQ(counted(world)[text(question)], want);
    }
}

TEST(Verdict, TheWholeTakesTwentySecondsAtMost) {
    TestWorld world;
    world.latency = 2h;  // nobody answers
    std::string header = signed_message(world, {"author.test", "b.test"}, "author.test");
    auto judged = world.judge(facts(), header);
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->waited, 20s);
    const Evidence& evidence = judged->evidence;
    EXPECT_EQ(evidence.spf().code, ResultCode::TempError);
    EXPECT_EQ(evidence.helo.code, ResultCode::TempError);
    for (const auto& signature : evidence.dkim.signatures) {
        EXPECT_EQ(signature.code, ResultCode::TempError);
    }
    EXPECT_EQ(evidence.dmarc.code, ResultCode::TempError);
    EXPECT_EQ(evidence.dmarc.requested, mailauth::dmarc::Policy::None);
    EXPECT_EQ(decide(evidence, *world::IpAddress::parse("192.0.2.7"), {}, {}).action,
              Action::Accept);
}

// One behind the other they would take half a minute; each alone stays far below the limit.
TEST(Verdict, TheTimeIsForAllOfItAndNotForEachQuestion) {
    TestWorld world;
    world.latency = 3s;
    std::string spf = "v=spf1";
    for (int i = 0; i < 9; i++) {
        spf += fmt::format(" a:e{}.test", i);
        world.zone.add(fmt::format("e{}.test", i), dns::A{{203, 0, 113, 1}});
    }
    world.zone.add_txt("sender.test", spf + " -all");
    world.zone.add_txt("_dmarc.author.test", "v=DMARC1; p=reject");
    Facts short_time = facts();
    short_time.time_max = 7s;
    auto judged = world.judge(short_time, "From: a@author.test\r\n");
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->waited, 7s);
    EXPECT_EQ(judged->evidence.spf().code, ResultCode::TempError);
    EXPECT_GE(world.asked.size(), 4u);
}

// Whoever is asked in the last second is not waited for behind the end.
TEST(Verdict, NoQuestionOutlivesTheWhole) {
    TestWorld world;
    world.latency = 6s;
    world.zone.add_txt("sender.test", "v=spf1 a mx include:b.test -all");
    auto judged = world.judge(facts(), "From: a@author.test\r\n");
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->waited, 20s);
    EXPECT_GE(world.asked.size(), 4u);
    EXPECT_EQ(world.latest, 20s);
}

// RFC 9989 §11.5: each author is judged, and the strictest failure counts, wherever he stands.
TEST(Verdict, EachOfSeveralAuthorsIsJudged) {
    for (const char* from :
         {"From: a@good.test, b@forged.test\r\n", "From: b@forged.test, a@good.test\r\n",
          "From: a@good.test\r\nFrom: b@forged.test\r\n"}) {
        TestWorld world;
        world.zone.add_txt("sender.test", "v=spf1 -all");
        world.zone.add_txt("_dmarc.good.test", "v=DMARC1; p=none");
        world.zone.add_txt("_dmarc.forged.test", "v=DMARC1; p=reject");
        auto judged = world.judge(facts(), from);
        ASSERT_TRUE(judged);
        EXPECT_EQ(judged->evidence.dmarc.code, ResultCode::Fail) << from;
        EXPECT_EQ(judged->evidence.dmarc.author_domain, "forged.test") << from;
        EXPECT_EQ(judged->evidence.dmarc.requested, mailauth::dmarc::Policy::Reject) << from;
        EXPECT_EQ(judged->evidence.dmarc_input.author_domain, "forged.test") << from;
    }
}

TEST(Verdict, NothingIsAskedBehindItsEnd) {
    TestWorld world;
    world.latency = 30s;
    world.zone.add_txt("sender.test", "v=spf1 a mx include:b.test -all");
    auto late = world.judge(facts(), "From: a@author.test\r\n");
    ASSERT_TRUE(late);
    // TXT of HELO, of the sender and of the author's policy; what would follow is never asked.
    EXPECT_EQ(late->evidence.questions, 3u);
    std::size_t asked = world.asked.size();
    world.run_until(24h);
    EXPECT_EQ(world.asked.size(), asked);

    // Neither when it is let go half-way, as by a client that disconnects.
    {
        Verdict abandoned(world.doors(), world.keys, facts());
        abandoned.take_header("From: a@author.test\r\n");
        world.run_until(24h + 1s);
        asked = world.asked.size();
    }
    world.run_until(48h);
    EXPECT_EQ(world.asked.size(), asked);
}

// RFC 9989 §5.3.6: what is certain does not wait for what is not.
TEST(Verdict, AnAlignedPassStandsAlthoughAnotherAnswerIsLate) {
    TestWorld world;
    world.zone.add_txt("_dmarc.author.test", "v=DMARC1; p=reject");
    std::string header = signed_message(world, {"author.test", "late.test"}, "author.test");
    world.latencies["s._domainkey.late.test"] = 2h;
    world.latencies["sender.test"] = 2h;
    auto judged = world.judge(facts(), header);
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->evidence.spf().code, ResultCode::TempError);
    EXPECT_EQ(judged->evidence.dkim.signatures.at(0).code, ResultCode::Pass);
    EXPECT_EQ(judged->evidence.dkim.signatures.at(1).code, ResultCode::TempError);
    EXPECT_EQ(judged->evidence.dmarc.code, ResultCode::Pass);
}

// RFC 6376 §3.6.1: mail signed with a key in test mode is treated as unsigned mail.
TEST(Verdict, AKeyInTestModeProvesNothing) {
    TestWorld world;
    world.zone.add_txt("_dmarc.author.test", "v=DMARC1; p=reject");
    std::string header = signed_message(world, {"author.test"}, "author.test");
    world.answers = [&](const dns::Question& question) -> std::optional<dns::Answer> {
        if (question.name.text() != "s._domainkey.author.test") return std::nullopt;
        dns::Answer answer = world.zone.answer(question);
        std::get<dns::Txt>(answer.records.at(0)).text += "; t=y";
        return answer;
    };
    auto judged = world.judge(facts(), header);
    ASSERT_TRUE(judged);
    EXPECT_EQ(judged->evidence.dkim.signatures.at(0).code, ResultCode::Pass);
    EXPECT_TRUE(judged->evidence.dkim.signatures.at(0).testing);
    EXPECT_EQ(judged->evidence.dmarc.code, ResultCode::Fail);
    EXPECT_EQ(judged->evidence.dmarc.requested, mailauth::dmarc::Policy::Reject);
}

// RFC 7208 §2.4: with a null reverse-path HELO stands for it.
TEST(Verdict, ANullReversePathIsJudgedByHelo) {
    TestWorld world;
    world.zone.add_txt("client.test", "v=spf1 ip4:192.0.2.7 -all");
    Facts bounce = facts();
    bounce.reverse_path = {};
    auto judged = world.judge(bounce, "From: postmaster@client.test\r\n");
    ASSERT_TRUE(judged);
    EXPECT_FALSE(judged->evidence.mail_from);
    EXPECT_EQ(judged->evidence.spf().code, ResultCode::Pass);
    EXPECT_EQ(judged->evidence.spf().domain, "client.test");
}

}  // namespace
}  // namespace postrider::verdict
