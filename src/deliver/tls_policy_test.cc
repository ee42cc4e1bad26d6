#include "deliver/tls_policy.h"

#include <gtest/gtest.h>

namespace postrider::deliver {
namespace {

struct Case {
    const char* name;
    TlsWay way;
    std::string want;  // level, names, whether TLS comes first
};

std::string words(const TlsPolicy& policy) {
    std::string out(text_of(policy.level));
    for (const std::string& name : policy.names) out += " " + name;
    return out + (policy.comes_first ? " first" : "");
}

const TlsRules kRules{
    .level = TlsLevel::Opportunistic,
    .rules = {{{"off.example"}, TlsLevel::Off, {}},
              {{"bank.example", "other.example"}, TlsLevel::Verified, {}},
              {{"bank.example"}, TlsLevel::Off, {}},  // comes too late
              {{"named.example"}, TlsLevel::Verified, {"mx.named.example", ".hosts.example"}},
              {{"any.example"}, TlsLevel::Required, {"ignored.example"}}}};

const Case kCases[] = {
    {"Default", {"a.example", "mx.a.example"}, "opportunistic"},
    {"Off", {"off.example", "mx.a.example"}, "off"},
    // The MX record may be forged: its host's name proves nothing.
    {"Verified", {"bank.example", "mx.evil.example"}, "verified bank.example .bank.example"},
    {"Named", {"named.example", "mx.evil.example"}, "verified mx.named.example .hosts.example"},
    {"Required", {"any.example", "mx.a.example"}, "required"},
    {"DomainsBelowAreNotMeant", {"x.bank.example", "mx.a.example"}, "opportunistic"},
    {"UnixSocket", {"bank.example", "/run/lmtp", 0, true}, "off"},
    {"ChosenHost", {"a.example", "relay.example", 587, true}, "opportunistic"},
    {"ChosenHostFollowsTheDomainsRule",
     {"bank.example", "relay.example", 25, true},
     "verified relay.example"},
    {"ChosenHostRequired",
     {"off.example", "relay.example", 587, true, HostTls::Required},
     "required"},
    {"ChosenHostVerified",
     {"a.example", "relay.example", 587, true, HostTls::Verified},
     "verified relay.example"},
    {"ChosenHostOff", {"bank.example", "relay.example", 465, true, HostTls::Off}, "off"},
    {"Port465", {"a.example", "relay.example", 465, true}, "verified relay.example first"},
    {"Implicit",
     {"a.example", "relay.example", 2465, true, HostTls::Implicit},
     "verified relay.example first"},
};

TEST(TlsPolicy, IsDecidedAsTheTableSays) {
    for (const Case& c : kCases) {
        TlsPolicy policy = tls_policy(kRules, c.way);
        EXPECT_EQ(words(policy), c.want) << c.name;
        EXPECT_FALSE(policy.reason.empty()) << c.name;
        EXPECT_EQ(policy.allows_plaintext(), policy.level <= TlsLevel::Opportunistic) << c.name;
    }
}

TEST(TlsPolicy, DomainsShareAConnectionOnlyWhereTheyHaveTheSamePolicy) {
    EXPECT_EQ(tls_group(kRules, "a.example"), tls_group(kRules, "b.example"));
    EXPECT_NE(tls_group(kRules, "a.example"), tls_group(kRules, "off.example"));
    EXPECT_NE(tls_group(kRules, "bank.example"), tls_group(kRules, "other.example"));
    EXPECT_EQ(tls_group({}, "a.example"), "");
    EXPECT_NE(tls_group({.level = TlsLevel::Verified, .rules = {}}, "a.example"),
              tls_group({.level = TlsLevel::Verified, .rules = {}}, "b.example"));
}

TEST(TlsPolicy, SaysWhatDecided) {
    EXPECT_EQ(tls_policy(kRules, {"bank.example", "mx.bank.example"}).text(),
              "verified (a [[tls_policy]] for bank.example)");
    EXPECT_EQ(tls_policy(kRules, {"a.example", "mx.a.example"}).text(),
              "opportunistic (the default)");
}

}  // namespace
}  // namespace postrider::deliver
