// smtp/client_session_test.cc: what the client side says and concludes, given what it hears.
//
// Method: written servers (client_script.h); the course of each session is compared as text. Breaks
// of all kinds are in client_breaks_test.cc.

#include "smtp/client_session.h"

#include <gtest/gtest.h>

#include "smtp/client_script.h"

namespace postrider::smtp {
namespace {

TEST(ClientSession, SendsOneCommandAtATimeWithoutPipelining) {
    Course got = run({.requests = {message({to("b"), to("c")})},
                      .turns = {{"220 mx.example"},
                                {kPlain},
                                {"250 ok"},
                                {"250 ok"},
                                {"251 ok"},
                                {"354 go"},
                                {"250 2.0.0 queued as 1"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example>\n"
              "C: RCPT TO:<b@x.example>\n"
              "C: RCPT TO:<c@x.example>\n"
              "C: DATA\n"
              "C: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 2.0.0 queued as 1\n"
              "R: accepted 2.0.0 at end of data: 250 2.0.0 queued as 1\n"
              "C: QUIT\n"
              "X: closed after QUIT\n");
    EXPECT_EQ(got.transcript,
              "S: 220 mx.example\nC: EHLO me.example\nS: 250 mx.example\n"
              "C: MAIL FROM:<a@o.example>\nS: 250 ok\nC: RCPT TO:<b@x.example>\nS: 250 ok\n"
              "C: RCPT TO:<c@x.example>\nS: 251 ok\nC: DATA\nS: 354 go\n"
              "-- content of 1000 octets sent\nS: 250 2.0.0 queued as 1\nC: QUIT\nS: 221 bye\n");
}

TEST(ClientSession, PipelinesAWholeGroupAndKeepsTheConnection) {
    Course got = run({.requests = {message({to("b")}), message({to("c")})},
                      .turns = {{"220 mx.example"},
                                {kPipelining},
                                {"250 ok", "250 ok", "354 go"},
                                {"250 first"},
                                {"250 ok", "250 ok", "354 go"},
                                {"250 second"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\nC: DATA\n"
              "C: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 first\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<c@x.example>\nC: DATA\n"
              "C: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 second\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, PartialAcceptanceGoesOnWithTheAccepted) {
    Course got = run({.requests = {message({to("b"), to("c"), to("d")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"250 ok", "250 ok", "550 5.1.1 no c", "250 ok", "354 go"},
                                {"450 4.2.0 later"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\n"
              "C: RCPT TO:<c@x.example>\nC: RCPT TO:<d@x.example>\nC: DATA\n"
              "C: (content)\n"
              "R: temporary 4.2.0 at end of data: 450 4.2.0 later\n"
              "R: permanent 5.1.1 at RCPT: 550 5.1.1 no c\n"
              "R: temporary 4.2.0 at end of data: 450 4.2.0 later\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, AllRecipientsRefusedBut354IsAnsweredByALoneDot) {
    Course got = run({.requests = {message({to("b"), to("c")}), message({to("d")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"250 ok", "550 5.1.1 no b", "451 4.7.1 later", "354 go"},
                                {"554 5.5.0 nobody"},
                                {"250 reset", "250 ok", "250 ok", "354 go"},
                                {"250 ok"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\n"
              "C: RCPT TO:<c@x.example>\nC: DATA\n"
              "C: .\n"
              "R: permanent 5.1.1 at RCPT: 550 5.1.1 no b\n"
              "R: temporary 4.7.1 at RCPT: 451 4.7.1 later\n"
              "C: RSET\nC: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<d@x.example>\nC: DATA\n"
              "C: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 ok\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, AllRecipientsRefusedAndDataRefusedNeedsRsetOnly) {
    Course got = run({.requests = {message({to("b")}), message({to("d")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"250 ok", "550 5.1.1 no b", "554 5.5.1 no valid recipients"},
                                {"250 reset", "250 ok", "250 ok", "354 go"},
                                {"250 ok"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\nC: DATA\n"
              "R: permanent 5.1.1 at RCPT: 550 5.1.1 no b\n"
              "C: RSET\nC: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<d@x.example>\nC: DATA\n"
              "C: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 ok\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, WithoutPipeliningDataIsNotSentWhenNobodyWasAccepted) {
    Course got = run({.requests = {message({to("b")}), message({to("d")})},
                      .turns = {{"220 mx"},
                                {kPlain},
                                {"250 ok"},
                                {"550 no"},
                                {"250 reset"},
                                {"250 ok"},
                                {"250 ok"},
                                {"354 go"},
                                {"250 ok"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example>\nC: RCPT TO:<b@x.example>\n"
              "R: permanent 5.0.0 at RCPT: 550 no\n"
              "C: RSET\nC: MAIL FROM:<a@o.example>\nC: RCPT TO:<d@x.example>\nC: DATA\n"
              "C: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 ok\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, RefusedMailConcernsAllRecipients) {
    Course got = run({.requests = {message({to("b"), to("c")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"550 5.7.1 not you", "503 no", "503 no", "503 no"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\n"
              "C: RCPT TO:<c@x.example>\nC: DATA\n"
              "R: permanent 5.7.1 at MAIL: 550 5.7.1 not you\n"
              "R: permanent 5.7.1 at MAIL: 550 5.7.1 not you\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, RefusedMailStopsAnEnvelopeWithoutPipelining) {
    Course got = run({.requests = {message({to("b")})},
                      .turns = {{"220 mx"}, {kPlain}, {"452 4.3.1 full"}, {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\nC: MAIL FROM:<a@o.example>\n"
              "R: temporary 4.3.1 at MAIL: 452 4.3.1 full\n"
              "C: QUIT\nX: closed after QUIT\n");
}

// A server that refused MAIL but takes the recipients and DATA would send an empty message to them.
TEST(ClientSession, NoDotIsSentWhenMailWasRefusedButARecipientTaken) {
    Course got = run({.requests = {message({to("b")})},
                      .turns = {{"220 mx"}, {kPipelining}, {"550 5.7.1 no", "250 ok", "354 go"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\nC: DATA\n"
              "R: permanent 5.7.1 at MAIL: 550 5.7.1 no\n"
              "X: DATA: a reply that starts content that nobody should get: 354 go\n");
}

TEST(ClientSession, RefusedDataConcernsTheAcceptedRecipients) {
    Course got = run({.requests = {message({to("b"), to("c")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"250 ok", "250 ok", "550 5.1.1 no c", "451 4.3.0 busy"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\n"
              "C: RCPT TO:<c@x.example>\nC: DATA\n"
              "R: temporary 4.3.0 at DATA: 451 4.3.0 busy\n"
              "R: permanent 5.1.1 at RCPT: 550 5.1.1 no c\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, FallsBackToHelo) {
    Course got = run({.requests = {message({to("b")})},
                      .turns = {{"220 mx"},
                                {"502 what?"},
                                {"250-old.example\r\n250 PIPELINING"},
                                {"250 ok"},
                                {"250 ok"},
                                {"354 go"},
                                {"250 ok"},
                                {"221 bye"}}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\nC: HELO me.example\n"
              "C: MAIL FROM:<a@o.example>\nC: RCPT TO:<b@x.example>\nC: DATA\nC: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 ok\n"
              "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, RefusalsBeforeTheFirstTransactionEndWithQuit) {
    struct Case {
        std::vector<Replies> turns;
        std::string_view want;
    };
    const Case cases[] = {
        {{{"554 5.7.1 go away"}, {"221 bye"}}, "C: QUIT\nX: greeting: 554 5.7.1 go away\n"},
        {{{"450 busy"}, {"221 bye"}}, "C: QUIT\nX: greeting: 450 busy\n"},
        {{{"421 4.3.2 stopping"}}, "X: greeting: 421 4.3.2 stopping\n"},
        {{{"220 mx"}, {"451 busy"}, {"221 bye"}},
         "C: EHLO me.example\nC: QUIT\nX: EHLO: 451 busy\n"},
        {{{"220 mx"}, {"550 no"}, {"550 never"}, {std::string(kEof)}},
         "C: EHLO me.example\nC: HELO me.example\nC: QUIT\nX: EHLO: 550 never\n"},
        {{{"354 mx"}}, "X: greeting: a reply that is no greeting: 354 mx\n"},
    };
    for (const Case& c : cases) {
        Course got = run({.requests = {message({to("b")})}, .turns = c.turns});
        EXPECT_EQ(got.course, c.want);
        EXPECT_TRUE(got.done.empty());
        EXPECT_EQ(result_of(*got.closed).outcome_unknown, false);
    }
}

TEST(ClientSession, LmtpHasNoHeloAndSaysLhlo) {
    Course got = run({.mode = ClientMode::Lmtp,
                      .requests = {message({to("b")})},
                      .turns = {{"220 mx"}, {"500 what?"}, {"221 bye"}}});
    EXPECT_EQ(got.course, "C: LHLO me.example\nC: QUIT\nX: EHLO: 500 what?\n");
}

TEST(ClientSession, LmtpGivesAResultForEachRecipient) {
    Course got =
        run({.mode = ClientMode::Lmtp,
             .requests = {message({to("b"), to("c"), to("d"), to("e")})},
             .turns = {{"220 mx"},
                       {kPipelining},
                       {"250 ok", "250 ok", "550 5.1.1 no c", "250 ok", "250 ok", "354 go"},
                       {"250 2.1.5 b", "452 4.2.2 d is full", "554 5.6.0 e says no"},
                       {"221 bye"}}});
    EXPECT_EQ(
        got.course,
        "C: LHLO me.example\n"
        "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\n"
        "C: RCPT TO:<c@x.example>\nC: RCPT TO:<d@x.example>\nC: RCPT TO:<e@x.example>\nC: DATA\n"
        "C: (content)\n"
        "R: accepted 2.1.5 at end of data: 250 2.1.5 b\n"
        "R: permanent 5.1.1 at RCPT: 550 5.1.1 no c\n"
        "R: temporary 4.2.2 at end of data: 452 4.2.2 d is full\n"
        "R: permanent 5.6.0 at end of data: 554 5.6.0 e says no\n"
        "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, LmtpRepliesThatCameCountWhenTheConnectionDies) {
    Course got = run({.mode = ClientMode::Lmtp,
                      .requests = {message({to("b"), to("c")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"250 ok", "250 ok", "250 ok", "354 go"},
                                {"250 2.1.5 b", std::string(kEof)}}});
    ASSERT_EQ(got.done.size(), 1u);
    EXPECT_EQ(line_of(got.done[0][0]), "R: accepted 2.1.5 at end of data: 250 2.1.5 b\n");
    EXPECT_EQ(line_of(got.done[0][1]),
              "R: temporary 4.4.2 at end of data: gone (outcome unknown)\n");
}

TEST(ClientSession, Lmtp354WithoutARecipientEndsTheConnection) {
    Course got = run({.mode = ClientMode::Lmtp,
                      .requests = {message({to("b")})},
                      .turns = {{"220 mx"}, {kPipelining}, {"250 ok", "550 5.1.1 no", "354 go"}}});
    ASSERT_EQ(got.done.size(), 1u);
    EXPECT_EQ(line_of(got.done[0][0]), "R: permanent 5.1.1 at RCPT: 550 5.1.1 no\n");
    EXPECT_EQ(got.closed->kind, CloseReason::Kind::BadReply);
}

// ---------------------------------------------------------------------------------------------
// Too many recipients, limits

TEST(ClientSession, TooManyRecipientsAreLeftForTheNextTransaction) {
    for (std::string reply :
         {"452 4.5.3 too many", "452 too many", "552 too many", "552 5.5.3 too many"}) {
        Course got = run({.requests = {message({to("b"), to("c"), to("d")})},
                          .turns = {{"220 mx"},
                                    {kPlain},
                                    {"250 ok"},
                                    {"250 ok"},
                                    {reply},
                                    {"354 go"},
                                    {"250 ok"},
                                    {"221 bye"}}});
        ASSERT_EQ(got.done.size(), 1u) << reply;
        EXPECT_EQ(got.done[0][0].state, TransactionResult::State::Accepted);
        EXPECT_EQ(got.done[0][1].state, TransactionResult::State::NotTried) << reply;
        EXPECT_EQ(got.done[0][1].status, (EnhancedStatus{4, 5, 3})) << reply;
        // Not asked for any more, since the peer said that it is enough.
        EXPECT_EQ(got.done[0][2].state, TransactionResult::State::NotTried) << reply;
        EXPECT_EQ(got.course.find("RCPT TO:<d@"), std::string::npos);
    }
}

TEST(ClientSession, TooManyAtTheFirstRecipientIsTemporary) {
    for (std::string reply :
         {"452 4.5.3 too many", "452 too many", "552 too many", "552 5.5.3 too many"}) {
        Course got = run({.requests = {message({to("b")})},
                          .turns = {{"220 mx"}, {kPlain}, {"250 ok"}, {reply}, {"221 bye"}}});
        EXPECT_EQ(got.done.at(0)[0].state, TransactionResult::State::Temporary) << reply;
    }
}

TEST(ClientSession, AFullMailboxIsNotTooManyRecipients) {
    Course got = run({.requests = {message({to("b"), to("c"), to("d")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"250 ok", "250 ok", "452 4.2.2 full", "552 5.2.2 full", "354 go"},
                                {"250 ok"},
                                {"221 bye"}}});
    ASSERT_EQ(got.done.size(), 1u);
    EXPECT_EQ(got.done[0][1].state, TransactionResult::State::Temporary);
    EXPECT_EQ(got.done[0][2].state, TransactionResult::State::Permanent);
}

TEST(ClientSession, RecipientsBeyondOurLimitWaitForTheNextTransaction) {
    Course got = run({.requests = {message({to("b"), to("c"), to("d")})},
                      .turns = {{"220 mx"},
                                {kPipelining},
                                {"250 ok", "250 ok", "250 ok", "354 go"},
                                {"250 ok"},
                                {"221 bye"}},
                      .recipients_max = 2});
    ASSERT_EQ(got.done.size(), 1u);
    EXPECT_EQ(got.done[0][1].state, TransactionResult::State::Accepted);
    EXPECT_EQ(got.done[0][2].state, TransactionResult::State::NotTried);
    EXPECT_EQ(got.done[0][2].stage, Stage::NotSent);
}

TEST(ClientSession, LimitsOfThePeerAreKept) {
    const std::string limits =
        "250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTMAX=2 MAILMAX=2 RCPTDOMAINMAX=1";
    Course got = run({.requests = {message({to("b", "x.example"), to("c", "y.example"),
                                            to("d", "x.example"), to("e", "x.example")}),
                                   message({to("c", "x.example")})},
                      .turns = {{"220 mx"},
                                {limits},
                                {"250 ok", "250 ok", "250 ok", "354 go"},
                                {"250 ok"},
                                {"250 ok", "250 ok", "354 go"},
                                {"250 ok"},
                                {"221 bye"}}});
    EXPECT_EQ(
        got.course,
        "C: EHLO me.example\n"
        "C: MAIL FROM:<a@o.example>\nC: RCPT TO:<b@x.example>\nC: RCPT TO:<d@x.example>\nC: DATA\n"
        "C: (content)\n"
        "R: accepted 2.0.0 at end of data: 250 ok\n"
        "R: not tried 4.5.3 at before MAIL: more recipients than fit\n"
        "R: accepted 2.0.0 at end of data: 250 ok\n"
        "R: not tried 4.5.3 at before MAIL: more recipients than fit\n"
        "C: MAIL FROM:<a@o.example>\nC: RCPT TO:<c@x.example>\nC: DATA\nC: (content)\n"
        "R: accepted 2.0.0 at end of data: 250 ok\n"
        "C: QUIT\nX: closed after QUIT\n");
}

TEST(ClientSession, WithoutRoomForAnyDomainTheConnectionEnds) {
    const std::string limits = "250-mx\r\n250-PIPELINING\r\n250 LIMITS RCPTDOMAINMAX=1";
    Course got = run(
        {.requests = {message({to("b", "x.example")}), message({to("c", "y.example")})},
         .turns = {{"220 mx"}, {limits}, {"250 ok", "250 ok", "354 go"}, {"250 ok"}, {"221 bye"}}});
    ASSERT_EQ(got.done.size(), 2u);
    EXPECT_EQ(got.done[1][0].state, TransactionResult::State::NotTried);
    EXPECT_EQ(got.closed->kind, CloseReason::Kind::Quit);
}

TEST(ClientSession, ManyRecipientsGoInGroupsOfBoundedSize) {
    std::vector<Recipient> recipients;
    Replies first = {"250 ok"}, second;
    // "RCPT TO:<" + 64 + "@x.example>" CRLF = 86 octets each; MAIL has 38. The group ends behind
    // the command that reaches 16384: MAIL and 191 RCPTs.
    for (int i = 0; i < 300; ++i) {
        recipients.push_back(to(fmt::format("{:064}", i)));
        (i < 191 ? first : second).push_back("250 ok");
    }
    second.push_back("354 go");
    Script script{.requests = {message(recipients)},
                  .turns = {{"220 mx"}, {kPipelining}, first, second, {"250 ok"}, {"221 bye"}},
                  .recipients_max = 1000};
    Course got = Runner(script, 1 << 20).run();
    ASSERT_EQ(got.done.size(), 1u);
    for (const TransactionResult& result : got.done[0]) {
        EXPECT_EQ(result.state, TransactionResult::State::Accepted);
    }
}

}  // namespace
}  // namespace postrider::smtp
