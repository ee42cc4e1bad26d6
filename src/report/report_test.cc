// report/report_test.cc: what a sender is told, and when nothing is said.

#include "report/report.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::report {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr std::string_view kContent =
    "From: <alice@a.example>\r\n"
    "Subject: Lunch\r\n"
    "Message-ID: <1@a.example>\r\n"
    "\r\n"
    "At noon?\r\n";
constexpr uint32_t kHeaderOctets = 70;
static_assert(kContent.substr(kHeaderOctets) == "At noon?\r\n");

Mailbox mailbox(std::string local_part, std::string domain) {
    return {std::move(local_part), std::move(domain)};
}

Envelope envelope(const std::vector<std::string>& recipients) {
    Envelope original;
    original.id = MessageId{0x1234};
    original.received = Wall{1'700'000'000'000'000};  // 2023-11-14 22:13:20
    Variant variant;
    variant.reverse_path.mailbox = mailbox("alice", "a.example");
    for (auto& name : recipients) {
        Recipient recipient;
        recipient.mailbox = mailbox(name, "b.example");
        variant.recipients.push_back(std::move(recipient));
    }
    original.variants.push_back(std::move(variant));
    return original;
}

RecipientResult failure(uint32_t recipient) {
    return {.recipient = recipient,
            .verdict = RecipientResult::Verdict::Permanent,
            .status = {5, 1, 1},
            .reply_code = 550,
            .reason = "550 5.1.1 no such user",
            .remote_host = "mx.b.example"};
}

Facts facts(const Envelope& original, std::vector<RecipientResult> results) {
    return {.kind = Kind::Failure,
            .original = original,
            .results = std::move(results),
            .content = kContent,
            .content_octets = kContent.size(),
            .header_octets = kHeaderOctets,
            .id = MessageId{0x99},
            .hostname = "mail.our.example",
            .now = Wall{1'700'000'060'000'000}};
}

TEST(Report, FailureTellsPeopleProgramsAndReturnsTheMessage) {
    Envelope original = envelope({"bob"});
    auto report = compose(facts(original, {failure(0)}));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->content,
              "Date: Tue, 14 Nov 2023 22:14:20 +0000\r\n"
              "From: Mail Delivery <postmaster@mail.our.example>\r\n"
              "To: <alice@a.example>\r\n"
              "Subject: Your message could not be delivered\r\n"
              "Message-ID: <000000000004S@mail.our.example>\r\n"
              "In-Reply-To: <1@a.example>\r\n"
              "References: <1@a.example>\r\n"
              "Auto-Submitted: auto-replied\r\n"
              "MIME-Version: 1.0\r\n"
              "Content-Type: multipart/report; report-type=delivery-status;\r\n"
              "\tboundary=\"report.000000000004S.00000000004HM\"\r\n"
              "\r\n"
              "--report.000000000004S.00000000004HM\r\n"
              "Content-Type: text/plain; charset=us-ascii\r\n"
              "\r\n"
              "Your message of Tue, 14 Nov 2023 22:13:20 +0000 could not be delivered to\r\n"
              "the following recipient.\r\n"
              "\r\n"
              "Its subject was: Lunch\r\n"
              "\r\n"
              "  <bob@b.example>\r\n"
              "    The mail system mx.b.example said: 550 5.1.1 no such user\r\n"
              "    Check the address for mistakes, or ask the recipient for the right one.\r\n"
              "\r\n"
              "This is the mail system at mail.our.example, about the message that it knows\r\n"
              "as 00000000004HM.\r\n"
              "\r\n"
              "--report.000000000004S.00000000004HM\r\n"
              "Content-Type: message/delivery-status\r\n"
              "\r\n"
              "Reporting-MTA: dns; mail.our.example\r\n"
              "Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
              "\r\n"
              "Final-Recipient: rfc822; bob@b.example\r\n"
              "Action: failed\r\n"
              "Status: 5.1.1\r\n"
              "Remote-MTA: dns; mx.b.example\r\n"
              "Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n"
              "Last-Attempt-Date: Tue, 14 Nov 2023 22:14:20 +0000\r\n"
              "\r\n"
              "--report.000000000004S.00000000004HM\r\n"
              "Content-Type: message/rfc822\r\n"
              "\r\n" +
                  std::string(kContent) +
                  "\r\n"
                  "--report.000000000004S.00000000004HM--\r\n");
    EXPECT_TRUE(report->envelope.variants.front().reverse_path.is_null());
    EXPECT_EQ(report->envelope.recipient(0).mailbox, mailbox("alice", "a.example"));
    EXPECT_EQ(report->content.substr(report->header_octets, 2), "--");
}

TEST(Report, BlanksOfAReplyAreNoLinesOfTheirOwn) {
    Envelope original = envelope({"bob"});
    RecipientResult result = failure(0);
    result.reason = "550 5.1.1   no such   user   ";
    auto report = compose(facts(original, {result}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("no such user\r\n"));
    EXPECT_THAT(report->content, Not(HasSubstr(" \r\n    \r\n")));
}

TEST(Report, NullSenderGetsNone) {
    Envelope original = envelope({"bob"});
    original.variants.front().reverse_path.mailbox.reset();
    EXPECT_FALSE(compose(facts(original, {failure(0)})));
}

TEST(Report, NotifyDecidesForEachRecipient) {
    Envelope original = envelope({"never", "success", "failure"});
    auto& recipients = original.variants.front().recipients;
    recipients[0].notify = DsnNotify{.never = true};
    recipients[1].notify = DsnNotify{.success = true};
    recipients[2].notify = DsnNotify{.failure = true};
    auto report = compose(facts(original, {failure(0), failure(1), failure(2)}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("Final-Recipient: rfc822; failure@b.example"));
    EXPECT_THAT(report->content, Not(HasSubstr("never@b.example")));
    EXPECT_THAT(report->content, Not(HasSubstr("success@b.example")));
}

TEST(Report, AReportIsNeverReportedAbout) {
    Envelope original = envelope({"bob"});
    auto first = compose(facts(original, {failure(0)}));
    ASSERT_TRUE(first);
    EXPECT_FALSE(is_owed(first->envelope, 0, Kind::Failure));
    EXPECT_FALSE(is_owed(first->envelope, 0, Kind::Delay));
}

TEST(Report, WhatStrangersWroteCannotAddFieldsOrParts) {
    Envelope original = envelope({"bob"});
    RecipientResult hostile = failure(0);
    hostile.reason = "550 no\r\nAction: delivered\r\n\r\n--x\xC3\xA4" + std::string(5000, 'y');
    hostile.remote_host = "evil\r\nStatus: 2.0.0";
    auto report = compose(facts(original, {hostile}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, Not(HasSubstr("\r\nAction: delivered")));
    EXPECT_THAT(report->content, Not(HasSubstr("\r\nStatus: 2.0.0")));
    std::size_t line = 0;
    for (char c : report->content) {
        EXPECT_LT(static_cast<unsigned char>(c), 127);
        line = c == '\n' ? 0 : line + 1;
        ASSERT_LT(line, 998u);
    }
}

TEST(Report, LargeMessageComesBackAsItsHeaderBlock) {
    Envelope original = envelope({"bob"});
    Facts large = facts(original, {failure(0)});
    large.content_octets = 10'000'000;
    auto report = compose(large);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("Content-Type: text/rfc822-headers\r\n"));
    EXPECT_THAT(report->content, Not(HasSubstr("At noon?")));
}

TEST(Report, RetHdrsReturnsTheHeaderBlock) {
    Envelope original = envelope({"bob"});
    original.dsn_return = DsnReturn::Headers;
    auto report = compose(facts(original, {failure(0)}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, Not(HasSubstr("At noon?")));
    EXPECT_THAT(report->content, HasSubstr("Subject: Lunch\r\n"));
}

TEST(Report, DelaySaysUntilWhenAndReturnsHeadersOnly) {
    Envelope original = envelope({"bob"});
    RecipientResult late = failure(0);
    late.verdict = RecipientResult::Verdict::Temporary;
    late.status = {4, 4, 1};
    Facts delay = facts(original, {late});
    delay.kind = Kind::Delay;
    delay.retry_until = Wall{1'700'432'000'000'000};  // five days after receipt
    auto report = compose(delay);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("\r\nSubject: Your message is delayed\r\n"));
    EXPECT_THAT(report->content, HasSubstr("Action: delayed\r\nStatus: 4.4.1\r\n"));
    EXPECT_THAT(report->content,
                HasSubstr("Will-Retry-Until: Sun, 19 Nov 2023 22:13:20 +0000\r\n"));
    EXPECT_THAT(report->content, Not(HasSubstr("At noon?")));
}

// RFC 3461 §6.3 (d), (e).
TEST(Report, FinalRecipientIsWhatTheClientNamed) {
    Envelope original = envelope({"bob"});
    original.variants.front().recipients[0].original = mailbox("sales", "b.example");
    auto report = compose(facts(original, {failure(0)}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("Final-Recipient: rfc822; sales@b.example\r\n"));
    EXPECT_THAT(report->content, Not(HasSubstr("Original-Recipient")));
    EXPECT_THAT(report->content, HasSubstr("  <sales@b.example>\r\n"));
}

// RFC 3461 §6.3 (a), (d); RFC 6533 §3.
TEST(Report, WhatTheSenderGaveComesBackDecoded) {
    Envelope original = envelope({"bob", "eve"});
    original.dsn_envid = "QQ+20314159";
    original.variants.front().recipients[0].orcpt = "rfc822;Bob+2Btag@B.Example";
    original.variants.front().recipients[1].orcpt = "utf-8;j\\x{FC}rgen@b.example";
    auto report = compose(facts(original, {failure(0), failure(1)}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("Original-Envelope-Id: QQ 314159\r\nReporting-MTA: "));
    EXPECT_THAT(report->content, HasSubstr("Original-Recipient: rfc822; Bob+tag@B.Example\r\n"
                                           "Final-Recipient: rfc822; bob@b.example\r\n"));
    EXPECT_THAT(report->content,
                HasSubstr("Original-Recipient: utf-8; j\\x{FC}rgen@b.example\r\n"));
    original.smtputf8 = true;
    report = compose(facts(original, {failure(1)}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content,
                HasSubstr("Original-Recipient: utf-8; j\xC3\xBCrgen@b.example\r\n"));
}

// RFC 3461 §5.2.2 (b), (e), §5.2.3, §6.2.
TEST(Report, SuccessIsToldToWhoAskedUnlessTheNextHostWillTellIt) {
    Envelope original = envelope({"delivered", "relayed", "told", "silent", "never"});
    auto& recipients = original.variants.front().recipients;
    for (int i : {0, 1, 2}) recipients[i].notify = DsnNotify{.success = true};
    recipients[4].notify = DsnNotify{.never = true};
    std::vector<RecipientResult> results;
    results.reserve(5);
    for (uint32_t i = 0; i < 5; i++) {
        results.push_back({.recipient = i,
                           .verdict = RecipientResult::Verdict::Relayed,
                           .status = {2, 1, 5},
                           .reply_code = 250,
                           .reason = "250 2.1.5 ok",
                           .remote_host = "mx.b.example"});
    }
    results[0] = {.recipient = 0, .verdict = RecipientResult::Verdict::Delivered};
    results[2].dsn_handed_on = true;
    Facts success = facts(original, results);
    success.kind = Kind::Success;
    auto report = compose(success);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content,
                HasSubstr("\r\nFinal-Recipient: rfc822; delivered@b.example\r\n"
                          "Action: delivered\r\nStatus: 2.0.0\r\nLast-Attempt-Date:"));
    EXPECT_THAT(report->content,
                HasSubstr("\r\nFinal-Recipient: rfc822; relayed@b.example\r\n"
                          "Action: relayed\r\nStatus: 2.1.5\r\nRemote-MTA: dns; mx.b.example\r\n"
                          "Diagnostic-Code: smtp; 250 2.1.5 ok\r\n"));
    for (const char* other : {"told@", "silent@", "never@", "At noon?"}) {
        EXPECT_THAT(report->content, Not(HasSubstr(other)));
    }
    EXPECT_FALSE(is_owed(original, 3, Kind::Success));
    // Of a report about several, one that went on decides the subject.
    EXPECT_THAT(report->content, HasSubstr("\r\nSubject: Your message was sent on\r\n"));
    success.results.resize(1);
    report = compose(success);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("\r\nSubject: Your message was delivered\r\n"));
}

TEST(Report, InternationalMessageGetsTheGlobalForm) {
    Envelope original = envelope({"bob"});
    original.smtputf8 = true;
    original.variants.front().recipients[0].mailbox.local_part = "j\xC3\xBCrgen";
    auto report = compose(facts(original, {failure(0)}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("Content-Type: message/global-delivery-status\r\n"));
    EXPECT_THAT(report->content, HasSubstr("Final-Recipient: utf-8; j\xC3\xBCrgen@b.example\r\n"));
    EXPECT_TRUE(report->envelope.smtputf8);
    EXPECT_EQ(report->envelope.body, BodyType::EightBitMime);
}

// RFC 2852 §4.1.4: told whether SUCCESS was asked for or not, but not where NEVER was.
TEST(Report, ATraceIsToldAsRelayed) {
    Envelope original = envelope({"bob", "carol"});
    original.deliver_by = original.received + std::chrono::seconds(60);
    original.variants.front().recipients[1].notify = DsnNotify{.never = true};
    RecipientResult relayed{.recipient = 0,
                            .verdict = RecipientResult::Verdict::Relayed,
                            .status = {2, 0, 0},
                            .dsn_handed_on = true,
                            .tell_relayed = true};
    EXPECT_TRUE(is_owed(original, relayed, Kind::Success));
    Facts told = facts(original, {relayed});
    told.kind = Kind::Success;
    auto report = compose(told);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("Action: relayed\r\n"));
    EXPECT_THAT(report->content, HasSubstr("Arrival-Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n"
                                           "Deliver-By-Date: Tue, 14 Nov 2023 22:14:20 +0000\r\n"));
    relayed.recipient = 1;
    EXPECT_FALSE(is_owed(original, relayed, Kind::Success));
    original.variants.front().reverse_path = {};
    relayed.recipient = 0;
    EXPECT_FALSE(is_owed(original, relayed, Kind::Success));
}

// RFC 4865 §5.1.2; RFC 8689 §5.
TEST(Report, NamesTheHoldAndReturnsNoBodyThatRequiresTls) {
    Envelope original = envelope({"bob"});
    original.hold_request = "until;2023-11-14T22:13:00Z";
    original.requiretls = true;
    auto report = compose(facts(original, {failure(0)}));
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content,
                HasSubstr("Future-Release-Request: until;2023-11-14T22:13:00Z\r\n"));
    EXPECT_THAT(report->content, Not(HasSubstr("At noon?")));
    EXPECT_TRUE(report->envelope.requiretls);
}

// A mail program shows the report beside the message, where that has an id to go by.
TEST(Report, OnlyASoundMessageIdIsReferredTo) {
    const std::string id_of_240 = "<" + std::string(238, 'x') + ">";
    const std::pair<std::string, std::string> cases[] = {
        {"", ""},
        {"Message-ID: <1@a.example>\r\n", "<1@a.example>"},
        {"Message-ID:\r\n <1@a.example>\r\n", "<1@a.example>"},
        {"Message-ID: " + id_of_240 + "\r\n", id_of_240},
        {"Message-ID: <" + std::string(1000, 'x') + ">\r\n", ""},
        {"Message-ID: 1@a.example\r\n", ""},
        {"Message-ID: <1@a.example\r\n", ""},
        {"Message-ID: <>\r\n", ""},
        {"Message-ID: <1 2@a.example>\r\n", ""},
        {"Message-ID: <1\x7F@a.example>\r\n", ""},
        {"Message-ID: <\xC3\xA4@a.example>\r\n", ""},
    };
    Envelope original = envelope({"bob"});
    for (const auto& [field, id] : cases) {
        std::string content = fmt::format("From: <alice@a.example>\r\n{}\r\nAt noon?\r\n", field);
        Facts one = facts(original, {failure(0)});
        one.content = content;
        one.content_octets = content.size();
        one.header_octets = static_cast<uint32_t>(content.size() - 10);
        auto report = compose(one);
        ASSERT_TRUE(report);
        std::string want = "In-Reply-To: " + id + "\r\nReferences: " + id + "\r\n";
        std::string header = report->content.substr(0, report->header_octets);
        EXPECT_EQ(header.contains(want), !id.empty()) << field;
        EXPECT_EQ(header.contains("In-Reply-To:"), !id.empty()) << field;
    }
}

// Else it could not come back over a host that takes 7 bits.
TEST(Report, EightBitsAreDeclaredOnlyWhereThereAre) {
    Envelope original = envelope({"bob"});
    for (const auto& [octet, has_8bit] : {std::pair("\x7F", false), {"\xC3\xA4", true}}) {
        std::string content = std::string(kContent) + octet + "\r\n";
        Facts one = facts(original, {failure(0)});
        one.content = content;
        one.content_octets = content.size();
        one.has_8bit = has_8bit;
        auto report = compose(one);
        ASSERT_TRUE(report);
        EXPECT_THAT(report->content, HasSubstr(octet));
        EXPECT_EQ(report->envelope.body, has_8bit ? BodyType::EightBitMime : BodyType::SevenBit);
        EXPECT_EQ(report->content.contains("Content-Transfer-Encoding: 8bit"), has_8bit);
    }
}

// RFC 6710 §4.6.
TEST(Report, AReportIsAsUrgentAsItsMessage) {
    Envelope original = envelope({"bob"});
    original.priority = 4;
    original.priority_given = true;
    auto report = compose(facts(original, {failure(0)}));
    ASSERT_TRUE(report);
    EXPECT_EQ(report->envelope.priority, 4);
    EXPECT_TRUE(report->envelope.priority_given);
}

TEST(Report, ASuccessOrADelayAsksForNothing) {
    Envelope original = envelope({"bob"});
    RecipientResult result{.recipient = 0, .status = {4, 4, 1}};
    Facts one = facts(original, {result});
    one.kind = Kind::Delay;
    auto report = compose(one);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content,
                HasSubstr("    You need not do anything: delivery is being tried again.\r\n"));

    original.variants.front().recipients[0].notify = DsnNotify{.success = true};
    one.kind = Kind::Success;
    one.results[0].verdict = RecipientResult::Verdict::Delivered;
    report = compose(one);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("    It is in the recipient's mailbox.\r\n"));

    one.results[0].verdict = RecipientResult::Verdict::Relayed;
    report = compose(one);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("    It was handed to the next mail system, which "
                                           "does not send reports like\r\n    this one.\r\n"));
    one.results[0].tell_relayed = true;
    report = compose(one);
    ASSERT_TRUE(report);
    EXPECT_THAT(report->content, HasSubstr("    It was handed to the next mail system.\r\n"));
}

// The second number of the status says what a person can do.
TEST(Report, TheAdviceFitsTheFailure) {
    const std::pair<uint16_t, const char*> cases[] = {
        {0, "    If this goes on, ask the postmaster"},
        {1, "    Check the address for mistakes"},
        {2, "    The mailbox cannot take mail at present"},
        {3, "    The recipient's system cannot take this message."},
        {4, "    The recipient's system could not be reached; try again later."},
        {5, "    If this goes on, ask the postmaster"},
        {6, "    The recipient's system does not take this kind of content."},
        {7, "    The message was refused by a rule"},
    };
    Envelope original = envelope({"bob"});
    for (auto [subject, advice] : cases) {
        RecipientResult result = failure(0);
        result.status = {5, subject, 0};
        auto report = compose(facts(original, {result}));
        ASSERT_TRUE(report);
        EXPECT_THAT(report->content, HasSubstr(advice)) << subject;
    }
}

}  // namespace
}  // namespace postrider::report
