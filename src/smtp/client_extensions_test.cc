// What a message asks of the next host beyond RFC 5321: the parameters of MAIL and RCPT, BDAT, and
// what is refused before MAIL since the host cannot take it.

#include <gtest/gtest.h>

#include "smtp/client_script.h"

namespace postrider::smtp {
namespace {

TEST(ClientExtensions, WhatThePeerCannotTakeIsRefusedBeforeMail) {
    struct Case {
        std::string_view name;
        std::string hello;
        void (*change)(TransactionRequest&);
        EnhancedStatus want;
    };
    const Case cases[] = {
        {"TooLarge", "250-mx\r\n250 SIZE 999", [](TransactionRequest&) {}, {5, 3, 4}},
        {"EightBit",
         "250-mx\r\n250 SIZE",
         [](TransactionRequest& r) { r.body = BodyType::EightBitMime; },
         {5, 6, 3}},
        {"Binary",
         "250-mx\r\n250 8BITMIME",
         [](TransactionRequest& r) { r.body = BodyType::BinaryMime; },
         {5, 6, 3}},
        {"BinaryWithChunkingAlone",
         "250-mx\r\n250 CHUNKING",
         [](TransactionRequest& r) { r.body = BodyType::BinaryMime; },
         {5, 6, 3}},
        {"Utf8Header",
         "250-mx\r\n250 8BITMIME",
         [](TransactionRequest& r) { r.smtputf8 = true; },
         {5, 6, 7}},
        {"Utf8Address",
         "250-mx\r\n250 8BITMIME",
         [](TransactionRequest& r) { r.recipients[0].mailbox.local_part = "\xc3\xa9"; },
         {5, 6, 7}},
    };
    for (const Case& c : cases) {
        TransactionRequest request = message({to("b")});
        c.change(request);
        // The connection is good for the next message, which fits.
        TransactionRequest small = message({to("c")});
        small.content_octets = 10;
        Course got = run({.requests = {request, small},
                          .turns = {{"220 mx"},
                                    {c.hello},
                                    {"250 ok"},
                                    {"250 ok"},
                                    {"354 go"},
                                    {"250 ok"},
                                    {"221 bye"}}});
        ASSERT_EQ(got.done.size(), 2u) << c.name;
        EXPECT_EQ(got.done[0][0].status, c.want) << c.name;
        EXPECT_EQ(got.done[0][0].state, TransactionResult::State::Permanent) << c.name;
        EXPECT_EQ(got.done[0][0].stage, Stage::NotSent) << c.name;
        EXPECT_EQ(got.done[1][0].state, TransactionResult::State::Accepted) << c.name;
    }
}

TEST(ClientExtensions, MailBearsTheParametersThatAreOfferedAndNeeded) {
    TransactionRequest request = message({to("b")});
    request.body = BodyType::EightBitMime;
    request.recipients[0].mailbox.local_part = "\xc3\xa9";
    request.reverse_path.mailbox.reset();
    Course got = run({.requests = {request},
                      .turns = {{"220 mx"},
                                {"250-mx\r\n250-size 0\r\n250-8bitmime\r\n250 smtputf8"},
                                {"250 ok"},
                                {"250 ok"},
                                {"354 go"},
                                {"250 ok"},
                                {"221 bye"}}});
    EXPECT_NE(got.course.find("C: MAIL FROM:<> SIZE=1000 BODY=8BITMIME SMTPUTF8\n"
                              "C: RCPT TO:<\xc3\xa9@x.example>\n"),
              std::string::npos)
        << got.course;
}

// RFC 3461 §5.2.1, with the message of its §10.
TEST(ClientExtensions, WhatTheSenderAskedForGoesOnToAHostWithDsn) {
    TransactionRequest request = message({to("bob"), to("fred"), to("eve")});
    request.dsn_return = DsnReturn::Headers;
    request.dsn_envid = "QQ314159";
    request.recipients[0].notify = DsnNotify{.success = true, .failure = true};
    request.recipients[0].orcpt = "rfc822;Bob@Example.COM";
    request.recipients[1].notify = DsnNotify{.never = true};
    request.recipients[2].orcpt = "utf-8;\xc3\xa9@x.example";
    const auto course = [&](const std::string& hello) {
        return run({.requests = {request},
                    .turns = {{"220 mx"},
                              {hello},
                              {"250 ok", "250 ok", "250 ok", "250 ok", "354 go"},
                              {"250 ok"},
                              {"221 bye"}}})
            .course;
    };
    std::string with = course("250-mx\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 DSN");
    EXPECT_TRUE(
        with.contains("C: MAIL FROM:<a@o.example> RET=HDRS ENVID=QQ314159\n"
                      "C: RCPT TO:<bob@x.example> NOTIFY=SUCCESS,FAILURE "
                      "ORCPT=rfc822;Bob@Example.COM\n"
                      "C: RCPT TO:<fred@x.example> NOTIFY=NEVER\n"
                      "C: RCPT TO:<eve@x.example> ORCPT=utf-8;\xc3\xa9@x.example\n"))
        << with;
    std::string ascii = course("250-mx\r\n250-PIPELINING\r\n250 DSN");
    EXPECT_TRUE(ascii.contains("C: RCPT TO:<eve@x.example> ORCPT=utf-8;\\x{E9}@x.example\n"))
        << ascii;
    // RFC 3461 §5.2.2 (a).
    std::string without = course("250-mx\r\n250 PIPELINING");
    EXPECT_TRUE(
        without.contains("C: MAIL FROM:<a@o.example>\nC: RCPT TO:<bob@x.example>\n"
                         "C: RCPT TO:<fred@x.example>\nC: RCPT TO:<eve@x.example>\n"))
        << without;
}

// RFC 3030 §2, §3.
TEST(ClientExtensions, BinaryGoesInOneChunkBehindAllReplies) {
    TransactionRequest request = message({to("b"), to("c")});
    request.body = BodyType::BinaryMime;
    Course got = run({.requests = {request},
                      .turns = {{"220 mx"},
                                {"250-mx\r\n250-PIPELINING\r\n250-CHUNKING\r\n250 BINARYMIME"},
                                {"250 ok", "550 5.1.1 no b", "250 ok"},
                                {"250 2.6.0 1000 octets received"},
                                {"221 bye"}}});
    EXPECT_TRUE(
        got.course.contains("C: MAIL FROM:<a@o.example> BODY=BINARYMIME\n"
                            "C: RCPT TO:<b@x.example>\nC: RCPT TO:<c@x.example>\n"
                            "C: BDAT 1000 LAST\nC: (content)\n"
                            "R: permanent 5.1.1 at RCPT: 550 5.1.1 no b\n"
                            "R: accepted 2.6.0 at end of data: 250 2.6.0 1000"))
        << got.course;
}

TEST(ClientExtensions, NoChunkIsSentWhenNobodyWasAccepted) {
    TransactionRequest request = message({to("b")});
    request.body = BodyType::BinaryMime;
    for (const char* pipelining : {"250-PIPELINING\r\n", ""}) {
        Script script{
            .requests = {request},
            .turns = {{"220 mx"},
                      {std::string("250-mx\r\n") + pipelining + "250-CHUNKING\r\n250 BINARYMIME"}}};
        if (*pipelining) {
            script.turns.push_back({"250 ok", "450 later"});
        } else {
            script.turns.insert(script.turns.end(), {{"250 ok"}, {"450 later"}});
        }
        script.turns.push_back({"221 bye"});
        Course got = run(script);
        EXPECT_FALSE(got.course.contains("BDAT")) << got.course;
        EXPECT_EQ(got.done[0][0].state, TransactionResult::State::Temporary);
    }
}

}  // namespace
}  // namespace postrider::smtp
