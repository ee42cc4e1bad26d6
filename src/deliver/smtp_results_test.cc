// deliver/smtp_results_test.cc: each kind of answer, and what the queue is told.

#include "deliver/smtp_results.h"

#include <gtest/gtest.h>

namespace postrider::deliver {
namespace {

using smtp::LocalReason;
using smtp::Reply;
using smtp::Stage;
using Verdict = RecipientResult::Verdict;

smtp::TransactionResult said(Stage stage, Reply reply) {
    return smtp::result_of(std::make_shared<const Reply>(std::move(reply)), stage);
}

struct Case {
    std::string_view name;
    smtp::TransactionResult result;
    Verdict want;
    FailureKind want_kind;
};

smtp::TransactionResult not_tried() {
    smtp::TransactionResult result =
        smtp::result_of(LocalReason{{4, 5, 3}, "full"}, Stage::NotSent);
    result.state = smtp::TransactionResult::State::NotTried;
    return result;
}

TEST(SmtpResults, EachAnswerHasItsKind) {
    using enum FailureKind;
    const Case cases[] = {
        {"Accepted", said(Stage::Final, {250, "ok"}), Verdict::Relayed, Other},
        {"NoConnection", smtp::result_of(LocalReason{{4, 4, 1}, "refused"}, Stage::Connect),
         Verdict::Temporary, Connection},
        {"Broke", smtp::result_of(LocalReason{{4, 4, 2}, "gone"}, Stage::Final), Verdict::Temporary,
         Connection},
        {"Nonsense", smtp::result_of(LocalReason{{4, 5, 0}, "what?"}, Stage::Mail),
         Verdict::Temporary, Connection},
        {"TooLarge", smtp::result_of(LocalReason{{5, 3, 4}, "too large"}, Stage::NotSent),
         Verdict::Permanent, Other},
        {"OurDisk", smtp::result_of(LocalReason{{4, 3, 0}, "disk"}, Stage::Content),
         Verdict::Temporary, Other},
        {"NotTried", not_tried(), Verdict::Temporary, TooManyRecipients},
        {"Greeting554", said(Stage::Greeting, {554, "no"}), Verdict::Permanent, Greeting},
        {"Busy", said(Stage::Greeting, {450, "busy"}), Verdict::Temporary, Greeting},
        {"Stopping", said(Stage::Rcpt, {421, "bye"}), Verdict::Temporary, Greeting},
        {"Mail451", said(Stage::Mail, {451, "busy"}), Verdict::Temporary, Mail4yz},
        {"Final451", said(Stage::Final, {451, "busy"}), Verdict::Temporary, Mail4yz},
        {"Final554", said(Stage::Final, {554, "no"}), Verdict::Permanent, Other},
        {"Unknown", said(Stage::Rcpt, {550, {5, 1, 1}, "who?"}), Verdict::Permanent, Mailbox},
        {"Locked", said(Stage::Rcpt, {450, "locked"}), Verdict::Temporary, Mailbox},
        {"Full", said(Stage::Rcpt, {452, {4, 2, 2}, "full"}), Verdict::Temporary, Full},
        {"FullDisk", said(Stage::Mail, {452, {4, 3, 1}, "full"}), Verdict::Temporary, Full},
        {"GreylistedByCode", said(Stage::Rcpt, {450, {4, 7, 1}, "later"}), Verdict::Temporary,
         Greylisted},
        {"GreylistedInWords", said(Stage::Final, {451, "You are GreyListed, come again"}),
         Verdict::Temporary, Greylisted},
        {"Policy", said(Stage::Final, {550, {5, 7, 1}, "spam"}), Verdict::Permanent, Policy},
        {"NotGreylistedForGood", said(Stage::Rcpt, {550, {5, 7, 1}, "greylisted for ever"}),
         Verdict::Permanent, Policy},
    };
    for (const Case& c : cases) {
        RecipientResult got = smtp_result(c.result, 7, smtp::ClientMode::Smtp, "mx.example");
        EXPECT_EQ(got.verdict, c.want) << c.name;
        EXPECT_EQ(name(got.kind), name(c.want_kind)) << c.name;
        EXPECT_EQ(got.recipient, 7u);
        EXPECT_EQ(got.status, c.result.status) << c.name;
        EXPECT_EQ(got.remote_host, c.result.reply ? "mx.example" : "") << c.name;
        EXPECT_EQ(got.reply_code, c.result.reply ? c.result.reply->code : 0) << c.name;
    }
}

TEST(SmtpResults, LmtpDelivers) {
    RecipientResult got =
        smtp_result(said(Stage::Final, {250, "ok"}), 0, smtp::ClientMode::Lmtp, "lmtp");
    EXPECT_EQ(got.verdict, Verdict::Delivered);
}

TEST(SmtpResults, TheReasonIsTheReplyInOneBoundedLine) {
    EXPECT_EQ(smtp_result(said(Stage::Rcpt, {550, {5, 1, 1}, "no\nsuch user"}), 0,
                          smtp::ClientMode::Smtp, "mx")
                  .reason,
              "550 5.1.1 no such user");
    RecipientResult got = smtp_result(said(Stage::Rcpt, {550, std::string(9000, 'a')}), 0,
                                      smtp::ClientMode::Smtp, "mx");
    EXPECT_EQ(got.reason.size(), kReasonOctetsMax);
}

TEST(SmtpResults, AnUnknownOutcomeIsToldToTheOperator) {
    smtp::TransactionResult result = smtp::result_of(LocalReason{{4, 4, 2}, "gone"}, Stage::Final);
    result.outcome_unknown = true;
    EXPECT_EQ(smtp_result(result, 0, smtp::ClientMode::Smtp, "mx").detail,
              "end of data; the next host may have taken the message");
}

}  // namespace
}  // namespace postrider::deliver
