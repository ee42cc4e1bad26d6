// route/mailbox_path_test.cc: no address leads out of its folder, and no two share one.

#include "route/mailbox_path.h"

#include <gtest/gtest.h>

#include <set>

namespace postrider::route {
namespace {

struct EncodeCase {
    std::string_view name;
    std::string text;
    std::string_view want;
};

const EncodeCase kEncodeCases[] = {
    {"PlainStays", "john.doe", "john.doe"},
    {"TagStays", "john+list", "john+list"},
    {"UpperCaseStays", "John", "John"},
    {"SlashIsEncoded", "a/b", "a%2Fb"},
    {"ParentFolderIsEncoded", "..", "%2E."},
    {"CurrentFolderIsEncoded", ".", "%2E"},
    {"LeadingDotIsEncoded", ".hidden", "%2Ehidden"},
    {"EscapeItselfIsEncoded", "a%2Fb", "a%252Fb"},
    {"NulIsEncoded", std::string("a\0b", 3), "a%00b"},
    {"LineFeedIsEncoded", "a\nb", "a%0Ab"},
    {"SpaceIsEncoded", "a b", "a%20b"},
    {"Utf8IsEncoded", "\xC3\xBC", "%C3%BC"},
    {"EmptyIsALonePercent", "", "%"},
    {"LiteralIsEncoded", "[ipv6:2001:db8::1]", "%5Bipv6%3A2001%3Adb8%3A%3A1%5D"},
    {"BracesAreEncoded", "{domain}", "%7Bdomain%7D"},
};

TEST(MailboxPath, EncodesAsSpecified) {
    for (const EncodeCase& c : kEncodeCases) {
        EXPECT_EQ(encode_component(c.text), c.want) << c.name;
    }
}

TEST(MailboxPath, EveryTextOfTwoOctetsGivesAnotherSafeName) {
    std::set<std::string> names;
    for (int first = 0; first < 256; ++first) {
        for (int second = -1; second < 256; ++second) {
            std::string text(1, static_cast<char>(first));
            if (second >= 0) text += static_cast<char>(second);
            std::string name = encode_component(text);
            ASSERT_FALSE(name.empty());
            ASSERT_NE(name[0], '.');
            ASSERT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                             "0123456789-_+=.@%"),
                      name.npos)
                << name;
            ASSERT_TRUE(names.insert(name).second) << name;
        }
    }
}

TEST(MailboxPath, LongestLocalPartFitsIntoAFileName) {
    EXPECT_LE(encode_component(std::string(64, '\xFF')).size(), 255u);
}

TEST(MailboxPath, PlaceholdersAreReplacedWhereverTheyStand) {
    auto path = MailboxPath::parse("/v/{domain}/{local}/Maildir");
    ASSERT_TRUE(path);
    EXPECT_EQ(path->path("a.example", "joe"), "/v/a.example/joe/Maildir");
    EXPECT_EQ(path->path("a.example", "../../x"), "/v/a.example/%2E.%2F..%2Fx/Maildir");
    auto twice = MailboxPath::parse("/v/{local}/{local}@{domain}");
    ASSERT_TRUE(twice);
    EXPECT_EQ(twice->path("d", "l"), "/v/l/l@d");
}

TEST(MailboxPath, PlaceholderTextInAnAddressIsNotReplaced) {
    auto path = MailboxPath::parse("/v/{domain}/{local}");
    ASSERT_TRUE(path);
    EXPECT_EQ(path->path("d", "{domain}"), "/v/d/%7Bdomain%7D");
}

TEST(MailboxPath, TemplatesThatCannotWorkAreRefused) {
    constexpr std::string_view kBad[] = {
        "", "/v", "/v/{domain}", "/v/{local", "/v/local}", "/v/{local}/{user}", "/v/{local}{"};
    for (std::string_view text : kBad) EXPECT_FALSE(MailboxPath::parse(text)) << text;
    EXPECT_FALSE(MailboxPath::parse(std::string("/v/{local}\0x", 12)));
    EXPECT_EQ(MailboxPath::parse("/v/{local}/{user}").error().message,
              "the mailbox path knows {domain} and {local}, not {user}");
}

}  // namespace
}  // namespace postrider::route
