// route/hosts_test.cc: which hosts take a domain's mail, over a DNS written as text.
//
// Goal: each rule of RFC 5321 §5.1 and RFC 7505, each failure, order, limits, site and expiry.
// Method: a table of zones and domains with the answer that each must get, as one line of text; the
// lots are drawn from a counter.

#include "route/hosts.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "route/testing.h"

namespace postrider::route {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::UnorderedElementsAre;

// "mx.example/10 192.0.2.1:25 ...; ..." or the kind of failure with its code.
std::string said(const HostsAnswer& answer) {
    constexpr std::string_view kWords[] = {"ok",         "null MX", "no such domain",
                                           "no address", "loop",    "temporary"};
    std::string out;
    if (answer.status != HostsAnswer::Status::Ok) {
        EXPECT_TRUE(answer.hosts.empty());
        EXPECT_NE(answer.reason, "");
        return fmt::format("{} {}", kWords[static_cast<int>(answer.status)], answer.code.text());
    }
    EXPECT_FALSE(answer.hosts.empty());
    EXPECT_EQ(answer.code, EnhancedStatus{});
    for (const NextHost& host : answer.hosts) {
        out += fmt::format("{}{}/{}", out.empty() ? "" : "; ", host.name, host.preference);
        for (const auto& address : host.addresses) out += " " + address.text();
    }
    return out;
}

constexpr std::string_view kZones = R"(
plain.example 3600 MX 20 b.example
plain.example 3600 MX 10 A.Example
a.example 3600 A 192.0.2.1
b.example 3600 A 192.0.2.2
implicit.example 600 A 192.0.2.3
text.example 600 MX 0 .
null-and-more.example 3600 MX 0 .
null-and-more.example 3600 MX 10 a.example
broken.example fails
aaaa-only.example 600 AAAA 2001:db8::5
both.example 600 A 192.0.2.11
both.example 600 A 192.0.2.12
both.example 600 A 192.0.2.13
both.example 600 AAAA 2001:db8::11
both.example 600 AAAA 2001:db8::12
mixed.example 3600 MX 10 broken.example
mixed.example 3600 MX 20 b.example
all-broken.example 3600 MX 10 broken.example
all-broken.example 3600 MX 20 gone.example
gone-hosts.example 3600 MX 10 gone.example
gone-hosts.example 3600 MX 20 nothing.example
nothing.example 3600 MX 5 plain.example
first-gone.example 3600 MX 10 gone.example
first-gone.example 3600 MX 20 b.example
us-best.example 3600 MX 10 us.example
us-best.example 3600 MX 20 a.example
us-best.example 3600 MX 10 b.example
us-second.example 3600 MX 10 a.example
us-second.example 3600 MX 20 other-us.example
us-second.example 3600 MX 20 b.example
us-second.example 3600 MX 30 c.example
us-by-address.example 3600 MX 10 b.example
us-by-address.example 3600 MX 20 alias-of-us.example
us-by-address.example 3600 MX 30 a.example
alias-of-us.example 3600 A 192.0.2.98
alias-of-us.example 3600 AAAA 2001:db8::99
us-only-by-address.example 3600 A 192.0.2.99
us.example 3600 A 192.0.2.99
us-behind-gone.example 3600 MX 10 gone.example
us-behind-gone.example 3600 MX 20 us.example
us-behind-broken.example 3600 MX 10 broken.example
us-behind-broken.example 3600 MX 20 us.example
localhost.mx.example 3600 MX 10 localhost
localhost 3600 A 127.0.0.1
twice.example 3600 MX 30 a.example
twice.example 3600 MX 10 a.example
twice.example 3600 MX 20 b.example
unusable.example 3600 A 0.0.0.0
unusable.example 3600 A 224.0.0.1
unusable.example 3600 A 255.255.255.255
unusable.example 3600 AAAA ::
unusable.example 3600 AAAA ff02::1
partly.example 3600 A 0.0.0.1
partly.example 3600 A 192.0.2.7
xn--bcher-kva.example 600 A 192.0.2.8
)";

struct FindCase {
    std::string_view name;
    std::string domain;
    std::string want;
};

