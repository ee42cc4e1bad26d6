// AUTH of the sending side: when it comes, what is believed, and what a transcript shows of it.

#include <gtest/gtest.h>

#include "smtp/client_session.h"

namespace postrider::smtp {
namespace {

using namespace std::string_literals;

// A session behind its EHLO, with a login wanted.
class ClientAuth : public ::testing::Test {
protected:
    ClientAuth() : session_({.hello_name = "our.test", .authenticate = true}) {
        session_.handle_bytes("220 far.test\r\n");
        EXPECT_EQ(sent(), "EHLO our.test\r\n");
        session_.handle_bytes("250-far.test\r\n250 AUTH PLAIN\r\n");
    }

    std::string sent() {
        const Action action = session_.next_action();
        const auto* send = std::get_if<action::Send>(&action);
        return send ? std::string(send->bytes) : "nothing"s;
    }

    std::string challenge() {
        const Action action = session_.next_action();
        const auto* ask = std::get_if<action::Authenticate>(&action);
        return !ask ? "none asked"s : ask->challenge.value_or("at the beginning");
    }

    CloseReason closed() {
        const Action action = session_.next_action();
        const auto* end = std::get_if<action::Closed>(&action);
        EXPECT_TRUE(end);
        return end ? end->reason : CloseReason{};
    }

    ClientSession session_;
};

TEST_F(ClientAuth, NothingIsReadyBeforeIt) {
    EXPECT_EQ(challenge(), "at the beginning");
    session_.auth_begin("PLAIN", "\0user\0pass"s, true);
    EXPECT_EQ(sent(), "AUTH PLAIN AHVzZXIAcGFzcw==\r\n");
    session_.handle_bytes("235 2.7.0 good\r\n");
    EXPECT_TRUE(std::holds_alternative<action::Ready>(session_.next_action()));
    EXPECT_FALSE(session_.transcript().text().contains("AHVz"));
    EXPECT_TRUE(session_.transcript().text().contains("AUTH PLAIN (hidden)"));
}

TEST_F(ClientAuth, ChallengesAreDecodedAndAnswered) {
    session_.auth_begin("LOGIN", std::nullopt, true);
    EXPECT_EQ(sent(), "AUTH LOGIN\r\n");
    session_.handle_bytes("334 VXNlcm5hbWU6\r\n");
    EXPECT_EQ(challenge(), "Username:");
    session_.auth_respond("user", true);
    EXPECT_EQ(sent(), "dXNlcg==\r\n");
    session_.handle_bytes("334 \r\n");
    EXPECT_EQ(challenge(), "");
    session_.auth_respond("", true);
    EXPECT_EQ(sent(), "\r\n");
    EXPECT_FALSE(session_.transcript().text().contains("dXNlcg"));
}

TEST_F(ClientAuth, EmptyInitialResponseIsAnEqualsSign) {
    session_.auth_begin("EXTERNAL", ""s, true);
    EXPECT_EQ(sent(), "AUTH EXTERNAL =\r\n");
}

TEST_F(ClientAuth, RefusalMakesTheMailWait) {
    session_.auth_begin("PLAIN", "x"s, true);
    (void)sent();
    session_.handle_bytes("535 5.7.8 no\r\n");
    const CloseReason reason = closed();
    EXPECT_EQ(reason.kind, CloseReason::Kind::NotLoggedIn);
    EXPECT_EQ(result_of(reason).state, TransactionResult::State::Temporary);
    EXPECT_TRUE(reason.text().contains("535 5.7.8 no"));
}

TEST_F(ClientAuth, ServerThatProvedNothingIsNotBelieved) {
    session_.auth_begin("SCRAM-SHA-256", "n,,"s, false);
    (void)sent();
    session_.handle_bytes("235 2.7.0 welcome\r\n");
    EXPECT_EQ(closed().kind, CloseReason::Kind::NotLoggedIn);
}

TEST_F(ClientAuth, ChallengeThatIsNoBase64EndsIt) {
    session_.auth_begin("LOGIN", std::nullopt, true);
    (void)sent();
    session_.handle_bytes("334 Username:\r\n");
    EXPECT_EQ(closed().kind, CloseReason::Kind::NotLoggedIn);
}

TEST_F(ClientAuth, DriverMayGiveUp) {
    session_.auth_failed("nothing of use is offered");
    EXPECT_TRUE(closed().text().contains("nothing of use"));
}

}  // namespace
}  // namespace postrider::smtp
