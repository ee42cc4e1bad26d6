// What a sender asks for, in its written forms. Expected values by hand from RFC 3461 §4 and
// RFC 6533 §3.

#include "mail/dsn.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

TEST(Xtext, IsReadByItsGrammarOnly) {
    EXPECT_EQ(decode_xtext("QQ314159"), "QQ314159");
    EXPECT_EQ(decode_xtext("a+2Bb+3Dc+20d"), "a+b=c d");
    EXPECT_EQ(decode_xtext("+00+FF"), std::string("\0\xff", 2));
    EXPECT_EQ(decode_xtext(""), "");
    for (const char* text : {"a+2", "a+", "a+2b", "a+GG", "a b", "a=b", "\xc3\xa9", "a\x7f"}) {
        EXPECT_EQ(decode_xtext(text), std::nullopt) << text;
    }
}

TEST(Xtext, EncodesWhatMayNotStandAsItself) {
    EXPECT_EQ(encode_xtext("Bob+tag=x y@a.example"), "Bob+2Btag+3Dx+20y@a.example");
    EXPECT_EQ(encode_xtext("\xc3\xa9"), "+C3+A9");
}

TEST(Notify, ListsAreReadAndNeverStandsAlone) {
    EXPECT_EQ(parse_notify("never"), (DsnNotify{.never = true}));
    EXPECT_EQ(parse_notify("SUCCESS,Failure,delay"),
              (DsnNotify{.success = true, .failure = true, .delay = true}));
    EXPECT_EQ(parse_notify("DELAY"), (DsnNotify{.delay = true}));
    for (const char* text : {"", ",", "SUCCESS,", ",SUCCESS", "SUCCESS,,DELAY", "NEVER,SUCCESS",
                             "SUCCESS,NEVER", "SUCCES", "SUCCESS DELAY", "ALWAYS"}) {
        EXPECT_EQ(parse_notify(text), std::nullopt) << text;
    }
}

TEST(Notify, IsWrittenAsItIsRead) {
    for (const char* written : {"NEVER", "SUCCESS", "FAILURE", "DELAY", "SUCCESS,FAILURE",
                                "SUCCESS,FAILURE,DELAY", "FAILURE,DELAY"}) {
        EXPECT_EQ(text(*parse_notify(written)), written);
    }
}

TEST(Envid, IsPrintableXtextOfBoundedLength) {
    EXPECT_TRUE(is_envid("QQ314159"));
    EXPECT_TRUE(is_envid("two+20words"));
    EXPECT_TRUE(is_envid(std::string(100, 'x')));
    for (const std::string& text :
         {std::string(), std::string(101, 'x'), std::string("a+0Ab"), std::string("a+C3")}) {
        EXPECT_FALSE(is_envid(text)) << text;
    }
}

TEST(Orcpt, HasATypeAndAnAddress) {
    for (const char* text : {"rfc822;Bob@Example.COM", "RFC822;a+2Btag@b", "x400;/c=", "utf-8;a@b",
                             "UTF-8;\\x{E9}@b", "a-type;anything+20at+20all"}) {
        EXPECT_EQ(is_orcpt(text, AddressForm::Ascii), std::string_view(text) != "x400;/c=") << text;
    }
    EXPECT_TRUE(is_orcpt("rfc822;" + std::string(493, 'x'), AddressForm::Ascii));
    for (const std::string& text :
         {std::string("rfc822"), std::string(";a@b"), std::string("rfc822;"),
          std::string("rfc 822;a@b"), std::string("rfc822;a+0D+0Ab"), std::string("rfc822;a+2b"),
          std::string("rfc822;\xc3\xa9@b"), std::string("utf-8;\xc3@b"),
          "rfc822;" + std::string(494, 'x')}) {
        EXPECT_FALSE(is_orcpt(text, AddressForm::Utf8)) << text;
    }
}

TEST(Orcpt, PlainUtf8NeedsTheExtension) {
    EXPECT_TRUE(is_orcpt("utf-8;\xc3\xa9@b", AddressForm::Utf8));
    EXPECT_FALSE(is_orcpt("utf-8;\xc3\xa9@b", AddressForm::Ascii));
}

TEST(Orcpt, OctetsAbove127InXtextAreThoseOfAnAddressInUtf8) {
    EXPECT_TRUE(is_orcpt("rfc822;j+C3+BCrgen@b", AddressForm::Utf8));
    EXPECT_FALSE(is_orcpt("rfc822;j+C3+BCrgen@b", AddressForm::Ascii));
    EXPECT_FALSE(is_orcpt("rfc822;j+FCrgen@b", AddressForm::Utf8));  // no UTF-8
    EXPECT_EQ(report_of_orcpt("rfc822;j+C3+BCrgen@b", AddressForm::Utf8), "utf-8; j\xc3\xbcrgen@b");
    EXPECT_EQ(report_of_orcpt("rfc822;j+C3+BCrgen@b", AddressForm::Ascii), "utf-8; j\\x{FC}rgen@b");
}

TEST(Orcpt, IsMadeOfAMailbox) {
    EXPECT_EQ(orcpt_of({"Bob+tag", "a.example"}), "rfc822;Bob+2Btag@a.example");
    EXPECT_EQ(orcpt_of({"\xc3\xa9+x", "a.example"}), "utf-8;\\x{E9}\\x{2B}x@a.example");
    EXPECT_EQ(orcpt_of({"\xf0\x9f\x90\xb4", "b"}), "utf-8;\\x{1F434}@b");
}

TEST(Orcpt, GoesToAHostWithoutSmtpUtf8InAscii) {
    EXPECT_EQ(ascii_orcpt("rfc822;Bob@A"), "rfc822;Bob@A");
    EXPECT_EQ(ascii_orcpt("utf-8;\xe4\xbe\x8b@b"), "utf-8;\\x{4F8B}@b");
}

TEST(Orcpt, StandsDecodedInAReport) {
    EXPECT_EQ(report_of_orcpt("rfc822;Bob+2Btag@A", AddressForm::Ascii), "rfc822; Bob+tag@A");
    EXPECT_EQ(report_of_orcpt("utf-8;\\x{4F8B}@b", AddressForm::Utf8), "utf-8; \xe4\xbe\x8b@b");
    EXPECT_EQ(report_of_orcpt("utf-8;\\x{4F8B}@b", AddressForm::Ascii), "utf-8; \\x{4F8B}@b");
    EXPECT_EQ(report_of_orcpt("utf-8;\xe4\xbe\x8b@b", AddressForm::Ascii), "utf-8; \\x{4F8B}@b");
    // What does not follow the syntax is copied without alteration.
    EXPECT_EQ(report_of_orcpt("utf-8;\\x{}\\x{D800}\\x{", AddressForm::Utf8),
              "utf-8; \\x{}\\x{D800}\\x{");
}

}  // namespace
}  // namespace postrider
