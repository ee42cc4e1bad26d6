#include "mailauth/spf/macro.h"

#include <gtest/gtest.h>

#include "mailauth/domain.h"

namespace postrider::mailauth::spf {
namespace {

MacroValues rfc_values(std::string_view client) {
    MacroValues values;
    values.local_part = "strong-bad";
    values.sender_domain = values.domain = "email.example.com";
    values.helo = "mx.example.org";
    values.receiver = "mail.example.net";
    values.validated_name = "mx.example.org";
    values.client = IpAddress::parse(client).value();
    values.unix_seconds = 1'400'000'000;
    return values;
}

struct Case {
    std::string_view text;
    std::string_view want;
};

// RFC 7208 §7.4, all of it.
TEST(SpfMacro, ExamplesOfTheRfcExpand) {
    constexpr Case kCases[] = {
        {"%{s}", "strong-bad@email.example.com"},
        {"%{o}", "email.example.com"},
        {"%{d}", "email.example.com"},
        {"%{d4}", "email.example.com"},
        {"%{d3}", "email.example.com"},
        {"%{d2}", "example.com"},
        {"%{d1}", "com"},
        {"%{dr}", "com.example.email"},
        {"%{d2r}", "example.email"},
        {"%{l}", "strong-bad"},
        {"%{l-}", "strong.bad"},
        {"%{lr}", "strong-bad"},
        {"%{lr-}", "bad.strong"},
        {"%{l1r-}", "strong"},
        {"%{ir}.%{v}._spf.%{d2}", "3.2.0.192.in-addr._spf.example.com"},
        {"%{lr-}.lp._spf.%{d2}", "bad.strong.lp._spf.example.com"},
        {"%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", "bad.strong.lp.3.2.0.192.in-addr._spf.example.com"},
        {"%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", "3.2.0.192.in-addr.strong.lp._spf.example.com"},
        {"%{d2}.trusted-domains.example.net", "example.com.trusted-domains.example.net"},
    };
    for (const auto& [text, want] : kCases) {
        ASSERT_TRUE(check_macros(text, MacroPlace::DomainSpec)) << text;
        EXPECT_EQ(expand(text, rfc_values("192.0.2.3")), want) << text;
    }
    // Of IPv6 the RFC writes the digits in lower case and the openspf suite in upper case: as names
    // they are equal.
    EXPECT_EQ(plain_name(expand("%{ir}.%{v}._spf.%{d2}", rfc_values("2001:db8::cb01")).value()),
              plain_name("1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6."
                         "_spf.example.com"));
}

TEST(SpfMacro, OtherLettersAndTransformersExpand) {
    constexpr Case kCases[] = {
        {"%{h}", "mx.example.org"},
        {"%{p}", "mx.example.org"},
        {"%{p2}", "example.org"},
        {"%{r}", "mail.example.net"},
        {"%{t}", "1400000000"},
        {"%{c}", "192.0.2.3"},
        {"%{i}", "192.0.2.3"},
        {"%{I}", "192.0.2.3"},
        {"%{S}", "strong-bad%40email.example.com"},
        {"%{D2R}", "example.email"},
        {"%{o99999999999999999999}", "email.example.com"},
        {"%{s2-}", "strong.bad@email.example.com"},
        {"%{s1@}", ""},  // not a delimiter: below
        {"100%% of%_it%-", "100% of it%20"},
        {"%{dr-}", "email.example.com"},
        {"%{d.}", "email.example.com"},
        {"plain text", "plain text"},
        {"", ""},
    };
    for (const auto& [text, want] : kCases) {
        if (text == "%{s1@}") {
            EXPECT_FALSE(check_macros(text, MacroPlace::Explanation));
            continue;
        }
        ASSERT_TRUE(check_macros(text, MacroPlace::Explanation)) << text;
        EXPECT_EQ(expand(text, rfc_values("192.0.2.3")), want) << text;
    }
}

TEST(SpfMacro, MalformedTextsAreRefused) {
    for (const std::string_view text : {"",
                                        "%",
                                        "%a.example",
                                        "%(d).example",
                                        "%{d.example",
                                        "%{}.example",
                                        "%{x}.example",
                                        "%{d0}.example",
                                        "%{dd}.example",
                                        "%{d2x}.example",
                                        "%{rd}.example",
                                        "%{c}.example",
                                        "%{t}.example",
                                        "%{r}",
                                        "example",
                                        "example.",
                                        "a.123",
                                        "a.-x",
                                        "a.x-",
                                        "%{d}x",
                                        "%{d}.",
                                        "a..",
                                        ".",
                                        "a b.example",
                                        "a\x01.example",
                                        "b\xC3\xBC.example",
                                        "192.0.2.1"}) {
        EXPECT_FALSE(check_macros(text, MacroPlace::DomainSpec)) << text;
    }
    for (const std::string_view text :
         {"%{d}", "a.b", "a.b.", "%{d}.x1-2", "a..b", "x%%", "%-", ".com", "foo:bar/baz.example",
          "%{ir}.%{l1r+-}._spf.%{d}"}) {
        EXPECT_TRUE(check_macros(text, MacroPlace::DomainSpec)) << text;
    }
    EXPECT_FALSE(check_macros("a b", MacroPlace::MacroString));
    EXPECT_TRUE(check_macros("", MacroPlace::MacroString));
    EXPECT_FALSE(check_macros("tab\there", MacroPlace::Explanation));
}

// RFC 8616 §4.
TEST(SpfMacro, LocalPartThatIsNotAsciiNeverExpands) {
    MacroValues values = rfc_values("192.0.2.3");
    values.local_part = "j\xC3\xB6rg";
    for (const std::string_view text :
         {"%{l}.example", "%{s}.example", "%{L}.example", "%{l1r+}.a.b"}) {
        EXPECT_FALSE(expand(text, values)) << text;
    }
    EXPECT_TRUE(expand("%{o}.%{d}", values));
}

TEST(SpfMacro, ExpansionIsBounded) {
    std::string text;
    for (int i = 0; i < 1000; i++) text += "%{s}";
    EXPECT_FALSE(expand(text, rfc_values("192.0.2.3")));
}

}  // namespace
}  // namespace postrider::mailauth::spf
