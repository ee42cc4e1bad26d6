#include "mail/mailbox.h"

#include <gtest/gtest.h>

#include "mail/domain.h"

namespace postrider {
namespace {

std::string said(std::string_view text, AddressForm form = AddressForm::Ascii) {
    const auto mailbox = Mailbox::parse(text, form);
    return mailbox ? mailbox->text() : "error";
}

TEST(Mailbox, TextIsWrittenWithTheLeastQuoting) {
    EXPECT_EQ(said("john@a.example"), "john@a.example");
    EXPECT_EQ(said("\"john\"@a.example"), "john@a.example");
    EXPECT_EQ(said("\"\\j\\o\\h\\n\"@a.example"), "john@a.example");
    EXPECT_EQ(said("\"john doe\"@a.example"), "\"john doe\"@a.example");
    EXPECT_EQ(said("\"Joe\\,Smith\"@a.example"), "\"Joe,Smith\"@a.example");
    EXPECT_EQ(said("\"a\\\"b\\\\c\"@a.example"), "\"a\\\"b\\\\c\"@a.example");
    EXPECT_EQ(said("\"\"@a.example"), "\"\"@a.example");
    EXPECT_EQ(said("\".a\"@a.example"), "\".a\"@a.example");
}

TEST(Mailbox, DomainIsLowerCaseAndLocalPartIsKept) {
    EXPECT_EQ(said("John@A.EXAMPLE"), "John@a.example");
    EXPECT_EQ(said("a@[IPV6:2001:DB8::A]"), "a@[IPv6:2001:db8::a]");
}

TEST(Mailbox, QuotedAndUnquotedFormsAreEqual) {
    EXPECT_EQ(*Mailbox::parse("\"john\"@a.example"), *Mailbox::parse("john@A.example"));
    EXPECT_NE(*Mailbox::parse("John@a.example"), *Mailbox::parse("john@a.example"));
}

TEST(Mailbox, LengthsAreHeld) {
    const std::string local(64, 'a');
    EXPECT_EQ(said(local + "@b"), local + "@b");
    EXPECT_EQ(said(local + "a@b"), "error");
    EXPECT_EQ(said("\"" + std::string(62, ' ') + "\"@b"), "\"" + std::string(62, ' ') + "\"@b");
    EXPECT_EQ(said("\"" + std::string(63, ' ') + "\"@b"), "error");
    std::string domain;
    while (domain.size() < 248) domain += "abc.";
    const std::string longest = "x@" + domain + "abcd";  // 254 octets, a path of 256
    EXPECT_EQ(longest.size(), 254u);
    EXPECT_EQ(said(longest), longest);
    EXPECT_EQ(said("x" + longest), "error");
    EXPECT_EQ(said("a@" + std::string(63, 'b') + ".c"), "a@" + std::string(63, 'b') + ".c");
    EXPECT_EQ(said("a@" + std::string(64, 'b') + ".c"), "error");
}

TEST(Mailbox, Utf8IsTakenOnlyWhenAskedFor) {
    EXPECT_EQ(said("\xc3\xa9@a.example"), "error");
    EXPECT_EQ(said("\xc3\xa9@a.example", AddressForm::Utf8), "\xc3\xa9@a.example");
    EXPECT_EQ(said("a@\xc3\xa9.Example", AddressForm::Utf8), "a@\xc3\xa9.example");
    EXPECT_EQ(said("\"\xc3\xa9 \"@b", AddressForm::Utf8), "\"\xc3\xa9 \"@b");
    for (const char* bad : {"\xc3@b", "\xff@b", "\xc0\xaf@b", "\xed\xa0\x80@b",
                            "\xf4\x90\x80\x80@b", "a@\xc3", "\"\\\xc3\xa9\"@b", "\xe2\x82@b"}) {
        EXPECT_EQ(said(bad, AddressForm::Utf8), "error") << ::testing::PrintToString(bad);
    }
    EXPECT_FALSE(Mailbox::parse("\xc3\xa9@b", AddressForm::Utf8)->is_ascii());
    EXPECT_FALSE(Mailbox::parse("b@\xc3\xa9", AddressForm::Utf8)->is_ascii());
    EXPECT_TRUE(Mailbox::parse("a@b", AddressForm::Utf8)->is_ascii());
}

TEST(Mailbox, PostmasterIsKnownInAnyCase) {
    EXPECT_TRUE(Mailbox::parse("PostMaster@a.example")->is_postmaster());
    EXPECT_TRUE((Mailbox{"postmaster", ""}).is_postmaster());
    EXPECT_FALSE(Mailbox::parse("postmasters@a.example")->is_postmaster());
    EXPECT_EQ((Mailbox{"Postmaster", ""}).text(), "Postmaster");
}

TEST(Mailbox, ErrorsAreSentences) {
    EXPECT_EQ(Mailbox::parse("").error().message, "the address has no \"@\"");
    EXPECT_EQ(Mailbox::parse("@b").error().message, "the local-part is missing");
    EXPECT_EQ(Mailbox::parse("a@").error().message, "the domain is missing");
    EXPECT_EQ(Mailbox::parse("\"a@b").error().message,
              "the quoted local-part has no closing quote");
}

TEST(Mailbox, NulIsNeverTaken) {
    using namespace std::string_view_literals;
    for (const auto text :
         {"\0@b"sv, "a\0@b"sv, "\"\0\"@b"sv, "\"\\\0\"@b"sv, "a@b\0"sv, "a@\0"sv, "a@[\0]"sv}) {
        EXPECT_FALSE(Mailbox::parse(text));
        EXPECT_FALSE(Mailbox::parse(text, AddressForm::Utf8));
    }
}

// RFC 5321 §4.1.3, word by word.
TEST(Domain, LiteralsFollowTheGrammar) {
    for (const char* good :
         {"[1.2.3.4]", "[001.2.3.4]", "[IPv6:::]", "[IPv6:::1]", "[IPv6:1::]",
          "[IPv6:1:2:3:4:5:6:7:8]", "[IPv6:1:2:3:4:5:6::]", "[IPv6:1:2:3:4:5:6:1.2.3.4]",
          "[IPv6:::1.2.3.4]", "[IPv6:1:2:3:4::1.2.3.4]", "[IPv6:1::2:3:4:5:6]"}) {
        EXPECT_TRUE(parse_address_literal(good)) << good;
    }
    for (const char* bad : {"",
                            "[",
                            "[]",
                            "1.2.3.4",
                            "[1.2.3]",
                            "[1.2.3.4.5]",
                            "[1.2.3.256]",
                            "[1.2.3.4 ]",
                            "[1.2.3.0004]",
                            "[::1]",
                            "[IPv6:]",
                            "[IPv6::]",
                            "[IPv6:1]",
                            "[IPv6:1:2:3:4:5:6:7]",
                            "[IPv6:1:2:3:4:5:6:7::]",
                            "[IPv6:1:2:3:4:5:6:7:8:9]",
                            "[IPv6:12345::]",
                            "[IPv6:1::2::3]",
                            "[IPv6:1:]",
                            "[IPv6::1]",
                            "[IPv6:1:2:3:4:5::1.2.3.4]",
                            "[IPv6:1.2.3.4]",
                            "[IPv6:::1.2.3.4:5]",
                            "[IPv6:g::]",
                            "[Tag:thing]",
                            "[IPv4:1.2.3.4]"}) {
        EXPECT_FALSE(parse_address_literal(bad)) << bad;
    }
}

}  // namespace
}  // namespace postrider
