#include "smtp/told_client.h"

#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

using enum ToldName;

// The examples of Postfix's XCLIENT_README and XFORWARD_README.
TEST(ToldClient, PostfixsOwnExamplesAreRead) {
    auto told =
        parse_told_client(ToldCommand::XClient, "NAME=spike.porcupine.org ADDR=168.100.189.2");
    ASSERT_TRUE(told);
    EXPECT_EQ((*told)[Name].value, "spike.porcupine.org");
    EXPECT_EQ((*told)[Addr].value, "168.100.189.2");
    EXPECT_FALSE((*told)[Helo].told);
    told = parse_told_client(ToldCommand::XClient, "PROTO=ESMTP HELO=spike.porcupine.org");
    ASSERT_TRUE(told);
    EXPECT_EQ((*told)[Proto].value, "ESMTP");
    told = parse_told_client(ToldCommand::XForward,
                             "NAME=spike.porcupine.org ADDR=168.100.189.2 PROTO=ESMTP");
    ASSERT_TRUE(told);
    told = parse_told_client(ToldCommand::XForward,
                             "HELO=spike.porcupine.org IDENT=123 SOURCE=REMOTE");
    ASSERT_TRUE(told);
    EXPECT_EQ(told->text(), "helo=spike.porcupine.org ident=123 source=REMOTE");
}

TEST(ToldClient, ValuesAreDecodedAndMayBeMissing) {
    auto told = parse_told_client(
        ToldCommand::XClient,
        "name=[unavailable] addr=ipv6:2001:db8::1 LOGIN=a+40b.example PORT=65535 HELO=[TEMPUNAVAIL]"
        " DESTADDR=192.0.2.9 DESTPORT=25");
    ASSERT_TRUE(told);
    EXPECT_TRUE((*told)[Name].told);
    EXPECT_EQ((*told)[Name].value, "");
    EXPECT_EQ((*told)[Addr].value, "2001:db8::1");
    EXPECT_EQ((*told)[Login].value, "a@b.example");
    EXPECT_EQ((*told)[Port].value, "65535");
}

TEST(ToldClient, WhatHasNotItsFormIsRefused) {
    for (const char* wrong : {"",
                              " ",
                              "NAME",
                              "=x",
                              "FOO=bar",
                              "NAME=",
                              "ADDR=mx.example",
                              "ADDR=2001:db8::1",
                              "ADDR=IPV6:192.0.2.1",
                              "ADDR=192.0.2.256",
                              "PORT=65536",
                              "PORT=-1",
                              "PORT=25x",
                              "PROTO=HTTP",
                              "HELO=a+",
                              "HELO=a+4",
                              "HELO=a+0A",
                              "HELO=+0D+0AX",
                              "HELO=a=b",
                              "IDENT=1",
                              "SOURCE=LOCAL",
                              "NAME=a NAME=b"}) {
        auto told = parse_told_client(ToldCommand::XClient, wrong);
        // Blanks alone tell nothing, and do no harm.
        if (std::string_view(wrong) == " ") continue;
        ASSERT_FALSE(told) << wrong;
        EXPECT_EQ(told.error().one_line().substr(0, 9), "501 5.5.4") << wrong;
    }
    EXPECT_FALSE(parse_told_client(ToldCommand::XClient, "A\nB=1").error().text.contains('\n'));
    EXPECT_FALSE(parse_told_client(ToldCommand::XForward, "LOGIN=a"));
    EXPECT_FALSE(parse_told_client(ToldCommand::XForward, "SOURCE=NOWHERE"));
    EXPECT_FALSE(parse_told_client(ToldCommand::XClient, "HELO=" + std::string(256, 'a')));
    EXPECT_TRUE(parse_told_client(ToldCommand::XClient, "HELO=" + std::string(255, 'a')));
}

}  // namespace
}  // namespace postrider::smtp
