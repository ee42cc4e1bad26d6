#include "mailauth/domain.h"

#include <gtest/gtest.h>

#include "mailauth/ip_address.h"
#include "mailauth/result_code.h"

namespace postrider::mailauth {
namespace {

// A-labels by hand with the `idn2` program of libidn2's authors.
TEST(Domain, BecomesALabelsInLowerCase) {
    const struct {
        std::string_view given;
        const char* want;  // nullptr: none
    } cases[] = {
        {"Example.ORG", "example.org"},
        {"example.org.", "example.org"},
        {"b\303\274cher.example", "xn--bcher-kva.example"},
        {"B\303\234CHER.Example", "xn--bcher-kva.example"},
        {"fa\xC3\x9F.de", "xn--fa-hia.de"},
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"_spf.example.org", "_spf.example.org"},
        {"localhost", "localhost"},
        {"", nullptr},
        {".", nullptr},
        {"a..b", nullptr},
        {"a..", nullptr},
        {".a", nullptr},
        {"[192.0.2.1]", nullptr},
        {"b\374cher.example", nullptr},
        {std::string_view("b\xC3\xBC\0.x", 6), nullptr},
    };
    for (const auto& [given, want] : cases) {
        const auto got = a_labels(given);
        EXPECT_EQ(got.has_value(), want != nullptr) << given;
        if (got && want) EXPECT_EQ(*got, want);
    }
    EXPECT_FALSE(a_labels(std::string(64, 'a') + ".example"));
    EXPECT_TRUE(a_labels(std::string(63, 'a') + ".example"));
}

TEST(Domain, LastLabelsAreCountedFromTheRight) {
    EXPECT_EQ(last_labels("a.b.c", 1), "c");
    EXPECT_EQ(last_labels("a.b.c", 2), "b.c");
    EXPECT_EQ(last_labels("a.b.c", 3), "a.b.c");
    EXPECT_EQ(last_labels("a.b.c", 9), "a.b.c");
    EXPECT_EQ(last_labels("c", 1), "c");
    EXPECT_EQ(last_labels("a.b", 0), "");
    EXPECT_EQ(count_labels("a.b.c"), 3U);
    EXPECT_EQ(count_labels(""), 0U);
}

TEST(Domain, BackslashOfAMacroIsNoEscape) {
    EXPECT_EQ(plain_name("a\\b.example").value().text(), "a\\092b.example");
    EXPECT_EQ(plain_name("A.Example").value().text(), "a.example");
    EXPECT_FALSE(plain_name("a..example"));
}

TEST(Domain, OctetsOfOthersAreShownHarmless) {
    EXPECT_EQ(shown("a\r\nb\x7F\xFF"), "a??b??");
    EXPECT_EQ(shown("abcdef", 3), "abc...");
}

TEST(IpAddress, MappedAddressIsIpv4) {
    const auto address = IpAddress::parse("::FFFF:192.0.2.1");
    ASSERT_TRUE(address);
    EXPECT_FALSE(address->is_v6());
    EXPECT_EQ(address->text(), "192.0.2.1");
    EXPECT_EQ(*address, IpAddress::parse("192.0.2.1"));
}

TEST(IpAddress, IsReadStrictly) {
    for (const std::string_view text :
         {"192.0.2.01", "192.0.2", "192.0.2.256", "", "1.2.3.4.5", "::1::", "2001:db8",
          "fe80::1%eth0", "12345::1", " 192.0.2.1"}) {
        EXPECT_FALSE(IpAddress::parse(text)) << text;
    }
    EXPECT_EQ(IpAddress::parse("2001:DB8:0:0::1").value().text(), "2001:db8::1");
}

TEST(IpAddress, PrefixIsComparedBitByBit) {
    const auto a = IpAddress::parse("192.0.2.128").value();
    const auto b = IpAddress::parse("192.0.2.129").value();
    EXPECT_TRUE(same_prefix(a.octets(), b.octets(), 0));
    EXPECT_TRUE(same_prefix(a.octets(), b.octets(), 31));
    EXPECT_FALSE(same_prefix(a.octets(), b.octets(), 32));
    const auto c = IpAddress::parse("193.0.2.128").value();
    EXPECT_TRUE(same_prefix(a.octets(), c.octets(), 7));
    EXPECT_FALSE(same_prefix(a.octets(), c.octets(), 8));
}

TEST(ResultCode, HasTheNameOfRfc8601) {
    for (const ResultCode code :
         {ResultCode::None, ResultCode::Pass, ResultCode::Fail, ResultCode::SoftFail,
          ResultCode::Neutral, ResultCode::Policy, ResultCode::TempError, ResultCode::PermError}) {
        EXPECT_EQ(result_code(name(code)), code);
    }
    EXPECT_EQ(name(ResultCode::SoftFail), "softfail");
    EXPECT_EQ(result_code("TempError"), ResultCode::TempError);
    EXPECT_FALSE(result_code("passed"));
}

}  // namespace
}  // namespace postrider::mailauth
