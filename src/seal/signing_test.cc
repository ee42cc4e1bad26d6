// seal/signing_test.cc: which keys sign which message.

#include "seal/signing.h"

#include <gtest/gtest.h>

namespace postrider::seal {
namespace {

using mailauth::dkim::PrivateKey;

constexpr Wall kNow{1'800'000'000'000'000};

// "selector@domain"
KeyRing ring_of(std::initializer_list<std::string> keys) {
    static const PrivateKey key = *PrivateKey::generate_ed25519();
    KeyRing ring;
    for (const std::string& one : keys) {
        std::size_t at = one.find('@');
        ring.add({one.substr(at + 1), one.substr(0, at), key, std::nullopt});
    }
    return ring;
}

std::string names(const Choice& choice) {
    std::string out;
    for (const auto& key : choice.keys) {
        out += (out.empty() ? "" : " ") + key.selector + "@" + key.domain;
    }
    if (!choice.missing.empty()) out += " without " + choice.missing;
    return out;
}

TEST(ChooseKeys, WithoutARuleTheyAreAllOfTheNearestDomain) {
    KeyRing ring =
        ring_of({"a@example.org", "b@example.org", "n@news.example.org", "x@example.net"});
    struct Case {
        const char* author;
        const char* want;
    };
    constexpr Case kCases[] = {
        {"example.org", "a@example.org b@example.org"},
        {"a.b.example.org", "a@example.org b@example.org"},
        {"news.example.org", "n@news.example.org"},
        {"x.news.example.org", "n@news.example.org"},
        {"myexample.org", ""},
        {"org", ""},
        {"", ""},
    };
    for (const Case& one : kCases) {
        for (const char* account : {"", "ann"}) {
            EXPECT_EQ(names(choose_keys(ring, {}, one.author, account)), one.want) << one.author;
        }
    }
}

TEST(ChooseKeys, TheFirstRuleThatFitsNamesThem) {
    KeyRing ring = ring_of({"a@example.org", "N1@example.org", "x@example.net", "p@provider.test"});
    SigningRules rules;
    rules.rules = {
        {{"news", "offers"}, {"example.org"}, {"n1._domainkey.example.org"}},
        {{"news"}, {}, {}},
        {{}, {"example.net"}, {"author", "provider.test"}},
        {{"bob"}, {}, {"gone._domainkey.example.org", "author", "nobody.test"}},
    };
    struct Case {
        const char* author;
        const char* account;
        const char* want;
    };
    constexpr Case kCases[] = {
        // By account and domain; the domain with all below it.
        {"example.org", "news", "N1@example.org"},
        {"www.example.org", "offers", "N1@example.org"},
        {"notexample.org", "offers", ""},
        // The account alone: not signed.
        {"example.net", "news", ""},
        // The domain alone, for every account and none, with a second signature.
        {"example.net", "ann", "x@example.net p@provider.test"},
        {"a.example.net", "", "x@example.net p@provider.test"},
        // What a rule names is told when it is missing, and signs nothing else.
        {"example.org", "bob", "a@example.org without gone._domainkey.example.org"},
        {"example.org", "ann", "a@example.org"},
        {"example.org", "", "a@example.org"},
        // Whole names only.
        {"example.org", "new", "a@example.org"},
        {"example.org", "News", "a@example.org"},
    };
    for (const Case& one : kCases) {
        EXPECT_EQ(names(choose_keys(ring, rules, one.author, one.account)), one.want)
            << one.author << " by " << one.account;
    }
}

TEST(ChooseKeys, ADomainWhoseKeysAreAllNamedHasNoneForOthers) {
    KeyRing ring = ring_of({"n@news.example.org", "a@example.org"});
    SigningRules rules;
    rules.rules = {{{"news"}, {}, {"n._domainkey.news.example.org"}}};
    EXPECT_EQ(names(choose_keys(ring, rules, "news.example.org", "ann")), "a@example.org");
    EXPECT_EQ(names(choose_keys(ring, rules, "news.example.org", "news")), "n@news.example.org");
}

TEST(Signing, OnlyOneAuthorsDomainSigns) {
    KeyRing ring = ring_of({"s@example.org", "s@example.net"});
    auto signs = [&](std::string_view header) -> std::string {
        auto start = Signing::start(ring, {}, header, "", kNow);
        EXPECT_EQ(start.trouble, "");
        return start.signing ? start.domain : "none";
    };
    EXPECT_EQ(signs("From: A <a@Example.ORG>\r\n"), "example.org");
    EXPECT_EQ(signs("From: a@example.org, b@example.org\r\nSender: a@example.org\r\n"),
              "example.org");
    EXPECT_EQ(signs("From: a@example.org, b@example.net\r\n"), "none");
    EXPECT_EQ(signs("From: a@example.org\r\nFrom: b@example.net\r\n"), "none");
    EXPECT_EQ(signs("From: a@else.example\r\n"), "none");
    EXPECT_EQ(signs("Subject: no author\r\n"), "none");
    EXPECT_EQ(signs(""), "none");
}

TEST(Signing, TellsWhatKeepsItFromSigningAsItShould) {
    SigningRules rules;
    rules.rules = {{{}, {}, {"gone._domainkey.example.org"}}};
    // A rule without a key is told even when there is no key at all.
    auto start = Signing::start({}, rules, "From: a@example.org\r\n", "", kNow);
    EXPECT_EQ(start.signing, nullptr);
    EXPECT_EQ(start.trouble, "no key signs as gone._domainkey.example.org");
    // More fields than a signature can name.
    std::string header = "From: a@example.org\r\n";
    for (std::size_t i = 0; i < mailauth::dkim::kSignedFieldsMax; i++) header += "To: b@c.test\r\n";
    start = Signing::start(ring_of({"s@example.org"}), {}, header, "", kNow);
    EXPECT_EQ(start.signing, nullptr);
    EXPECT_EQ(start.trouble, "the message has more than 500 fields to sign");
}

}  // namespace
}  // namespace postrider::seal
