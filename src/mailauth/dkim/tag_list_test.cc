#include "mailauth/dkim/tag_list.h"

#include <gtest/gtest.h>

namespace postrider::mailauth::dkim {
namespace {

using namespace std::string_literals;

TEST(TagList, IsReadWithFoldingAndPlaces) {
    const std::string_view text = " a = 1 ;\r\n b=x y\r\n\tz; N_2=;";
    const auto list = TagList::parse(text);
    ASSERT_TRUE(list) << list.error().message;
    ASSERT_EQ(list->tags().size(), 3u);
    EXPECT_EQ(list->value("a"), "1");
    EXPECT_EQ(list->value("b"), "x y\r\n\tz");
    EXPECT_EQ(list->value("N_2"), "");
    EXPECT_EQ(list->value("n_2"), std::nullopt);
    const Tag* b = list->find("b");
    EXPECT_EQ(text.substr(b->value_begin, b->value_end - b->value_begin), "x y\r\n\tz");
}

TEST(TagList, MayBeEmpty) {
    EXPECT_TRUE(TagList::parse(""));
    EXPECT_TRUE(TagList::parse(" \r\n "));
}

TEST(TagList, ThatIsMalformedIsRefusedWithAReason) {
    const struct {
        std::string text, reason;
    } cases[] = {
        {"a", "\"a\" is not of the form tag=value"},
        {"a=1; synerr", "\"synerr\" is not of the form tag=value"},
        {"a=1;;b=2", "\"\" is not of the form tag=value"},
        {";", "\"\" is not of the form tag=value"},
        {"=1", "\"\" is not the name of a tag"},
        {"1a=1", "\"1a\" is not the name of a tag"},
        {"a b=1", "\"a b\" is not the name of a tag"},
        {"a=1; b=2; a=1", "the tag a= stands there twice"},
    };
    for (const auto& test : cases) {
        const auto list = TagList::parse(test.text);
        ASSERT_FALSE(list) << test.text;
        EXPECT_EQ(list.error().message, test.reason);
    }
}

TEST(TagList, IsBounded) {
    std::string text;
    for (int i = 0; i < 64; i++) text += "t" + std::to_string(i) + "=1;";
    EXPECT_TRUE(TagList::parse(text));
    EXPECT_FALSE(TagList::parse(text + "one_more=1"));
}

TEST(Colons, SplitAListAndTrimItsParts) {
    EXPECT_EQ(split_colons("a : b:\r\n c"), (std::vector<std::string_view>{"a", "b", "c"}));
    EXPECT_EQ(split_colons(""), (std::vector<std::string_view>{""}));
    EXPECT_EQ(split_colons("a:"), (std::vector<std::string_view>{"a", ""}));
}

// RFC 4648 §10
TEST(Base64, IsThatOfTheRfc) {
    const struct {
        std::string octets, text;
    } cases[] = {{"", ""},
                 {"f", "Zg=="},
                 {"fo", "Zm8="},
                 {"foo", "Zm9v"},
                 {"foob", "Zm9vYg=="},
                 {"fooba", "Zm9vYmE="},
                 {"foobar", "Zm9vYmFy"},
                 {"\xff\xfe\0"s, "//4A"}};
    for (const auto& test : cases) {
        EXPECT_EQ(encode_base64(test.octets), test.text);
        EXPECT_EQ(decode_base64(test.text), test.octets);
    }
}

TEST(Base64, MayBeFoldedAndLackItsPadding) {
    EXPECT_EQ(decode_base64(" Zm\r\n 9v\tYg = ="), "foob");
    EXPECT_EQ(decode_base64("Zm9vYg"), "foob");
    EXPECT_EQ(decode_base64("Zm9vYmE"), "fooba");
}

TEST(Base64, ThatIsMalformedIsNothing) {
    for (const char* text :
         {"Z", "Zm9vY", "Zm9v=", "Zm9vYg=", "Zm9vYg===", "Zg==Zg==", "Zm-v", "=", "Zm9v\x80"}) {
        EXPECT_EQ(decode_base64(text), std::nullopt) << text;
    }
}

TEST(Quoted, IsDecoded) {
    EXPECT_EQ(decode_quoted("=6Along@messiah=2Eedu"), "jlong@messiah.edu");
    EXPECT_EQ(decode_quoted("a=3Bb =3d\r\n c"), "a;b=c");
    EXPECT_EQ(decode_quoted("j\xc3\xbcrgen"), "j\xc3\xbcrgen");  // RFC 8616 §5
    for (const char* text : {"=", "=4", "a=4", "=4G", "==41"}) {
        EXPECT_EQ(decode_quoted(text), std::nullopt) << text;
    }
}

TEST(Quoted, IsEncodedWhereAValueMayNotHoldTheOctet) {
    EXPECT_EQ(encode_quoted("a.b+c@example.org"), "a.b+c@example.org");
    EXPECT_EQ(encode_quoted("a;b=c d\t\xc3\xbc"), "a=3Bb=3Dc=20d=09=C3=BC");
}

}  // namespace
}  // namespace postrider::mailauth::dkim