const FindCase kFinds[] = {
    {"HostsComeByPreference", "plain.example",
     "a.example/10 192.0.2.1:25; b.example/20 192.0.2.2:25"},
    {"CaseOfTheDomainIsIgnored", "PLAIN.example",
     "a.example/10 192.0.2.1:25; b.example/20 192.0.2.2:25"},
    {"WithoutMxTheDomainIsItsOwnHost", "implicit.example", "implicit.example/0 192.0.2.3:25"},
    {"ImplicitMxOverIpv6", "aaaa-only.example", "aaaa-only.example/0 [2001:db8::5]:25"},
    {"FamiliesTakeTurnsIpv6First", "both.example",
     "both.example/0 [2001:db8::11]:25 192.0.2.11:25 [2001:db8::12]:25 192.0.2.12:25 "
     "192.0.2.13:25"},
    {"NullMxIsForGood", "text.example", "null MX 5.1.10"},
    {"NullMxBesideOthersSaysNothing", "null-and-more.example", "a.example/10 192.0.2.1:25"},
    {"NxDomainIsForGood", "gone.example", "no such domain 5.1.2"},
    {"FailureOfMxIsTemporary", "broken.example", "temporary 4.4.3"},
    {"FailureOfOneHostLeavesTheOthers", "mixed.example", "b.example/20 192.0.2.2:25"},
    {"FailureOfTheOnlyHostThatMayExistIsTemporary", "all-broken.example", "temporary 4.4.3"},
    {"MxWithoutAnyAddressIsForGood", "gone-hosts.example", "no address 5.4.4"},
    {"HostWithoutAddressIsLeftOut", "first-gone.example", "b.example/20 192.0.2.2:25"},
    {"BestHostIsUs", "us-best.example", "loop 5.4.6"},
    {"HostsAtAndBehindOurPreferenceAreDropped", "us-second.example", "a.example/10 192.0.2.1:25"},
    {"WeAreKnownByAnAddress", "us-by-address.example", "b.example/10 192.0.2.2:25"},
    {"ImplicitMxIsUsByAddress", "us-only-by-address.example", "loop 5.4.6"},
    {"ImplicitMxIsUsByName", "us.example", "loop 5.4.6"},
    {"BetterHostsThanUsDoNotExist", "us-behind-gone.example", "no address 5.4.4"},
    {"BetterHostsThanUsAreNotKnownForNow", "us-behind-broken.example", "temporary 4.4.3"},
    {"LocalhostIsUs", "localhost.mx.example", "loop 5.4.6"},
    {"HostNamedTwiceHasItsBestPreference", "twice.example",
     "a.example/10 192.0.2.1:25; b.example/20 192.0.2.2:25"},
    {"AddressesWhereNoHostCanBe", "unusable.example", "no address 5.4.4"},
    {"UnusableAddressesAreLeftOut", "partly.example", "partly.example/0 192.0.2.7:25"},
    {"ULabelsAreAsked",
     "b\xC3\xBC"
     "cher.example",
     "xn--bcher-kva.example/0 192.0.2.8:25"},
    {"Literal", "[192.0.2.50]", "[192.0.2.50]/0 192.0.2.50:25"},
    {"Literal6", "[IPv6:2001:db8::50]", "[IPv6:2001:db8::50]/0 [2001:db8::50]:25"},
    {"LiteralOfOurs", "[192.0.2.99]", "loop 5.4.6"},
    {"LiteralWhereNoHostCanBe", "[0.0.0.0]", "no address 5.4.4"},
    {"LiteralThatIsNone", "[mx.example]", "no such domain 5.1.2"},
    {"LiteralWithTheWrongTag", "[2001:db8::50]", "no such domain 5.1.2"},
    {"NoDomain", "a..b", "no such domain 5.1.2"},
    {"NoDomainAtAll", "", "no such domain 5.1.2"},
};

TEST(FindHosts, AnswersAsSpecified) {
    for (const FindCase& c : kFinds) {
        SCOPED_TRACE(c.name);
        Rig rig(kZones);
        EXPECT_EQ(said(rig.find(c.domain)), c.want);
    }
}

const FindCase kStatics[] = {
    {"NameWithPort", "a.example:2525", "a.example/0 192.0.2.1:2525"},
    {"NameWithoutPort", "a.example", "a.example/0 192.0.2.1:25"},
    {"MxOfTheNameIsNotAsked", "us.example:25", "us.example/0 192.0.2.99:25"},
    {"Address", "192.0.2.4:26", "[192.0.2.4]/0 192.0.2.4:26"},
    {"AddressInBrackets", "[192.0.2.4]:26", "[192.0.2.4]/0 192.0.2.4:26"},
    {"Address6", "[2001:db8::4]:26", "[IPv6:2001:db8::4]/0 [2001:db8::4]:26"},
    {"Address6WithoutPort", "[2001:db8::4]", "[IPv6:2001:db8::4]/0 [2001:db8::4]:25"},
    {"OwnAddressIsTheOperatorsMatter", "192.0.2.99:10025", "[192.0.2.99]/0 192.0.2.99:10025"},
    {"NameThatDoesNotExist", "gone.example:25", "no address 5.4.4"},
    {"NameThatCannotBeAsked", "broken.example:25", "temporary 4.4.3"},
    {"PortZero", "a.example:0", "no address 5.4.4"},
    {"PortTooLarge", "a.example:65536", "no address 5.4.4"},
    {"PortThatIsNone", "a.example:25x", "no address 5.4.4"},
    {"BracketNotClosed", "[192.0.2.4:25", "no address 5.4.4"},
    {"OctetsBehindTheBracket", "[192.0.2.4]25", "no address 5.4.4"},
    {"Nothing", "", "no address 5.4.4"},
};

