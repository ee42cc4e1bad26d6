#include "mailauth/dkim/signature.h"

#include <gtest/gtest.h>

namespace postrider::mailauth::dkim {
namespace {

const std::string kGood =
    "v=1; a=rsa-sha256; d=example.org; s=sel; h=From:To; bh=AAAA; b=qrvM3e7/ABEi";

Signature parse_with(const std::string& more) { return parse_signature(kGood + "; " + more); }

// With one tag of the good one replaced by another text.
Signature parse_replacing(const std::string& tag, const std::string& text) {
    std::string value = kGood;
    const std::size_t begin = value.find(tag);
    EXPECT_NE(begin, std::string::npos) << tag;
    const std::size_t end = std::min(value.find(';', begin), value.size() - 1) + 1;
    value.replace(begin, end - begin, text);
    return parse_signature(value);
}

TEST(Signature, HasTheDefaultsOfTheRfc) {
    const Signature signature = parse_signature(kGood);
    EXPECT_EQ(signature.error, "");
    EXPECT_EQ(signature.algorithm, "rsa-sha256");
    EXPECT_EQ(signature.header_form, Canonicalization::Simple);
    EXPECT_EQ(signature.body_form, Canonicalization::Simple);
    EXPECT_EQ(signature.identity, "@example.org");
    EXPECT_EQ(signature.key_name.text(), "sel._domainkey.example.org");
    EXPECT_EQ(signature.fields, (std::vector<std::string_view>{"From", "To"}));
    EXPECT_EQ(signature.signature_begin, "qrvM3e7/");
    EXPECT_FALSE(signature.length || signature.signed_at || signature.expires_at);
}

TEST(Signature, HasWhatItsTagsSay) {
    const Signature signature = parse_with(
        "c=Relaxed; l=10; t=100; x=200; q=foo:dns/txt; i=a=3Bb@Sub.Example.Org; z=x; unknown=y");
    EXPECT_EQ(signature.error, "");
    EXPECT_EQ(signature.header_form, Canonicalization::Relaxed);
    EXPECT_EQ(signature.body_form, Canonicalization::Simple);
    EXPECT_EQ(signature.length, 10u);
    EXPECT_EQ(signature.signed_at, 100);
    EXPECT_EQ(signature.expires_at, 200);
    EXPECT_EQ(signature.identity, "a;b@sub.example.org");
    EXPECT_TRUE(signature.identity_is_below);
    EXPECT_EQ(parse_with("c=simple/relaxed").body_form, Canonicalization::Relaxed);
    EXPECT_EQ(parse_with("l=" + std::string(76, '9')).length, UINT64_MAX);
    EXPECT_EQ(parse_with("l=0").length, 0u);
}

// RFC 6376 §6.1.1
TEST(Signature, ThatIsMalformedSaysWhy) {
    const struct {
        std::string tag, text, error;
    } cases[] = {
        {"v=1", "", "v= is missing"},
        {"v=1", "v=2;", "v= is not 1"},
        {"a=", "", "a= is missing"},
        {"a=", "a=rsa-md5;", "a= is an unknown algorithm"},
        {"a=", "a=ed25519-sha1;", "a= is an unknown algorithm"},
        {"a=", "a=rsa;", "a= is an unknown algorithm"},
        {"d=", "", "d= is missing"},
        {"d=", "d=org;", "d= is not a domain name"},
        {"d=", "d=a..org;", "d= is not a domain name"},
        {"d=", "d=exa mple.org;", "d= is not a domain name"},
        {"d=", "d=.org;", "d= is not a domain name"},
        {"s=", "", "s= is missing"},
        {"s=", "s=;", "s= is not a selector"},
        {"s=", "s=a\\.b;", "s= is not a selector"},
        {"s=", "s=" + std::string(64, 's') + ";", "s= is not a selector"},
        {"h=", "", "h= is missing"},
        {"h=", "h=To:Subject;", "From is not among the signed fields (h=)"},
        {"h=", "h=From::To;", "h= has an empty field name"},
        {"h=", "h=;", "h= has an empty field name"},
        {"bh=", "", "bh= is missing"},
        {"bh=", "bh=;", "bh= is not base64"},
        {"b=q", "", "b= is missing"},
        {"b=q", "b=;", "b= is not base64"},
        {"b=q", "b=A;", "b= is not base64"},
        {"b=q", "b=AAAA; b=AAAA;", "the tag b= stands there twice"},
    };
    for (const auto& test : cases) {
        EXPECT_EQ(parse_replacing(test.tag, test.text).error, test.error) << test.tag << test.text;
    }
    const struct {
        std::string more, error;
    } others[] = {
        {"c=foobar", "c= is an unknown canonicalization"},
        {"c=simple/", "c= is an unknown canonicalization"},
        {"c=simple/relaxed/simple", "c= is an unknown canonicalization"},
        {"i=example.org", "i= is not an address"},
        {"i=a=4@example.org", "i= is not an address"},
        {"i=@example.com", "i= is of example.com, which is neither d=example.org nor below it"},
        {"i=@badexample.org",
         "i= is of badexample.org, which is neither d=example.org nor below it"},
        {"i=a@", "the domain of i= is not a domain name"},
        {"l=-1", "l= is not a number of octets"},
        {"l=", "l= is not a number of octets"},
        {"l=" + std::string(77, '0'), "l= is not a number of octets"},
        {"t=1.5", "t= is not a number of seconds"},
        {"x=never", "x= is not a number of seconds"},
        {"t=200; x=200", "the signature expires (x=) before it was made (t=)"},
        {"q=http", "q= names no known way to the key"},
        {"q=dns/special", "q= names no known way to the key"},
        {"synerr", "\"synerr\" is not of the form tag=value"},
    };
    for (const auto& test : others) EXPECT_EQ(parse_with(test.more).error, test.error) << test.more;
}

TEST(Signature, ThatIsMalformedStillNamesItsDomain) {
    const Signature signature = parse_replacing("v=1", "v=7;");
    EXPECT_EQ(signature.domain, "example.org");
    EXPECT_EQ(signature.selector, "sel");
}

// A-labels by Python's idna codec.
TEST(Signature, WithULabelsIsLookedUpByALabels) {
    const Signature signature = parse_signature(
        "v=1; a=rsa-sha256; d=Bücher.example; s=schlüssel; i=jürgen@BÜCHER.example; h=From; "
        "bh=AAAA; b=AAAA");
    EXPECT_EQ(signature.error, "");
    EXPECT_EQ(signature.domain, "xn--bcher-kva.example");
    EXPECT_EQ(signature.key_name.text(), "xn--schlssel-95a._domainkey.xn--bcher-kva.example");
    EXPECT_EQ(signature.identity, "jürgen@xn--bcher-kva.example");
    EXPECT_FALSE(signature.identity_is_below);
    EXPECT_EQ(parse_replacing("d=", "d=b\xff.example;").error, "d= is not a domain name");
}

TEST(Signature, WithATooLongKeyNameIsMalformed) {
    const std::string label(60, 'a');
    const std::string domain = label + "." + label + "." + label + "." + label.substr(0, 58) + ".x";
    EXPECT_EQ(parse_replacing("d=", "d=" + domain + ";").error,
              "the name of the key record is too long");
}

}  // namespace
}  // namespace postrider::mailauth::dkim
