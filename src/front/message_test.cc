// front/message_test.cc: what programs write, and the message that comes of it.

#include "front/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::front {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

const Author kAuthor{"joe@h.example", "Joe Doe"};
constexpr Wall kNow{1795295045'000000};  // 2026-11-21 21:04:05 UTC

Message completed(std::string_view text, bool dot_ends = true, const Author& author = kAuthor) {
    auto message = complete(text, dot_ends, author, "unique", "h.example", kNow);
    EXPECT_TRUE(message) << message.error().message;
    return message.value_or(Message{});
}

std::vector<std::string> addresses(std::string_view list) {
    auto found = addresses_in(list);
    if (!found) return {"error"};
    return *found;
}

TEST(FrontMessage, MissingFieldsArePutInFront) {
    EXPECT_EQ(completed("Subject: x\n\nhello\n").content,
              "Date: Sat, 21 Nov 2026 21:04:05 +0000\r\nFrom: \"Joe Doe\" <joe@h.example>\r\n"
              "Message-ID: <unique@h.example>\r\nSubject: x\r\n\r\nhello\r\n");
}

TEST(FrontMessage, WhatIsThereStaysAsItIs) {
    std::string whole =
        "date: now\r\nFROM:a@b\r\nMessage-Id: <x@y>\r\nTo: c@d,\r\n\te@f\r\nX: 1\r\n\r\nhi\r\n";
    EXPECT_EQ(completed(whole).content, whole);
}

TEST(FrontMessage, EveryLineEndsWithCrlf) {
    std::string content = completed("A: b\n\none\r\ntwo\rthree\n\nfour").content;
    EXPECT_TRUE(content.ends_with("A: b\r\n\r\none\r\ntwo\r\nthree\r\n\r\nfour\r\n")) << content;
}

TEST(FrontMessage, ALineWithADotEndsItOnlyWhenAsked) {
    EXPECT_TRUE(completed("A: b\n\none\n..\n.\ntwo\n").content.ends_with("\r\n\r\none\r\n..\r\n"));
    EXPECT_TRUE(completed("A: b\n\none\n.\ntwo\n", false).content.ends_with("one\r\n.\r\ntwo\r\n"));
}

TEST(FrontMessage, ATextWithoutFieldsIsABody) {
    EXPECT_TRUE(completed("just words\nmore\n")
                    .content.ends_with("<unique@h.example>\r\n\r\njust words\r\nmore\r\n"));
    EXPECT_TRUE(completed("\nbody\n").content.ends_with(">\r\n\r\nbody\r\n"));
    EXPECT_TRUE(completed("").content.ends_with(">\r\n\r\n"));
    EXPECT_TRUE(
        completed("A: b\nno field here\n").content.ends_with("A: b\r\n\r\nno field here\r\n"));
}

TEST(FrontMessage, AnMboxLineGoes) {
    EXPECT_THAT(completed("From joe Sat Nov 21\nA: b\n\nx\n").content, Not(HasSubstr("From joe")));
}

TEST(FrontMessage, BccIsTakenOutAndItsAddressesKept) {
    Message message = completed(
        "To: a@b, \"C, D\" <c@d>\nBcc: secret@e,\n f@g\nCc: h@i\nReturn-Path: <x@y>\n\nbody\n");
    EXPECT_THAT(message.recipients, ElementsAre("a@b", "c@d", "secret@e", "f@g", "h@i"));
    EXPECT_THAT(message.content, Not(HasSubstr("secret")));
    EXPECT_THAT(message.content, Not(HasSubstr("f@g")));
    EXPECT_THAT(message.content, Not(HasSubstr("Return-Path")));
    EXPECT_THAT(message.content, HasSubstr("To: a@b, \"C, D\" <c@d>\r\n"));
}

TEST(FrontMessage, AMessageThatIsSentAgainGoesToItsNewRecipients) {
    Message message = completed("Resent-To: new@x\nResent-Bcc: hid@x\nTo: old@x\n\n");
    EXPECT_THAT(message.recipients, ElementsAre("new@x", "hid@x"));
    EXPECT_THAT(message.content, Not(HasSubstr("hid@x")));
}

TEST(FrontMessage, ANameIsQuotedOrEncoded) {
    auto from = [](std::string name) {
        std::string content = completed("\n", true, {"j@h", std::move(name)}).content;
        std::size_t begin = content.find("From: ");
        return content.substr(begin, content.find("\r\n", begin) - begin);
    };
    EXPECT_EQ(from(""), "From: j@h");
    EXPECT_EQ(from("J \"X\" \\D"), "From: \"J \\\"X\\\" \\\\D\" <j@h>");
    EXPECT_EQ(from("J\xc3\xb6rg M"), "From: =?UTF-8?Q?J=C3=B6rg_M?= <j@h>");
    EXPECT_EQ(from("a\nBcc: evil@x"), "From: \"a?Bcc: evil@x\" <j@h>");
}

TEST(FrontMessage, EightBitIsSeenAndNulRefused) {
    EXPECT_FALSE(completed("A: b\n\nplain\n").has_8bit);
    EXPECT_TRUE(completed("A: b\n\n\xc3\xa4\n").has_8bit);
    EXPECT_FALSE(complete(std::string_view("a\0b", 3), true, kAuthor, "i", "h", kNow));
}

TEST(FrontAddresses, ListsAreTakenApart) {
    EXPECT_THAT(addresses("a@b"), ElementsAre("a@b"));
    EXPECT_THAT(addresses(" a@b , c@d,,"), ElementsAre("a@b", "c@d"));
    EXPECT_THAT(addresses("Joe Doe <joe@x>, \"Q, R (s)\" <q@r>"), ElementsAre("joe@x", "q@r"));
    EXPECT_THAT(addresses("a@b (a comment, with (nested) <x@y>)"), ElementsAre("a@b"));
    EXPECT_THAT(addresses("friends: a@b, C <c@d>; e@f"), ElementsAre("a@b", "c@d", "e@f"));
    EXPECT_THAT(addresses("undisclosed-recipients:;"), IsEmpty());
    EXPECT_THAT(addresses("\"quoted local, part\"@x"), ElementsAre("\"quoted local, part\"@x"));
    EXPECT_THAT(addresses("<\"a>b\"@x>"), ElementsAre("\"a>b\"@x"));
    EXPECT_THAT(addresses("a@[IPv6:::1], root"), ElementsAre("a@[IPv6:::1]", "root"));
    EXPECT_THAT(addresses("a@b,\r\n\tc@d"), ElementsAre("a@b", "c@d"));
    EXPECT_THAT(addresses(""), IsEmpty());
    for (const char* broken : {"a@b (open", "\"open", "<open@x", "a@[open"}) {
        EXPECT_THAT(addresses(broken), ElementsAre("error")) << broken;
    }
}

TEST(FrontDrop, TheHeadIsWhatASessionWouldSay) {
    smtp::TransactionRequest request;
    request.reverse_path.mailbox = Mailbox{"joe", "h.example"};
    request.body = BodyType::EightBitMime;
    request.recipients = {{.mailbox = {"a", "b.example"}}, {.mailbox = {"o d", "b.example"}}};
    EXPECT_EQ(drop_head(request),
              "POSTRIDER-DROP 1\r\nMAIL FROM:<joe@h.example> BODY=8BITMIME\r\n"
              "RCPT TO:<a@b.example>\r\nRCPT TO:<\"o d\"@b.example>\r\nDATA\r\n");
}

}  // namespace
}  // namespace postrider::front
