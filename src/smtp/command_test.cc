#include "smtp/command.h"

#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

constexpr Offered kAll{.size = true, .eight_bit_mime = true, .smtputf8 = true};

std::string said(const Result<MailCommand, Reply>& result) {
    return result ? "<" + result->reverse_path.text() + ">"
                  : result.error().one_line().substr(0, 9);
}
std::string said(const Result<RcptCommand, Reply>& result) {
    return result ? "<" + result->mailbox.text() + ">" : result.error().one_line().substr(0, 9);
}

TEST(Command, VerbsAreTakenInAnyCase) {
    EXPECT_EQ(parse_verb("mAiL FROM:<>").verb, Verb::Mail);
    EXPECT_EQ(parse_verb("mAiL FROM:<>").argument, "FROM:<>");
    EXPECT_EQ(parse_verb("quit").verb, Verb::Quit);
    EXPECT_EQ(parse_verb("DATA_").verb, Verb::Unknown);
    EXPECT_EQ(parse_verb(" DATA").verb, Verb::Unknown);
    EXPECT_EQ(parse_verb("").verb, Verb::Unknown);
    EXPECT_EQ(parse_verb("MAILFROM:<>").verb, Verb::Unknown);
}

struct Case {
    const char* argument;
    const char* want;
};

// RFC 4954 §5.
TEST(Command, WhoSubmittedIsAMailboxOrUnknown) {
    constexpr Case kCases[] = {
        {"alice@our.test", "alice@our.test"},
        {"e+3Dmc2@example.com", "e=mc2@example.com"},
        {"<>", "<>"},
        {"+3C+3E", "<>"},
        {"alice", "<>"},  // as Dovecot says of users without a domain
        {"", "501 5.5.4"},
        {"a@b@c", "501 5.5.4"},
        {"alice@", "501 5.5.4"},
        {"a..b", "501 5.5.4"},
        {"a+", "501 5.5.4"},
        {"a+3x", "501 5.5.4"},
    };
    for (const Case& one : kCases) {
        auto mail = parse_mail(std::string("FROM:<a@b> AUTH=") + one.argument, {.auth = true});
        EXPECT_EQ(mail ? mail->parameters.auth : said(mail), one.want) << one.argument;
    }
}

TEST(Command, MailArgumentsAreReadByTheGrammar) {
    constexpr Case kCases[] = {
        {"FROM:<>", "<>"},
        {"from:<A.b@C.Example>", "<A.b@c.example>"},
        {"FROM:<a@b> SIZE=1 BODY=7BIT", "<a@b>"},
        {"FROM:<\"a b>c\"@d>", "<\"a b>c\"@d>"},
        {"FROM:<\"a\\\">\"@d>", "<\"a\\\">\"@d>"},
        {"FROM:<\"ab\"@d>", "<ab@d>"},
        {"FROM:<@a.example,@b:c@d>", "<c@d>"},
        {"FROM:<@a.example:c@d>", "<c@d>"},
        {"FROM:<@a.example,:c@d>", "501 5.1.7"},
        {"FROM:<@a.example@b:c@d>", "501 5.1.7"},
        {"FROM:<@a.example>", "501 5.1.7"},
        {"FROM:<@:c@d>", "501 5.1.7"},
        {"FROM:<:c@d>", "501 5.1.7"},
        {"FROM:<postmaster>", "501 5.1.7"},
        {"FROM:< >", "501 5.1.7"},
        {"FROM:< a@b>", "501 5.1.7"},
        {"FROM:<a@b", "501 5.1.7"},
        {"FROM:a@b", "501 5.1.7"},
        {"FROM:", "501 5.1.7"},
        {"FROM", "501 5.5.4"},
        {"FROM :<a@b>", "501 5.5.4"},
        {"FROM: <a@b>", "501 5.5.4"},
        {" FROM:<a@b>", "501 5.5.4"},
        {"TO:<a@b>", "501 5.5.4"},
        {"FROM:<a@b>>", "501 5.5.4"},
        {"FROM:<a@b> SIZE=", "501 5.5.4"},
        {"FROM:<a@b> =1", "501 5.5.4"},
        {"FROM:<a@b> -X=1", "501 5.5.4"},
        {"FROM:<a@b> SIZE=1=2", "501 5.5.4"},
        {"FROM:<a@b> X_Y", "501 5.5.4"},
        {"FROM:<a@b> X-Y", "555 5.5.4"},
        {"FROM:<a@b> BODY=BINARYMIME", "555 5.5.4"},
        {"FROM:<a@b> BODY=7BIT BODY=8BITMIME", "501 5.5.4"},
        {"FROM:<\xc3\xa9@b>", "550 5.6.7"},
        {"FROM:<\xc3\xa9@b> SMTPUTF8", "<\xc3\xa9@b>"},
        {"FROM:<\xc3@b> SMTPUTF8", "501 5.1.7"},
        {"FROM:<a@b c> SIZE=x", "501 5.1.7"},
    };
    for (const Case& c : kCases)
        EXPECT_EQ(said(parse_mail(c.argument, kAll)), c.want) << c.argument;
}

