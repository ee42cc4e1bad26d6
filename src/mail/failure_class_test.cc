#include "mail/failure_class.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

struct Case {
    int code;
    EnhancedStatus status;
    std::string_view text;
    FailureClass want;
};

using enum FailureClass;

// Replies as hosts give them, judged by what their providers document of them.
const Case kCases[] = {
    {550, {5, 1, 1}, "The email account that you tried to reach does not exist.", BadMailbox},
    {550, {}, "No such user here", BadMailbox},
    {550, {5, 4, 1}, "Recipient address rejected: Access denied. AS(201806281)", BadMailbox},
    {551, {}, "elsewhere", BadMailbox},
    {556, {5, 1, 10}, "Recipient address has a null MX", BadDomain},
    {550, {5, 1, 2}, "Bad destination system address", BadDomain},
    {0,
     {5, 4, 4},
     "Host or domain name not found. Name service error for name=a.example type=A: "
     "Host not found",
     BadDomain},
    {0, {4, 4, 3}, "Name service error for name=a.example type=MX: Host not found, try again", Dns},
    {550, {5, 2, 1}, "The email account that you tried to reach is disabled.", Inactive},
    {554, {}, "delivery error: This mailbox is disabled (554.30)", Inactive},
    {552, {5, 2, 2}, "The email account that you tried to reach is over quota", Full},
    {452, {4, 2, 2}, "The recipient's inbox is out of storage space", Full},
    {552, {5, 3, 4}, "Message size exceeds fixed limit", Size},
    {552, {}, "message too large", Size},
    {550, {5, 7, 26}, "domain's DMARC policy", Policy},
    {550, {5, 7, 1}, "<a@b.example>: Relay access denied", Policy},
    {550, {5, 7, 25}, "Reverse DNS validation failed", Policy},
    {553, {5, 1, 8}, "Domain of sender address does not exist", Policy},
    {554,
     {5, 7, 1},
     "Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org",
     Spam},
    {550, {5, 7, 1}, "Our system has detected that this message is likely unsolicited mail.", Spam},
    {421, {4, 7, 28}, "Our system has detected an unusual rate of mail", Rate},
    {450, {4, 2, 0}, "Greylisted, see http://postgrey.example", Rate},
    {421, {4, 7, 0}, "Too many connections, try later", Rate},
    {452, {4, 5, 3}, "Too many recipients", Rate},
    {530, {5, 7, 0}, "Must issue a STARTTLS command first", Tls},
    {0, {4, 7, 5}, "the certificate does not fit the name", Tls},
    {554, {5, 4, 6}, "Too many hops", Loop},
    {554, {5, 4, 14}, "Hop count exceeded - possible mail loop", Loop},
    {0, {4, 4, 1}, "connect to mx.example[192.0.2.1]:25: Connection timed out", Connection},
    {550, {}, "", Other},
    {450, {4, 2, 0}, "try again", Other},
    {550, {}, "marbles are not stls", Other},  // no word is found within another
};

TEST(FailureClass, RepliesMeanWhatTheirHostsSay) {
    for (const Case& one : kCases) {
        EXPECT_EQ(name(classify(one.code, one.status, one.text)), name(one.want)) << one.text;
    }
}

TEST(FailureClass, WhatWeFoundOurselvesIsOfItsKind) {
    struct {
        FailureKind kind;
        EnhancedStatus status;
        FailureClass want;
    } cases[] = {
        {FailureKind::Connection, {4, 4, 1}, Connection},
        {FailureKind::Tls, {4, 7, 5}, Tls},
        {FailureKind::Dns, {4, 4, 3}, Dns},
        {FailureKind::Dns, {5, 1, 2}, BadDomain},
        {FailureKind::Dns, {5, 1, 10}, BadDomain},
        {FailureKind::Full, {4, 3, 1}, Full},
        {FailureKind::Greylisted, {4, 7, 1}, Rate},
        {FailureKind::Policy, {5, 1, 1}, Policy},
        {FailureKind::Mailbox, {5, 1, 1}, BadMailbox},
    };
    for (const auto& one : cases) {
        RecipientResult result{.status = one.status, .reason = "words", .kind = one.kind};
        EXPECT_EQ(name(failure_class(result)), name(one.want)) << one.status.text();
    }
    RecipientResult said{.status = {5, 0, 0},
                         .reason = "551 elsewhere",
                         .kind = FailureKind::Mailbox,
                         .remote_host = "mx.far.example"};
    EXPECT_EQ(failure_class(said), BadMailbox);
}

TEST(FailureClass, CaseAndWhiteSpaceDoNotMatter) {
    EXPECT_EQ(classify(550, {}, "USER\r\n   Unknown"), BadMailbox);
}

TEST(FailureClass, OnlyDeadAddressesAreHard) {
    for (std::size_t i = 0; i < kFailureClassCount; i++) {
        auto failure = static_cast<FailureClass>(i);
        EXPECT_EQ(is_hard(failure), failure == BadMailbox || failure == BadDomain);
        EXPECT_EQ(failure_class_named(name(failure)), failure);
    }
    EXPECT_EQ(failure_class_named("hard"), std::nullopt);
}

TEST(FailureClass, NoTextTakesLong) {
    EXPECT_EQ(classify(0, {}, std::string(8'000'000, 'm')), Other);
    EXPECT_EQ(classify(0, {}, std::string(kJudgedOctetsMax, ' ') + "user unknown"), Other);
}

TEST(FindCodes, AreFoundWhereTheyStand) {
    struct {
        std::string_view text;
        int code;
        std::string_view status;
    } cases[] = {
        {"550 5.1.1 no", 550, "5.1.1"},
        {"550-5.7.26 no", 550, "5.7.26"},
        {"host 192.0.2.1 said: 452 4.2.2 full (#4.2.2)", 452, "4.2.2"},
        {"[198.51.100.1]:25 and 5.1.1.1 and port 5501", 0, "0.0.0"},
        {"#5.5.0", 0, "5.5.0"},
        {"250 2.1.5 Ok", 0, "0.0.0"},
        {"tried 432000 times in 2001-550-1", 0, "0.0.0"},
        {"v=5.1", 0, "0.0.0"},
        {"", 0, "0.0.0"},
    };
    for (const auto& one : cases) {
        FoundCodes found = find_codes(one.text);
        EXPECT_EQ(found.code, one.code) << one.text;
        EXPECT_EQ(found.status.text(), one.status) << one.text;
    }
}

}  // namespace
}  // namespace postrider
