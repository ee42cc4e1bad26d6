#include "seal/submission.h"

#include <gtest/gtest.h>

namespace postrider::seal {
namespace {

SubmissionRules rules() {
    return {.is_own = [](std::string_view address) { return address == "alice@example.org"; },
            .sender = "alice@example.org",
            .domain = "example.org",
            .hostname = "mail.example.org",
            .now = Wall{1'700'000'000'000'000}};
}

constexpr std::string_view kWhole =
    "From: Alice <alice@example.org>\r\nTo: bob@example.net\r\n"
    "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMessage-ID: <1@x>\r\nSubject: s\r\n";

TEST(Submission, WholeBlockStaysAsItIs) {
    EXPECT_EQ(complete_submission(kWhole, rules()).value(), kWhole);
}

TEST(Submission, DateMessageIdAndFromAreAdded) {
    const std::string out = complete_submission("Subject: s\r\n", rules()).value();
    EXPECT_TRUE(
        out.starts_with("Subject: s\r\nFrom: <alice@example.org>\r\nDate: Tue, 14 Nov 2023 "
                        "22:13:20 +0000\r\nMessage-ID: <"))
        << out;
    EXPECT_TRUE(out.ends_with("@mail.example.org>\r\n"));
}

TEST(Submission, BccIsTakenOut) {
    const std::string out = complete_submission(std::string(kWhole) +
                                                    "bcc: eve@example.net,\r\n mallory@x\r\n"
                                                    "Resent-Bcc: x@y\r\nX-Last: 1\r\n",
                                                rules())
                                .value();
    EXPECT_EQ(out, std::string(kWhole) + "X-Last: 1\r\n");
}

TEST(Submission, AddressesWithoutDomainAreCompletedWhereTheyStand) {
    auto mine = rules();
    mine.is_own = [](std::string_view) { return true; };
    const std::string out =
        complete_submission(
            "From: alice (home), \"A, b\" <\"q r\">\r\n"
            "To: friends: bob, Carol <carol>,\r\n dave@x.example;, undisclosed:;\r\n"
            "Cc: one two three\r\nDate: x\r\nMessage-ID: y\r\n",
            mine)
            .value();
    EXPECT_EQ(out,
              "From: alice@example.org (home), \"A, b\" <\"q r\"@example.org>\r\n"
              "To: friends: bob@example.org, Carol <carol@example.org>,\r\n dave@x.example;, "
              "undisclosed:;\r\n"
              "Cc: one two three\r\nDate: x\r\nMessage-ID: y\r\n");
    // RFC 6409 §8.4 means each field that holds addresses.
    for (const char* name : {"Sender", "Reply-To", "To", "Cc", "Resent-From", "Resent-To"}) {
        const std::string rest = "From: a@x.example\r\nDate: x\r\nMessage-ID: y\r\n";
        EXPECT_EQ(complete_submission(rest + name + ": bob\r\n", mine).value(),
                  rest + name + ": bob@example.org\r\n");
    }
    mine.domain.clear();
    const auto refused = complete_submission("From: alice\r\n", mine);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().status, (EnhancedStatus{5, 6, 2}));
}

TEST(Submission, ForeignFromAndSenderAreRefused) {
    for (const char* block :
         {"From: bob@example.org\r\n", "From: alice@example.org, bob@example.org\r\n",
          "From: alice@example.org\r\nSender: bob@example.org\r\n", "From: bob\r\n",
          // RFC 5322 §3.6.2: Sender is one mailbox.
          "From: alice@example.org\r\nSender: alice@example.org, alice@example.org\r\n",
          "From: alice@example.org\r\nSender: \r\n",
          "From: alice@example.org <bob@example.org>\r\n",
          "From: \"alice@example.org\" <bob@example.org>\r\n"}) {
        const auto out = complete_submission(block, rules());
        ASSERT_FALSE(out) << block;
        EXPECT_EQ(out.error().status, (EnhancedStatus{5, 7, 1})) << block << out.error().reason;
    }
}

TEST(Submission, FromThatCannotBeReadIsRefused) {
    for (const char* block :
         {"From: \r\n", "From: (alice@example.org\r\n", "From: <alice@example.org\r\n",
          "From: \"alice\r\n", "From: a b <c@d> e\r\n", "From: alice@@example.org\r\n",
          "From: <alice@example.org> <bob@example.org>\r\n", "From: group:;\r\n",
          "From: alice@example.org\r\nFrom: alice@example.org\r\n", "From: alice smith\r\n"}) {
        const auto out = complete_submission(block, rules());
        ASSERT_FALSE(out) << block;
        EXPECT_EQ(out.error().status, (EnhancedStatus{5, 6, 0})) << block;
    }
}

TEST(Submission, SenderIsAddedWhereThatIsWanted) {
    auto adding = rules();
    adding.adds_sender = true;
    constexpr std::string_view kEnd = "Date: x\r\nMessage-ID: y\r\n";
    const std::string tail(kEnd);
    EXPECT_EQ(complete_submission("From: bob@example.net\r\n" + tail, adding).value(),
              "From: bob@example.net\r\n" + tail + "Sender: <alice@example.org>\r\n");
    EXPECT_EQ(
        complete_submission("Sender: eve@example.net\r\nFrom: bob@example.net\r\n" + tail, adding)
            .value(),
        "From: bob@example.net\r\n" + tail + "Sender: <alice@example.org>\r\n");
    const std::string own = "From: bob@example.net\r\nSender: alice@example.org\r\n" + tail;
    EXPECT_EQ(complete_submission(own, adding).value(), own);
    EXPECT_EQ(complete_submission(kWhole, adding).value(), kWhole);
}

}  // namespace
}  // namespace postrider::seal