TEST(Command, RcptArgumentsAreReadByTheGrammar) {
    constexpr Case kCases[] = {
        {"TO:<a@b>", "<a@b>"},
        {"to:<a@[127.0.0.1]>", "<a@[127.0.0.1]>"},
        {"TO:<Postmaster>", "<Postmaster>"},
        {"TO:<postMASTER@b>", "<postMASTER@b>"},
        {"TO:<root>", "501 5.1.3"},
        {"TO:<>", "501 5.1.3"},
        {"TO:<@>", "501 5.1.3"},
        {"TO:<a@b.>", "501 5.1.3"},
        {"TO:<a@[X:y]>", "501 5.1.3"},
        {"FROM:<a@b>", "501 5.5.4"},
        {"TO:<a@b> SIZE=1", "555 5.5.4"},
        {"TO:<\xc3\xa9@b>", "553 5.6.7"},
    };
    for (const Case& c : kCases) {
        EXPECT_EQ(said(parse_rcpt(c.argument, kAll, AddressForm::Ascii)), c.want) << c.argument;
    }
    EXPECT_EQ(said(parse_rcpt("TO:<\xc3\xa9@b>", kAll, AddressForm::Utf8)), "<\xc3\xa9@b>");
}

TEST(Command, ParametersAreValues) {
    const auto mail = parse_mail("FROM:<> body=8bitMIME SIZE=12345 SMTPUTF8", kAll);
    ASSERT_TRUE(mail);
    EXPECT_EQ(mail->parameters,
              (MailParameters{.size = 12345, .body = BodyType::EightBitMime, .smtputf8 = true}));
    EXPECT_EQ(parse_mail("FROM:<> SIZE=99999999999999999999", kAll)->parameters.size, UINT64_MAX);
    EXPECT_EQ(parse_mail("FROM:<> SIZE=0", kAll)->parameters.size, 0u);
}

TEST(Command, WhatWasNotOfferedIsRefused) {
    for (const char* argument : {"FROM:<> SIZE=1", "FROM:<> BODY=7BIT", "FROM:<> SMTPUTF8"}) {
        EXPECT_EQ(said(parse_mail(argument, {})), "555 5.5.4") << argument;
    }
}

TEST(Command, HelloTakesDomainsAndLiterals) {
    for (const char* name : {"a", "a.example", "my_pc.local", "1.2.3.4", "[1.2.3.4]", "xn--a"}) {
        ASSERT_TRUE(parse_hello(name)) << name;
        EXPECT_EQ(*parse_hello(name), name);
    }
    EXPECT_EQ(*parse_hello("[IPv6:::1] and more"), "[IPv6:::1]");
    for (const char* name :
         {"", "-", "a b", "a..b", "a.", "[::1]", "[1.2.3.4", "[]", "a\xc3\xa9"}) {
        EXPECT_FALSE(parse_hello(name)) << name;
    }
}

}  // namespace
}  // namespace postrider::smtp
