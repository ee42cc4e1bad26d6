// smtp/client_breaks_test.cc: what the client side concludes when the other side breaks.
//
// Goal: at each point of a session, 421, a lost connection, silence and nonsense leave one result
// per recipient, and none is told accepted that was not. Method: written servers (client_script.h).

#include <gtest/gtest.h>

#include "smtp/client_script.h"
#include "smtp/client_session.h"

namespace postrider::smtp {
namespace {

TEST(ClientSession, ContentThatCannotBeSentIsNeverEndedByADot) {
    Course got =
        run({.requests = {message({to("b"), to("c")})},
             .turns = {{"220 mx"}, {kPipelining}, {"250 ok", "250 ok", "550 5.1.1 no", "354 go"}},
             .content_fails = LocalReason{{5, 6, 0}, "bare LF at octet 3 of the content"}});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example> SIZE=1000\nC: RCPT TO:<b@x.example>\n"
              "C: RCPT TO:<c@x.example>\nC: DATA\n"
              "C: (content)\n"
              "R: permanent 5.6.0 at sending of content: bare LF at octet 3 of the content\n"
              "R: permanent 5.1.1 at RCPT: 550 5.1.1 no\n"
              "X: sending of content: bare LF at octet 3 of the content\n");
}

// The same session up to its content, for what happens there.
ClientSession in_content(ClientMode mode = ClientMode::Smtp) {
    ClientSession session({mode, "me.example"});
    session.handle_bytes("220 mx\r\n");
    session.next_action();
    session.handle_bytes(kPipelining + "\r\n");
    session.begin(message({to("b"), to("c")}));
    session.next_action();
    session.handle_bytes("250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n");
    EXPECT_TRUE(std::holds_alternative<action::SendContent>(session.next_action()));
    return session;
}

std::string end_of(ClientSession& session) {
    std::string course;
    Action done = session.next_action();
    for (const TransactionResult& result : std::get<action::TransactionDone>(done).results) {
        course += line_of(result);
    }
    course += std::get<action::Closed>(session.next_action()).reason.text();
    return course;
}

TEST(ClientSession, ARefusalDuringContentIsTheAnswer) {
    ClientSession session = in_content();
    session.handle_bytes("552 5.3.4 too big\r\n");
    EXPECT_EQ(end_of(session),
              "R: permanent 5.3.4 at sending of content: 552 5.3.4 too big\n"
              "R: permanent 5.3.4 at sending of content: 552 5.3.4 too big\n"
              "sending of content: 552 5.3.4 too big");
}

TEST(ClientSession, A250DuringContentIsNoAcceptance) {
    ClientSession session = in_content();
    session.handle_bytes("250 ok\r\n");
    EXPECT_EQ(end_of(session),
              "R: temporary 4.5.0 at sending of content: a reply that answers no command: 250 ok\n"
              "R: temporary 4.5.0 at sending of content: a reply that answers no command: 250 ok\n"
              "sending of content: a reply that answers no command: 250 ok");
}

TEST(ClientSession, ABreakDuringContentIsNoUnknownOutcome) {
    ClientSession session = in_content();
    EXPECT_EQ(session.waiting_for(), ClientWait::DataBlock);
    session.handle_timeout();
    EXPECT_EQ(end_of(session),
              "R: temporary 4.4.2 at sending of content: no progress in sending the content within "
              "180 seconds\n"
              "R: temporary 4.4.2 at sending of content: no progress in sending the content within "
              "180 seconds\n"
              "sending of content: no progress in sending the content within 180 seconds");
}

TEST(ClientSession, AbortAfterTheFinalDotLeavesTheOutcomeUnknown) {
    ClientSession session = in_content();
    session.content_sent(1000);
    EXPECT_EQ(session.waiting_for(), ClientWait::DataTermination);
    session.abort("stopping");
    EXPECT_EQ(end_of(session),
              "R: temporary 4.3.0 at end of data: stopping (outcome unknown)\n"
              "R: temporary 4.3.0 at end of data: stopping (outcome unknown)\n"
              "end of data: stopping");
}

TEST(ClientSession, ARepliesNumberChangesWithEachReplyAndNotWithEachRead) {
    ClientSession session({ClientMode::Smtp, "me.example"});
    auto wait = [&] { return std::get<action::NeedReply>(session.next_action()); };
    EXPECT_EQ(wait().waiting_for, ClientWait::Greeting);
    uint32_t number = wait().number;
    session.handle_bytes("220-mx\r\n");
    EXPECT_EQ(wait().number, number);
    session.handle_bytes("220 mx\r\n");
    session.next_action();  // EHLO
    EXPECT_NE(wait().number, number);
    EXPECT_EQ(wait().waiting_for, ClientWait::Hello);
}

TEST(ClientSession, RepliesThatNobodyAskedForEndTheConnection) {
    // In front of the answer to EHLO.
    ClientSession early({ClientMode::Smtp, "me.example"});
    early.handle_bytes("220 mx\r\n250 early\r\n");
    EXPECT_EQ(std::get<action::Closed>(early.next_action()).reason.text(),
              "EHLO: a reply that answers no command: 250 early");
    // The beginning of one.
    ClientSession partial({ClientMode::Smtp, "me.example"});
    partial.handle_bytes("220 mx\r\n25");
    EXPECT_EQ(std::get<action::Closed>(partial.next_action()).reason.kind,
              CloseReason::Kind::BadReply);
    // While idle: 421 says goodbye, all else is an error.
    for (std::string_view said : {"421 idle for too long\r\n", "250 hello?\r\n", "nonsense\r\n"}) {
        ClientSession idle({ClientMode::Smtp, "me.example"});
        idle.handle_bytes("220 mx\r\n");
        idle.next_action();
        idle.handle_bytes("250 mx\r\n");
        ASSERT_TRUE(std::holds_alternative<action::Ready>(idle.next_action()));
        idle.handle_bytes(said);
        CloseReason reason = std::get<action::Closed>(idle.next_action()).reason;
        EXPECT_EQ(reason.kind, said.starts_with("421") ? CloseReason::Kind::ServiceClosing
                                                       : CloseReason::Kind::BadReply);
    }
}

// A turn's replies with one of them replaced, and nothing after it.
Script broken_at(const Script& whole, std::size_t turn, std::size_t reply, const Replies& instead) {
    Script script = whole;
    script.turns.resize(turn + 1);
    script.turns[turn].resize(reply);
    for (const std::string& text : instead) script.turns[turn].push_back(text);
    return script;
}

struct Breakage {
    std::string_view name;
    Replies instead;
    CloseReason::Kind want;
};

// Every reply of three whole sessions, each broken in each of these ways.
TEST(ClientSession, BreaksAtEveryPointGiveEachRecipientOneResult) {
    const Breakage breakages[] = {
        {"421", {"421 4.3.2 stopping", std::string(kEof)}, CloseReason::Kind::ServiceClosing},
        {"Disconnect", {std::string(kEof)}, CloseReason::Kind::EndOfStream},
        {"DisconnectInAReply", {"250-unfin", std::string(kEof)}, CloseReason::Kind::EndOfStream},
        {"Silence", {std::string(kTimeout)}, CloseReason::Kind::TimedOut},
        {"Malformed", {"\x16\x03\x01 what"}, CloseReason::Kind::BadReply},
        {"Intermediate", {"300 hmm", std::string(kEof)}, CloseReason::Kind::BadReply},
    };
    const Replies group = {"250 ok", "250 ok", "250 ok", "354 go"};
    const Script scripts[] = {
        {.requests = {message({to("b"), to("c")})},
         .turns = {{"220 mx"}, {kPipelining}, group, {"250 ok"}}},
        {.requests = {message({to("b"), to("c")})},
         .turns =
             {{"220 mx"}, {kPlain}, {"250 ok"}, {"250 ok"}, {"250 ok"}, {"354 go"}, {"250 ok"}}},
        {.mode = ClientMode::Lmtp,
         .requests = {message({to("b"), to("c")})},
         .turns = {{"220 mx"}, {kPipelining}, group, {"250 ok", "250 ok"}}},
    };
    std::size_t tried = 0;
    for (const Script& whole : scripts) {
        std::size_t last_turn = whole.turns.size() - 1;
        for (std::size_t turn = 0; turn < whole.turns.size(); ++turn) {
            for (std::size_t reply = 0; reply < whole.turns[turn].size(); ++reply) {
                for (const Breakage& breakage : breakages) {
                    bool is_data = whole.turns[turn][reply].starts_with("354");
                    if (breakage.name == "Intermediate" && is_data) continue;
                    SCOPED_TRACE(fmt::format("{} instead of reply {} of turn {}", breakage.name,
                                             reply, turn));
                    ++tried;
                    Course got = run(broken_at(whole, turn, reply, breakage.instead));
                    EXPECT_EQ(got.closed->kind, breakage.want) << got.course;
                    bool in_transaction = turn >= 2;
                    ASSERT_EQ(got.done.size(), in_transaction ? 1u : 0u) << got.course;
                    if (!in_transaction) {
                        EXPECT_EQ(result_of(*got.closed).state,
                                  TransactionResult::State::Temporary);
                        continue;
                    }
                    ASSERT_EQ(got.done[0].size(), 2u);
                    for (std::size_t i = 0; i < 2; ++i) {
                        const TransactionResult& result = got.done[0][i];
                        bool answered = turn == last_turn && i < reply;  // LMTP only
                        EXPECT_EQ(result.state, answered ? TransactionResult::State::Accepted
                                                         : TransactionResult::State::Temporary);
                        bool unknown = turn == last_turn && !answered && breakage.name != "421";
                        EXPECT_EQ(result.outcome_unknown, unknown) << got.course;
                    }
                }
            }
        }
    }
    EXPECT_EQ(tried, 6u * (7 + 7 + 8) - 3);
}

TEST(ClientSession, TimeoutsAreThoseOfTheRfc) {
    EXPECT_EQ(timeout_of(ClientWait::Greeting), std::chrono::minutes(5));
    EXPECT_EQ(timeout_of(ClientWait::Mail), std::chrono::minutes(5));
    EXPECT_EQ(timeout_of(ClientWait::Rcpt), std::chrono::minutes(5));
    EXPECT_EQ(timeout_of(ClientWait::DataInitiation), std::chrono::minutes(2));
    EXPECT_EQ(timeout_of(ClientWait::DataBlock), std::chrono::minutes(3));
    EXPECT_EQ(timeout_of(ClientWait::DataTermination), std::chrono::minutes(10));
}

}  // namespace
}  // namespace postrider::smtp
