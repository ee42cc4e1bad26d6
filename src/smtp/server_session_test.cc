// What the server side says and tells, given what it hears. Whole dialogues are files
// (server_dialogue_test.cc); here are the tables, the properties and single stories.

#include "smtp/server_session.h"

#include <array>

#include <gtest/gtest.h>

#include "smtp/scripted_driver.h"

namespace postrider::smtp {
namespace {

using namespace std::string_literals;

std::string last_line(const std::string& replies) {
    if (replies.size() < 2) return replies;
    const std::size_t before = replies.rfind("\r\n", replies.size() - 3);
    return replies.substr(before == std::string::npos ? 0 : before + 2);
}

// RFC 5321 §4.1.4 and §3.3 as a table: rows are commands, columns states. Each cell begins the
// reply.
struct Row {
    const char* line;
    std::array<const char*, 5> want;  // rejected, idle, greeted, mail, rcpt
};
constexpr Row kRows[] = {
    {"HELO a", {"503 5.5.1", "250 mx", "250 mx", "250 mx", "250 mx"}},
    {"EHLO a", {"503 5.5.1", "250 HELP", "250 HELP", "250 HELP", "250 HELP"}},
    {"LHLO a", {"503 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1", "500 5.5.1"}},
    {"MAIL FROM:<>", {"503 5.5.1", "503 5.5.1", "250 2.1.0", "503 5.5.1", "503 5.5.1"}},
    {"RCPT TO:<a@b>", {"503 5.5.1", "503 5.5.1", "503 5.5.1", "250 2.1.5", "250 2.1.5"}},
    {"DATA", {"503 5.5.1", "503 5.5.1", "503 5.5.1", "554 5.5.1", "354 "}},
    {"BDAT 0", {"503 5.5.1", "503 5.5.1", "503 5.5.1", "554 5.5.1", "250 2.0.0"}},
    {"RSET", {"503 5.5.1", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"}},
    {"NOOP", {"503 5.5.1", "250 2.0.0", "250 2.0.0", "250 2.0.0", "250 2.0.0"}},
    {"QUIT", {"221 2.0.0", "221 2.0.0", "221 2.0.0", "221 2.0.0", "221 2.0.0"}},
    {"VRFY a", {"503 5.5.1", "252 2.0.0", "252 2.0.0", "252 2.0.0", "252 2.0.0"}},
    {"EXPN a", {"503 5.5.1", "252 2.0.0", "252 2.0.0", "252 2.0.0", "252 2.0.0"}},
    {"XCLIENT ADDR=192.0.2.1", {"503 5.5.1", "550 5.7.0", "550 5.7.0", "503 5.5.1", "503 5.5.1"}},
    {"XFORWARD ADDR=192.0.2.1", {"503 5.5.1", "550 5.7.0", "550 5.7.0", "503 5.5.1", "503 5.5.1"}},
    {"HELP", {"503 5.5.1", "214 2.0.0", "214 2.0.0", "214 2.0.0", "214 2.0.0"}},
    {"STARTTLS", {"503 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1", "502 5.5.1"}},
    {"WHAT", {"503 5.5.1", "500 5.5.2", "500 5.5.2", "500 5.5.2", "500 5.5.2"}},
};

ScriptedDriver in_state(std::size_t column) {
    ServerOptions options = ScriptedDriver::test_options();
    options.chunking = true;
    ScriptedDriver driver(options);
    if (column == 0) driver.answers.push_back({554, {5, 7, 1}, "no"});
    driver.feed("");
    constexpr const char* kWay[] = {"", "", "EHLO a\r\n", "EHLO a\r\nMAIL FROM:<>\r\n",
                                    "EHLO a\r\nMAIL FROM:<>\r\nRCPT TO:<x@y>\r\n"};
    driver.feed(kWay[column]);
    driver.take_replies();
    return driver;
}

TEST(ServerSession, EveryStateAnswersEveryCommand) {
    constexpr std::array kStates = {State::Rejected, State::Idle, State::Greeted, State::Mail,
                                    State::Rcpt};
    for (const Row& row : kRows) {
        for (std::size_t column = 0; column < kStates.size(); ++column) {
            ScriptedDriver driver = in_state(column);
            ASSERT_EQ(driver.session.state(), kStates[column]);
            driver.feed(row.line + "\r\n"s);
            const std::string line = last_line(driver.take_replies());
            EXPECT_TRUE(line.starts_with(row.want[column]))
                << row.line << " in state " << text_of(kStates[column]) << ": " << line;
        }
    }
}

TEST(ServerSession, RefusedCommandLeavesTheState) {
    for (const Row& row : kRows) {
        for (std::size_t column = 0; column < 5; ++column) {
            if (row.want[column][0] != '5') continue;
            ScriptedDriver driver = in_state(column);
            const State before = driver.session.state();
            driver.feed(row.line + "\r\n"s);
            EXPECT_EQ(driver.session.state(), before) << row.line;
        }
    }
}

constexpr std::string_view kLongStory =
    "EHLO [127.0.0.1]\r\nMAIL FROM:<a@b> SIZE=10\r\nRCPT TO:<c@d>\r\nRCPT TO:<>\r\n"
    "NOOP\nDATA\r\nline\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRSET\r\nMAIL FROM:<>\r\nEHLO x\r\n"
    "MAIL FROM:<>\r\nRCPT TO:<Postmaster>\r\nDATA\r\nbad\n.\n\r\n.\r\nVRFY me\r\nWHAT\r\nQUIT\r\n"
    "MAIL FROM:<>\r\n";

TEST(ServerSession, AnyCutOfTheInputGivesTheSameReplies) {
    ScriptedDriver whole;
    whole.feed(kLongStory);
    ASSERT_TRUE(whole.closed);
    EXPECT_EQ(whole.messages, std::vector{"line\r\n.dot\r\n"s});
    for (std::size_t cut = 0; cut <= kLongStory.size(); ++cut) {
        ScriptedDriver driver;
        driver.feed(kLongStory.substr(0, cut));
        if (!driver.closed) driver.feed(kLongStory.substr(cut));
        ASSERT_EQ(driver.replies, whole.replies) << cut;
        ASSERT_EQ(driver.events, whole.events) << cut;
        ASSERT_EQ(driver.messages, whole.messages) << cut;
    }
}

TEST(ServerSession, PipelinedRepliesAreCollectedUntilInputIsNeeded) {
    ServerSession session(std::make_shared<const ServerOptions>(ScriptedDriver::test_options()));
    std::string_view input;
    session.next(input);
    session.accept();
    session.take_output();
    input = "NOOP\r\nNOOP\r\nNOOP\r\n";
    EXPECT_TRUE(std::holds_alternative<event::NeedInput>(session.next(input)));
    EXPECT_EQ(session.take_output(),
              "250 2.0.0 nothing done\r\n250 2.0.0 nothing done\r\n250 2.0.0 nothing done\r\n");
    EXPECT_EQ(session.output(), "");
}

// That it never says so wrongly is asserted by the driver, at every step of every test.
TEST(ServerSession, SaysWithoutAnEventThatItWantsInput) {
    ServerSession session(std::make_shared<const ServerOptions>(ScriptedDriver::test_options()));
    std::string_view input;
    EXPECT_FALSE(session.wants_input(input));  // the greeting is to be given
    session.next(input);
    EXPECT_FALSE(session.wants_input(input));  // an answer is owed
    session.accept();
    EXPECT_TRUE(session.wants_input(input));
    EXPECT_FALSE(session.wants_input("NOOP\r\n"));
    for (std::string_view said : {"EHLO client.example\r\n", "MAIL FROM:<a@b.example>\r\n",
                                  "RCPT TO:<c@mx.example>\r\n", "DATA\r\n"}) {
        session.next(said);
        session.accept();
        if (!session.wants_input(said)) session.next(said);  // a transaction is told to be reset
        EXPECT_TRUE(session.wants_input(said));
    }
    input = "QUIT";
    session.next(input);
    EXPECT_TRUE(session.wants_input(input));  // in the midst of content
}

TEST(ServerSession, ContentIsNotCopied) {
    ScriptedDriver driver = in_state(4);
    driver.feed("DATA\r\n");
    const std::string block = "one\r\ntwo\r\n";
    std::string_view input = block;
    const Event event = driver.session.next(input);
    ASSERT_TRUE(std::holds_alternative<event::DataChunk>(event));
    EXPECT_EQ(std::get<event::DataChunk>(event).content.data(), block.data());
    EXPECT_EQ(std::get<event::DataChunk>(event).content.size(), block.size());
}

TEST(ServerSession, PartialLineIsBoundedAndFreed) {
    ScriptedDriver driver = in_state(2);
    driver.session.clear_output();
    for (int i = 0; i < 1000; ++i) driver.feed("0123456789");
    EXPECT_LT(driver.session.memory_octets(), 2 * kCommandLineOctetsMax + 64);
    driver.feed("\r\n");
    EXPECT_TRUE(driver.take_replies().starts_with("500 5.5.2"));
    driver.feed("NOOP with a rather long part of a line");
    EXPECT_GT(driver.session.memory_octets(), 30u);
    driver.feed("\r\n");
    driver.feed("");
    driver.session.take_output();
    EXPECT_LT(driver.session.memory_octets(), 64u);
}

TEST(ServerSession, EarlyTalkIsAFact) {
    ScriptedDriver polite, hasty;
    polite.feed("");
    hasty.feed("EHLO a\r\n");
    EXPECT_FALSE(polite.session.spoke_early());
    EXPECT_TRUE(hasty.session.spoke_early());
}

TEST(ServerSession, DataThatCameTooEarlyIsNeverReadAsCommands) {
    constexpr std::string_view kGroup = "DATA\r\nRSET\r\nMAIL FROM:<evil@a>\r\n";
    ScriptedDriver by_sequence = in_state(3);
    by_sequence.feed(kGroup);
    EXPECT_TRUE(last_line(by_sequence.replies).starts_with("421 4.5.0")) << by_sequence.replies;
    EXPECT_TRUE(by_sequence.events.ends_with("Closed data before the go-ahead\n"));

    ScriptedDriver by_driver = in_state(4);
    by_driver.answers.push_back({452, {4, 3, 1}, "full"});
    by_driver.feed(kGroup);
    EXPECT_EQ(by_driver.replies.substr(0, 9), "452 4.3.1");
    EXPECT_TRUE(by_driver.events.ends_with("Closed data before the go-ahead\n"));
    EXPECT_FALSE(by_driver.events.contains("evil"));
}

TEST(ServerSession, QuitBehindARefusedDataIsAnswered) {
    ScriptedDriver driver = in_state(3);
    driver.feed("DATA\r\nquit\r\n");
    EXPECT_EQ(driver.replies, "554 5.5.1 no valid recipients\r\n221 2.0.0 mx.example closing\r\n");
    EXPECT_FALSE(driver.session.sent_early_data());

    ScriptedDriver by_driver = in_state(4);
    by_driver.answers.push_back({452, {4, 3, 1}, "full"});
    by_driver.feed("DATA\r\nQUIT\r\n");
    EXPECT_EQ(last_line(by_driver.replies), "221 2.0.0 mx.example closing\r\n");

    // What only begins so is content.
    for (const char* content : {"QUIT now\r\n", "QUIT\n", "QUIT", "RSET\r\n", "NOOP\r\n", "\r\n"}) {
        ScriptedDriver other = in_state(3);
        other.feed("DATA\r\n"s + content);
        EXPECT_TRUE(last_line(other.replies).starts_with("421 4.5.0")) << content;
    }
}

TEST(ServerSession, EarlyDataIsTakenWhenTheAnswerIs354) {
    ScriptedDriver driver = in_state(4);
    driver.feed("DATA\r\nhello\r\n.\r\n");
    EXPECT_TRUE(driver.session.sent_early_data());
    EXPECT_EQ(driver.messages, std::vector{"hello\r\n"s});
}

TEST(ServerSession, SilenceEndsWith421AndSaysWhy) {
    ScriptedDriver driver = in_state(4);
    EXPECT_EQ(driver.session.waiting_for(), WaitingFor::Command);
    EXPECT_EQ(driver.session.timeout_reply().one_line(),
              "421 4.4.2 mx.example closing: no time left to wait for a command");
    driver.feed("DATA\r\nabc");
    EXPECT_EQ(driver.session.waiting_for(), WaitingFor::DataBlock);
    driver.take_replies();
    driver.session.shut_down(driver.session.timeout_reply());
    EXPECT_EQ(driver.session.waiting_for(), WaitingFor::Nothing);
    driver.feed("\r\n.\r\n");
    EXPECT_TRUE(driver.closed);
    EXPECT_EQ(driver.replies,
              "421 4.4.2 mx.example closing: no time left to wait for more of the message\r\n");
    EXPECT_TRUE(driver.messages.empty());
}

TEST(ServerSession, ShutDownVoidsTheAnswerThatIsOwed) {
    ServerSession session(std::make_shared<const ServerOptions>(ScriptedDriver::test_options()));
    std::string_view input;
    session.next(input);
    EXPECT_EQ(session.answers_owed(), 1u);
    EXPECT_EQ(session.waiting_for(), WaitingFor::Decision);
    session.shut_down({421, {4, 3, 2}, "going down"});
    EXPECT_EQ(session.answers_owed(), 0u);
    EXPECT_TRUE(std::holds_alternative<event::Closed>(session.next(input)));
    EXPECT_EQ(session.take_output(), "421 4.3.2 going down\r\n");
}

TEST(ServerSession, RefusedMessageThatDoesNotEndIsCut) {
    ServerOptions options = ScriptedDriver::test_options();
    options.size_octets_max = 1000;
    ScriptedDriver driver(options);
    driver.feed("HELO a\r\nMAIL FROM:<>\r\nRCPT TO:<a@b>\r\nDATA\r\n");
    const std::string block(1024 * 1024, 'x');
    for (int i = 0; i < 20 && !driver.closed; ++i) driver.feed(block);
    EXPECT_TRUE(driver.events.ends_with("Closed endless data\n"));
}

TEST(ServerSession, AnsweringWhenNothingIsOwedIsOurError) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    ScriptedDriver driver = in_state(2);
    EXPECT_DEATH(driver.session.accept(), "owed_ > 0");
    ServerSession session(std::make_shared<const ServerOptions>(ScriptedDriver::test_options()));
    std::string_view input;
    session.next(input);
    EXPECT_DEATH(session.next(input), "owed_ == 0");
}

TEST(ServerSession, WhateverComesInNothingForeignGoesOut) {
    ServerOptions options = ScriptedDriver::test_options();
    options.errors_max = 1000;
    ScriptedDriver driver(options);
    driver.answers.push_back({});
    driver.answers.push_back({550, {5, 7, 1}, "you said \r\n250 ok\0!"s});
    driver.feed("EHLO a\r\n");
    driver.feed("MAIL FROM:<\r250 ok@b>\r\n\x80\xff\r\n");
    for (std::size_t i = 0; i < driver.replies.size(); ++i) {
        const char c = driver.replies[i];
        EXPECT_NE(c, '\0');
        if (c == '\r') EXPECT_EQ(driver.replies[i + 1], '\n');
        if (c == '\n') EXPECT_EQ(driver.replies[i - 1], '\r');
    }
    EXPECT_TRUE(driver.replies.contains("550-5.7.1 you said ?\r\n550 5.7.1 250 ok?!\r\n"));
}

}  // namespace
}  // namespace postrider::smtp