TEST(FindStaticHost, AnswersAsSpecified) {
    for (const FindCase& c : kStatics) {
        SCOPED_TRACE(c.name);
        Rig rig(kZones);
        EXPECT_EQ(said(rig.find_static(c.domain)), c.want);
    }
}

TEST(FindHosts, EqualPreferencesComeInEveryOrder) {
    std::string zones = "r.example 60 MX 5 first.example\nfirst.example 60 A 192.0.2.1\n";
    for (int i = 2; i <= 4; i++) {
        zones +=
            fmt::format("r.example 60 MX 10 h{}.example\nh{}.example 60 A 192.0.2.{}\n", i, i, i);
    }
    std::map<std::string, int> orders;
    for (uint64_t seed = 0; seed < 600; seed++) {
        Rig rig(zones, seed);
        HostsAnswer answer = rig.find("r.example");
        ASSERT_EQ(answer.hosts.size(), 4u);
        EXPECT_EQ(answer.hosts.front().name, "first.example");
        std::string order;
        for (const NextHost& host : answer.hosts) order += host.name;
        orders[order]++;
    }
    EXPECT_EQ(orders.size(), 6u);
    for (const auto& [order, count] : orders) EXPECT_GT(count, 50) << order;
}

TEST(FindHosts, AllAddressesAreAskedSideBySide) {
    Rig rig(kZones);
    rig.find("plain.example");
    EXPECT_EQ(rig.resolver.open_max, 4);
    EXPECT_THAT(rig.resolver.asked,
                UnorderedElementsAre("MX plain.example", "A a.example", "AAAA a.example",
                                     "A b.example", "AAAA b.example"));
}

TEST(FindHosts, HostsBehindOurNameAreNotAsked) {
    Rig rig(kZones);
    rig.find("us-best.example");
    EXPECT_THAT(rig.resolver.asked, ElementsAre("MX us-best.example"));
}

TEST(FindHosts, AFamilyThatIsOffIsNeitherAskedNorUsed) {
    Rig rig(kZones);
    rig.options.use_ipv6 = false;
    EXPECT_EQ(said(rig.find("both.example")),
              "both.example/0 192.0.2.11:25 192.0.2.12:25 192.0.2.13:25");
    EXPECT_EQ(said(rig.find("aaaa-only.example")), "no address 5.4.4");
    EXPECT_EQ(said(rig.find("[IPv6:2001:db8::1]")), "no address 5.4.4");
    EXPECT_FALSE(rig.resolver.asked.contains("AAAA both.example"));
}

TEST(FindHosts, ThePortIsThatOfTheOptions) {
    Rig rig(kZones);
    rig.options.port = 2525;
    EXPECT_EQ(said(rig.find("implicit.example")), "implicit.example/0 192.0.2.3:2525");
}

TEST(FindHosts, HostsAndAddressesAreBounded) {
    std::string zones;
    for (int i = 0; i < 30; i++) {
        zones += fmt::format("many.example 60 MX {} h{}.example\n", 100 - i, i);
        for (int j = 0; j < 20; j++)
            zones += fmt::format("h{}.example 60 A 192.0.{}.{}\n", i, i, j);
        zones += fmt::format("h{}.example 60 AAAA 2001:db8::{:x}\n", i, i + 1);
    }
    Rig rig(zones);
    HostsAnswer answer = rig.find("many.example");
    ASSERT_EQ(answer.hosts.size(), kMxHostsMax);
    EXPECT_EQ(answer.hosts.front().name, "h29.example");
    EXPECT_EQ(answer.hosts.back().name, "h10.example");
    for (const NextHost& host : answer.hosts) EXPECT_EQ(host.addresses.size(), kAddressesMax);
    EXPECT_EQ(rig.resolver.asked.size(), 1 + 2 * kMxHostsMax);
}

