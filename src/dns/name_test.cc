// dns/name_test.cc: spellings of names, and what is none.
//
// Goal: one text for each name, the limits of RFC 1035, wire and back. Method: tables by hand, from
// the RFCs' own words and numbers.

#include "dns/name.h"

#include <gtest/gtest.h>

#include <array>

namespace postrider::dns {
namespace {

std::string repeated(std::string_view piece, int times) {
    std::string out;
    for (int i = 0; i < times; i++) out += piece;
    return out;
}

const std::string kLabel63(63, 'a');

struct TextCase {
    std::string_view name;
    std::string text;
    std::string want;  // empty: no name
};

const TextCase kTexts[] = {
    {"Plain", "mx.example.org", "mx.example.org"},
    {"UpperCaseIsFolded", "MX.Example.ORG", "mx.example.org"},
    {"FinalDotIsDropped", "example.org.", "example.org"},
    {"Root", ".", "."},
    {"Underscores", "_25._tcp.mx.example.org", "_25._tcp.mx.example.org"},
    {"EscapedDotStaysInTheLabel", "a\\.b.example", "a\\046b.example"},
    {"DecimalEscapeOfALetterIsTheLetter", "\\065.example", "a.example"},
    {"OctetsAbove127AreEscaped", "\xC3\xBC.example", "\\195\\188.example"},
    {"SpaceIsEscaped", "a b.example", "a\\032b.example"},
    {"LongestLabel", kLabel63 + ".example", kLabel63 + ".example"},
    {"LongestName", repeated("a.", 126) + "a", repeated("a.", 126) + "a"},
    {"EmptyIsNoName", "", ""},
    {"EmptyLabel", "a..b", ""},
    {"LeadingDot", ".a", ""},
    {"TwoFinalDots", "a..", ""},
    {"LabelTooLong", kLabel63 + "a.example", ""},
    {"NameTooLong", repeated("a.", 127) + "a", ""},
    {"BackslashAtTheEnd", "a\\", ""},
    {"EscapeCutShort", "a\\06", ""},
    {"EscapeAbove255", "a\\256", ""},
};

TEST(Name, IsReadAsSpecified) {
    for (const TextCase& c : kTexts) {
        SCOPED_TRACE(c.name);
        auto name = Name::parse(c.text);
        EXPECT_EQ(name ? name->text() : "", c.want);
        if (name) EXPECT_EQ(Name::parse(name->text()), name);
    }
}

TEST(Name, IsComparedWithoutCase) {
    EXPECT_EQ(Name::parse("A.Example"), Name::parse("a.eXAMPLE."));
    EXPECT_NE(Name::parse("a\\.b.example"), Name::parse("a.b.example"));
}

std::optional<Name> from_wire(std::vector<uint8_t> wire, std::size_t& at) {
    return Name::from_wire(wire, at);
}

TEST(Name, IsReadFromTheWireAndStopsBehindIt) {
    std::size_t at = 1;
    auto name = from_wire({9, 2, 'M', 'X', 3, 'o', 'r', 'g', 0, 7}, at);
    ASSERT_TRUE(name);
    EXPECT_EQ(name->text(), "mx.org");
    EXPECT_EQ(at, 9u);
    at = 0;
    name = from_wire({0}, at);
    ASSERT_TRUE(name);
    EXPECT_TRUE(name->is_root());
}

TEST(Name, ThatDoesNotEndOnTheWireIsNone) {
    const std::vector<uint8_t> whole = {2, 'm', 'x', 3, 'o', 'r', 'g', 0};
    for (std::size_t size = 0; size < whole.size(); size++) {
        std::size_t at = 0;
        EXPECT_FALSE(Name::from_wire(std::span(whole).first(size), at)) << size;
        EXPECT_EQ(at, 0u);
    }
}

TEST(Name, WithACompressionPointerIsNone) {
    std::size_t at = 0;
    EXPECT_FALSE(from_wire({2, 'm', 'x', 0xC0, 0}, at));
}

TEST(Name, Of256OctetsOnTheWireIsNone) {
    std::vector<uint8_t> wire;
    for (int i = 0; i < 127; i++) wire.insert(wire.end(), {1, 'a'});
    wire.push_back(0);  // 255 octets
    std::size_t at = 0;
    EXPECT_TRUE(Name::from_wire(wire, at));
    wire.insert(wire.begin(), {1, 'a'});
    at = 0;
    EXPECT_FALSE(Name::from_wire(wire, at));
}

TEST(Name, IsWithinItselfAndItsAncestors) {
    Name name = *Name::parse("mx.example.org");
    EXPECT_TRUE(name.is_within(name));
    EXPECT_TRUE(name.is_within(*Name::parse("example.org")));
    EXPECT_TRUE(name.is_within(Name()));
    EXPECT_FALSE(name.is_within(*Name::parse("ample.org")));
    EXPECT_FALSE(Name::parse("example.org")->is_within(name));
    EXPECT_FALSE(Name::parse("a\\.example.org")->is_within(*Name::parse("example.org")));
}

TEST(Name, HasParentsUpToTheRoot) {
    Name name = *Name::parse("mx.example.org");
    EXPECT_EQ(name.parent().text(), "example.org");
    EXPECT_EQ(name.parent().parent().text(), "org");
    EXPECT_TRUE(name.parent().parent().parent().is_root());
    EXPECT_TRUE(Name().parent().is_root());
}

// The examples of RFC 1035 §3.5 and RFC 3596 §2.5.
TEST(ReverseName, OfAnAddressIsThatOfTheRfcs) {
    EXPECT_EQ(reverse_name(std::array<uint8_t, 4>{10, 2, 0, 52}).text(), "52.0.2.10.in-addr.arpa");
    const std::array<uint8_t, 16> v6 = {0x43, 0x21, 0, 0, 0,    1,    0,    2,
                                        0,    3,    0, 4, 0x05, 0x67, 0x89, 0xAB};
    EXPECT_EQ(reverse_name(v6).text(),
              "b.a.9.8.7.6.5.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.0.0.0.0.1.2.3.4.ip6.arpa");
}

}  // namespace
}  // namespace postrider::dns
