#include "mail/bounce.h"

#include <gtest/gtest.h>

#include "base/limits.h"

namespace postrider {
namespace {

std::string report(std::string_view groups, std::string_view text = "Something failed.") {
    return "From: MAILER-DAEMON@mx.example\r\nTo: ann@a.example\r\nSubject: Undelivered\r\n"
           "Content-Type: multipart/report; report-type=delivery-status; boundary=\"=b\"\r\n\r\n"
           "--=b\r\n\r\n" +
           std::string(text) +
           "\r\n--=b\r\nContent-Type: message/delivery-status\r\n\r\n"
           "Reporting-MTA: dns; mx.example\r\nOriginal-Envelope-Id: list-7\r\n\r\n" +
           std::string(groups) +
           "\r\n--=b\r\nContent-Type: message/rfc822\r\n\r\n"
           "To: nobody@returned.example\r\n\r\nwords\r\n--=b--\r\n";
}

TEST(Bounce, ReportGivesItsRecipientsAndNobodyElse) {
    Bounce bounce = read_bounce(report(
        "Final-Recipient: rfc822; bob@b.example\r\nOriginal-Recipient: rfc822;bobby@b.example\r\n"
        "Action: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 5.1.1 no\r\n"
        " such user\r\n\r\n"
        "Final-Recipient: RFC822;cy@c.example\r\nAction: delayed\r\nStatus: 4.2.2\r\n"));
    ASSERT_EQ(bounce.kind, Bounce::Kind::Report);
    EXPECT_EQ(bounce.envelope_id, "list-7");
    ASSERT_EQ(bounce.recipients.size(), 2u);
    EXPECT_EQ(bounce.recipients[0].address, "bob@b.example");
    EXPECT_EQ(bounce.recipients[0].original, "bobby@b.example");
    EXPECT_EQ(bounce.recipients[0].text, "550 5.1.1 no such user");
    EXPECT_EQ(bounce.recipients[0].failure, FailureClass::BadMailbox);
    EXPECT_TRUE(bounce.recipients[0].permanent);
    EXPECT_EQ(bounce.recipients[1].action, BouncedRecipient::Action::Delayed);
    EXPECT_EQ(bounce.recipients[1].failure, FailureClass::Full);
    EXPECT_FALSE(bounce.recipients[1].permanent);
}

// RFC 6533 §3: a utf-8 address, and the type of its own.
TEST(Bounce, InternationalReportIsRead) {
    std::string text = report(
        "Final-Recipient: utf-8; b\xc3\xb6"
        "b@b\xc3\xbc"
        "cher.example\r\nAction: failed\r\n"
        "Status: 5.1.1\r\n");
    text.replace(text.find("message/delivery-status"), 23, "message/global-delivery-status");
    Bounce bounce = read_bounce(text);
    ASSERT_EQ(bounce.recipients.size(), 1u);
    EXPECT_EQ(bounce.recipients[0].address,
              "b\xc3\xb6"
              "b@b\xc3\xbc"
              "cher.example");
}

TEST(Bounce, ReportOfSuccessHasNoFailure) {
    Bounce bounce = read_bounce(
        report("Final-Recipient: rfc822; bob@b.example\r\nAction: relayed\r\nStatus: 2.0.0\r\n"));
    ASSERT_EQ(bounce.recipients.size(), 1u);
    EXPECT_EQ(bounce.recipients[0].action, BouncedRecipient::Action::Relayed);
    EXPECT_FALSE(bounce.recipients[0].permanent);
    EXPECT_EQ(bounce.recipients[0].failure, FailureClass::Other);
}

TEST(Bounce, LetterOfAPersonIsNone) {
    Bounce bounce = read_bounce(
        "From: Ann <ann@a.example>\r\nTo: bob@b.example\r\nSubject: lunch\r\n\r\n"
        "Did 550 5.1.1 user unknown for cy@c.example make sense to you?\r\n");
    EXPECT_EQ(bounce.kind, Bounce::Kind::None);
    EXPECT_TRUE(bounce.recipients.empty());
}

TEST(Bounce, NoNumberOfRecipientsIsTooMuch) {
    std::string groups, lines;
    for (int i = 0; i < 20'000; i++) {
        std::string address = "u" + std::to_string(i) + "@b.example";
        groups += "Final-Recipient: rfc822; " + address + "\r\nAction: failed\r\n\r\n";
        lines += "<" + address + ">: no\r\n";
    }
    EXPECT_LE(read_bounce(report(groups, lines)).recipients.size(), kBouncedRecipientsMax);
    std::string text = "From: MAILER-DAEMON\r\nSubject: failure notice\r\n\r\n" + lines;
    EXPECT_LE(read_bounce(text).recipients.size(), kBouncedRecipientsMax);
}

TEST(Bounce, AnyCutOfAReportIsRead) {
    std::string whole =
        report("Final-Recipient: rfc822; bob@b.example\r\nAction: failed\r\nStatus: 5.1.1\r\n");
    for (std::size_t size = 0; size < whole.size(); size++) {
        Bounce bounce = read_bounce(std::string_view(whole).substr(0, size));
        EXPECT_LE(bounce.recipients.size(), 1u);
    }
}

}  // namespace
}  // namespace postrider
