#include "mailauth/spf/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::mailauth::spf {
namespace {

using testing::HasSubstr;

TEST(SpfRecord, VersionIsEndedBySpaceOrNothing) {
    for (const std::string_view text : {"v=spf1", "v=spf1 -all", "V=SPF1 ", "v=SpF1  a"}) {
        EXPECT_TRUE(is_spf_record(text)) << text;
    }
    for (const std::string_view text :
         {"", "v=spf", "v=spf10", "v=spf1-all", " v=spf1", "v=spf1\t-all", "v=spf2.0/pra"}) {
        EXPECT_FALSE(is_spf_record(text)) << text;
    }
}

TEST(SpfRecord, IsReadTermByTerm) {
    const auto record = Record::parse(
        "v=spf1 a mx:mail.example.org/24//64 -ip4:192.0.2.0/25 ?ip6:2001:db8::/32 "
        "~include:%{d2}.x.example "
        "exists:%{i}.x.example ptr x=y exp=why.example.org redirect=r.example.org  -ALL "
        "a:behind.example ");
    ASSERT_TRUE(record) << record.error().message;
    ASSERT_EQ(record->directives.size(), 8U);  // nothing behind "all"
    const auto& d = record->directives;
    EXPECT_EQ(d[0].mechanism, Mechanism::A);
    EXPECT_EQ(d[0].domain_spec, "");
    EXPECT_EQ(d[0].result, ResultCode::Pass);
    EXPECT_EQ(d[1].mechanism, Mechanism::Mx);
    EXPECT_EQ(d[1].domain_spec, "mail.example.org");
    EXPECT_EQ(d[1].cidr4, 24);
    EXPECT_EQ(d[1].cidr6, 64);
    EXPECT_EQ(d[2].result, ResultCode::Fail);
    EXPECT_EQ(d[2].cidr4, 25);
    EXPECT_EQ(d[2].network[0], 192);
    EXPECT_EQ(d[3].result, ResultCode::Neutral);
    EXPECT_EQ(d[3].cidr6, 32);
    EXPECT_EQ(d[4].result, ResultCode::SoftFail);
    EXPECT_EQ(d[4].text, "~include:%{d2}.x.example");
    EXPECT_EQ(d[7].mechanism, Mechanism::All);
    EXPECT_TRUE(record->has_all);
    EXPECT_EQ(record->explanation, "why.example.org");
    EXPECT_EQ(record->redirect, "r.example.org");
}

// The error names the term, and what to do where people often err.
TEST(SpfRecord, ErrorsSayWhatToDo) {
    const struct {
        std::string_view terms;
        std::string_view want;
    } cases[] = {
        {"moo", R"("moo" is no mechanism)"},
        {"ipv4:192.0.2.1", R"("ipv4:192.0.2.1" is no mechanism; "ip4" may be meant)"},
        {"redirect:example.org", R"("redirect=" may be meant)"},
        {"192.0.2.1", R"("192.0.2.1" is an address without "ip4:" or "ip6:")"},
        {"a:192.0.2.1", R"(has a domain that is an address; that is for "ip4" and "ip6")"},
        {"a:example.org,", "ends in a comma; spaces separate terms"},
        {"include", R"("include" needs ":" and a domain)"},
        {"include:", R"("include:" names no domain behind ":")"},
        {"include:example.org/24", "does not end in a top-level domain"},
        {"a/33", "IPv4 prefix longer than 32 bits"},
        {"a//129", "IPv6 prefix longer than 128 bits"},
        {"mx/024", "prefix length that cannot be read"},
        {"ip4:192.0.2/24", "does not name an IPv4 network"},
        {"ip4:192.0.2.1/33", "longer than 32 bits"},
        {"ip4:2001:db8::", "does not name an IPv4 network"},
        {"ip4:::ffff:192.0.2.1", "does not name an IPv4 network"},
        {"ip6:192.0.2.1", "does not name an IPv6 network"},
        {"ip6", R"(needs ":" and a network)"},
        {"-all:x", R"(has more than "all")"},
        {"exists:%{z}.example.org", R"(uses the macro letter "z", which does not exist)"},
        {"a:%{c}.example.org", R"(uses the macro letter "c", which only an explanation may)"},
        {"a:%{d.example.org", R"(has a "%{" without its "}")"},
        {"exp=a.example exp=b.example", R"("exp=b.example" is a second "exp")"},
        {"redirect=a.example REDIRECT=b.example", R"(is a second "redirect")"},
        {"exp=", "has a domain that is empty"},
        {"x=%z", R"("x=%z" has a "%" that is followed by none of)"},
        {"1up=x", R"("1up=x" is no mechanism)"},
        {"a\tmx", R"("a?mx" is no mechanism)"},
    };
    for (const auto& [terms, want] : cases) {
        const std::string text = "v=spf1 ip4:192.0.2.9 " + std::string(terms) + " -all";
        const auto record = Record::parse(text);
        ASSERT_FALSE(record) << terms;
        EXPECT_THAT(record.error().message, HasSubstr(want)) << terms;
    }
}

TEST(SpfRecord, UnknownModifiersAreIgnoredHoweverOften) {
    const auto record = Record::parse("v=spf1 x=1 x=2 all=y include=z a -all");
    ASSERT_TRUE(record);
    EXPECT_EQ(record->directives.size(), 2U);
}

TEST(SpfRecord, ErrorBehindAllIsAnErrorToo) { EXPECT_FALSE(Record::parse("v=spf1 -all moo")); }

}  // namespace
}  // namespace postrider::mailauth::spf
