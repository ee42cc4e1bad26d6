// STARTTLS from the sending side: wanted, refused, stripped, injected into.

#include "smtp/client_script.h"

namespace postrider::smtp {
namespace {

const std::string kOffersTls = "250-mx.example\r\n250-PIPELINING\r\n250 STARTTLS";

TEST(ClientTls, HelloComesAnewUnderTls) {
    Course got = run({.requests = {message({to("b")})},
                      .turns = {{"220 mx"},
                                {kOffersTls},
                                {"220 2.0.0 go"},
                                {"250-mx.example\r\n250 8BITMIME"},
                                {"250 ok"},
                                {"250 ok"},
                                {"354 go"},
                                {"250 ok"},
                                {"221 bye"}},
                      .security = ClientSecurity::Required});
    // PIPELINING was offered in plaintext only, and is not believed.
    EXPECT_EQ(got.course,
              "C: EHLO me.example\nC: STARTTLS\nC: (handshake)\nC: EHLO me.example\n"
              "C: MAIL FROM:<a@o.example>\nC: RCPT TO:<b@x.example>\nC: DATA\nC: (content)\n"
              "R: accepted 2.0.0 at end of data: 250 ok\nC: QUIT\nX: closed after QUIT\n");
}

// RFC 3207 §4.2: what was offered in plaintext holds no more, even where there is no new offer.
TEST(ClientTls, WithHeloUnderTlsNothingIsOffered) {
    Course got = run({.requests = {message({to("b")})},
                      .turns = {{"220 mx"},
                                {kOffersTls},
                                {"220 2.0.0 go"},
                                {"500 what?"},
                                {"250 mx"},
                                {"250 ok"},
                                {"250 ok"},
                                {"354 go"},
                                {"250 ok"},
                                {"221 bye"}},
                      .security = ClientSecurity::Required});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\nC: STARTTLS\nC: (handshake)\nC: EHLO me.example\n"
              "C: HELO me.example\nC: MAIL FROM:<a@o.example>\nC: RCPT TO:<b@x.example>\nC: DATA\n"
              "C: (content)\nR: accepted 2.0.0 at end of data: 250 ok\nC: QUIT\n"
              "X: closed after QUIT\n");
}

TEST(ClientTls, AStrippedOfferIsNoWayToPlaintext) {
    for (const std::string& offer : {kPipelining, kPlain}) {
        Course got = run({.requests = {message({to("b")})},
                          .turns = {{"220 mx"}, {offer}, {"221 bye"}},
                          .security = ClientSecurity::Required});
        EXPECT_EQ(got.course,
                  "C: EHLO me.example\nC: QUIT\n"
                  "X: STARTTLS: TLS is required, and the next host does not offer STARTTLS\n");
        TransactionResult result = result_of(*got.closed);
        EXPECT_EQ(result.state, TransactionResult::State::Temporary);
        EXPECT_EQ(result.status, (EnhancedStatus{4, 7, 4}));
    }
}

TEST(ClientTls, AHostWithoutEhloHasNoTls) {
    Course got = run({.requests = {message({to("b")})},
                      .turns = {{"220 mx"}, {"500 what?"}, {"250 mx"}, {"221 bye"}},
                      .security = ClientSecurity::Required});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\nC: HELO me.example\nC: QUIT\n"
              "X: STARTTLS: TLS is required, and the next host does not offer STARTTLS\n");
}

TEST(ClientTls, ARefusedStartTlsEndsInPlaintextOnlyWhereThatIsAllowed) {
    std::vector<Replies> turns = {{"220 mx"}, {kOffersTls}, {"454 4.7.0 no TLS now"}};
    Course required = run({.requests = {message({to("b")})},
                           .turns = {turns[0], turns[1], turns[2], {"221 bye"}},
                           .security = ClientSecurity::Required});
    EXPECT_EQ(required.course,
              "C: EHLO me.example\nC: STARTTLS\nC: QUIT\n"
              "X: STARTTLS: TLS is required, and the next host refuses STARTTLS: "
              "454 4.7.0 no TLS now\n");
    Course opportunistic = run({.requests = {message({to("b")})},
                                .turns = {turns[0],
                                          turns[1],
                                          turns[2],
                                          {"250 ok", "250 ok", "354 go"},
                                          {"250 ok"},
                                          {"221 bye"}},
                                .security = ClientSecurity::Opportunistic});
    EXPECT_NE(opportunistic.course.find("R: accepted"), std::string::npos) << opportunistic.course;
}

TEST(ClientTls, WithoutAWishNothingIsSaidOfIt) {
    Course got = run(
        {.requests = {message({to("b")})},
         .turns = {
             {"220 mx"}, {kOffersTls}, {"250 ok", "250 ok", "354 go"}, {"250 ok"}, {"221 bye"}}});
    EXPECT_EQ(got.course.find("STARTTLS"), std::string::npos);
}

TEST(ClientTls, AFailedHandshakeEndsTheConnection) {
    Course got = run({.requests = {message({to("b")})},
                      .turns = {{"220 mx"}, {kOffersTls}, {"220 go"}},
                      .security = ClientSecurity::Opportunistic,
                      .handshake_fails = true});
    EXPECT_EQ(got.course,
              "C: EHLO me.example\nC: STARTTLS\nC: (handshake)\n"
              "X: STARTTLS: the TLS handshake failed: no shared cipher\n");
    EXPECT_EQ(got.closed->kind, CloseReason::Kind::Insecure);
    EXPECT_EQ(result_of(*got.closed).status, (EnhancedStatus{4, 7, 5}));
}

// Replies put behind the 220 by somebody in the middle would be taken for answers under TLS.
TEST(ClientTls, OctetsBehindTheGoAheadAreNeverBelieved) {
    for (std::string injected : {"250-mx\r\n250 AUTH PLAIN\r\n", "250 mx", "2"}) {
        ClientSession session({ClientMode::Smtp, "me.example", 100, ClientSecurity::Opportunistic});
        session.handle_bytes("220 mx\r\n");
        (void)session.next_action();
        (void)session.next_action();
        session.handle_bytes(kOffersTls + "\r\n");
        (void)session.next_action();
        (void)session.next_action();
        session.handle_bytes("220 go\r\n" + injected);
        Action action = session.next_action();
        auto* closed = std::get_if<action::Closed>(&action);
        ASSERT_TRUE(closed) << injected;
        EXPECT_EQ(closed->reason.kind, CloseReason::Kind::BadReply);
    }
}

}  // namespace
}  // namespace postrider::smtp