TEST(FindHosts, DomainsWithTheSameHostsHaveOneSite) {
    Rig rig(
        "one.example 60 MX 10 b.example\none.example 60 MX 20 a.example\n"
        "two.example 60 MX 1 A.example\ntwo.example 60 MX 1 b.example\n"
        "three.example 60 MX 1 a.example\n"
        "a.example 60 A 192.0.2.1\n");
    EXPECT_EQ(rig.find("one.example").site, "mx:a.example,b.example");
    EXPECT_EQ(rig.find("two.example").site, "mx:a.example,b.example");
    EXPECT_EQ(rig.find("three.example").site, "mx:a.example");
    EXPECT_EQ(rig.find("a.example").site, "mx:a.example");
    EXPECT_EQ(rig.find("[192.0.2.1]").site, "ip:[192.0.2.1]");
    EXPECT_EQ(rig.find("gone.example").site, "dns:gone.example");
    EXPECT_EQ(rig.find_static("A.example:25").site, "host:a.example:25");
    EXPECT_EQ(rig.find_static("gone.example:25").site, "host:gone.example:25");
}

TEST(FindHosts, ALongSiteIsCutAndStaysItsOwn) {
    std::string zones;
    for (int i = 0; i < 20; i++) {
        std::string host = fmt::format("a-rather-long-name-of-a-host-{}.example", i);
        zones += fmt::format("long.example 60 MX 1 {}\nother.example 60 MX 1 {}\n", host, host);
        zones += fmt::format("{} 60 A 192.0.2.{}\n", host, i);
    }
    zones += "other.example 60 MX 1 z.example\n";
    Rig rig(zones);
    std::string site = rig.find("long.example").site;
    EXPECT_EQ(site.size(), kSiteOctetsMax);
    EXPECT_TRUE(site.starts_with("mx:a-rather-long-name-of-a-host-0.example,"));
    EXPECT_EQ(rig.find("long.example").site, site);
    EXPECT_NE(rig.find("other.example").site, site);
}

struct ExpiryCase {
    std::string_view name;
    std::string_view zones;
    Duration want;
};

TEST(FindHosts, ExpiresWithTheSmallestTtlWithinBounds) {
    const ExpiryCase kCases[] = {
        {"SmallestIsMx", "d.example 300 MX 1 a.example\na.example 500 A 192.0.2.1", 300s},
        {"SmallestIsTheAddress", "d.example 800 MX 1 a.example\na.example 400 A 192.0.2.1", 400s},
        {"NegativeAnswersCountToo", "d.example 9000 MX 1 a.example\na.example 9000 A 192.0.2.1",
         900s},
        {"AtLeastTheMinimum", "d.example 0 MX 1 a.example\na.example 0 A 192.0.2.1", kHostsKeptMin},
        {"AtMostTheMaximum",
         "d.example 999999 MX 1 a.example\na.example 999999 A 192.0.2.1\n"
         "a.example 999999 AAAA 2001:db8::1",
         kHostsKeptMax},
        {"SoonWhenAHostIsNotKnown",
         "d.example 9000 MX 1 a.example\nd.example 9000 MX 2 b.example\n"
         "a.example 9000 A 192.0.2.1\nb.example fails",
         kHostsKeptMin},
        {"FailureExpiresSoon", "d.example fails", kHostsKeptMin},
        {"NxDomainAsLongAsDnsSays", "", 900s},
        {"NullMx", "d.example 1234 MX 0 .", 1234s},
        {"Loop", "d.example 1234 MX 0 us.example", 1234s},
    };
    for (const ExpiryCase& c : kCases) {
        SCOPED_TRACE(c.name);
        Rig rig(c.zones);
        EXPECT_EQ(rig.kept(rig.find("d.example")), c.want);
    }
}

TEST(FindHosts, DnssecIsPassedOnHostByHost) {
    Rig rig(
        "d.example !600 MX 1 a.example\nd.example !600 MX 2 b.example\n"
        "a.example !600 A 192.0.2.1\nb.example 600 A 192.0.2.2\n"
        "unsigned.example 600 MX 1 a.example\n");
    HostsAnswer answer = rig.find("d.example");
    EXPECT_TRUE(answer.secure);
    ASSERT_EQ(answer.hosts.size(), 2u);
    EXPECT_TRUE(answer.hosts[0].secure);
    EXPECT_FALSE(answer.hosts[1].secure);
    answer = rig.find("unsigned.example");
    EXPECT_FALSE(answer.secure);
    EXPECT_FALSE(answer.hosts.at(0).secure);
}

TEST(FindHosts, OnlySomeFailuresAreForGood) {
    using Status = HostsAnswer::Status;
    for (Status status :
         {Status::NullMx, Status::NoSuchDomain, Status::NoAddress, Status::LoopToSelf}) {
        EXPECT_TRUE(HostsAnswer{.status = status}.is_permanent());
    }
    EXPECT_FALSE(HostsAnswer{.status = Status::Ok}.is_permanent());
    EXPECT_FALSE(HostsAnswer{.status = Status::Temporary}.is_permanent());
}

}  // namespace
}  // namespace postrider::route
