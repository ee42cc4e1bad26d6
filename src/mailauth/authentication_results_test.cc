#include "mailauth/authentication_results.h"

#include <gtest/gtest.h>

namespace postrider::mailauth {
namespace {

using Properties = std::vector<ResultProperty>;

// RFC 8601 appendix B, each field there.
TEST(AuthenticationResults, ExamplesOfTheRfcAreRead) {
    const struct {
        std::string_view value;
        std::string_view id;
        std::vector<MethodResult> results;
    } cases[] = {
        {" example.org 1; none", "example.org", {}},
        {" example.com;\r\n          spf=pass smtp.mailfrom=example.net",
         "example.com",
         {{"spf", "pass", "", "", {{"smtp", "mailfrom", "example.net"}}}}},
        {" example.com;\r\n          auth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
         "          spf=pass smtp.mailfrom=example.net",
         "example.com",
         {{"auth", "pass", "", "", {{"smtp", "auth", "sender@example.net"}}},
          {"spf", "pass", "", "", {{"smtp", "mailfrom", "example.net"}}}}},
        {" example.com; iprev=pass\r\n          policy.iprev=192.0.2.200",
         "example.com",
         {{"iprev", "pass", "", "", {{"policy", "iprev", "192.0.2.200"}}}}},
        {" example.com;\r\n          dkim=pass (good signature) header.d=example.com",
         "example.com",
         {{"dkim", "pass", "", "", {{"header", "d", "example.com"}}}}},
        {" example.com;\r\n      dkim=pass reason=\"good signature\"\r\n"
         "        header.i=@mail-router.example.net;\r\n"
         "      dkim=fail reason=\"bad signature\"\r\n        header.i=@newyork.example.com",
         "example.com",
         {{"dkim", "pass", "good signature", "", {{"header", "i", "@mail-router.example.net"}}},
          {"dkim", "fail", "bad signature", "", {{"header", "i", "@newyork.example.com"}}}}},
        {" foo.example.net (foobar) 1 (baz);\r\n"
         "   dkim (Because I like it) / 1 (One yay) = (wait for it) fail\r\n"
         "     policy (A dot can go here) . (like that) expired\r\n"
         "     (this surprised me) = (as I wasn't expecting it) 1362471462",
         "foo.example.net",
         {{"dkim", "fail", "", "", {{"policy", "expired", "1362471462"}}}}},
    };
    for (const auto& [value, id, results] : cases) {
        const auto read = AuthenticationResults::parse(value);
        ASSERT_TRUE(read) << value;
        EXPECT_EQ(read->authserv_id, id);
        EXPECT_EQ(read->version, 1U);
        EXPECT_EQ(read->results, results) << value;
    }
}

TEST(AuthenticationResults, IsWrittenAsTheRfcShowsIt) {
    EXPECT_EQ(authentication_results_field("example.org", {}),
              "Authentication-Results: example.org; none\r\n");
    const MethodResult results[] = {
        {"auth", "pass", "", "cram-md5", {{"smtp", "auth", "sender@example.net"}}},
        {"spf", "pass", "", "", {{"smtp", "mailfrom", "example.net"}}},
        {"dkim", "pass", "good signature", "", {{"header", "i", "@mail-router.example.net"}}},
    };
    EXPECT_EQ(authentication_results_field("example.com", results),
              "Authentication-Results: example.com;\r\n"
              "\tauth=pass (cram-md5) smtp.auth=sender@example.net;\r\n"
              "\tspf=pass smtp.mailfrom=example.net;\r\n"
              "\tdkim=pass reason=\"good signature\" header.i=@mail-router.example.net\r\n");
}

TEST(AuthenticationResults, LongResultsAreFoldedBetweenWords) {
    const MethodResult result{"dkim",
                              "fail",
                              "",
                              "the body was changed on its way",
                              {{"header", "d", "a-rather-long-domain-name.example.org"},
                               {"header", "s", "selector-of-today"},
                               {"header", "b", "dGhpcyBp"}}};
    EXPECT_EQ(authentication_results_field("mail.example.com", {&result, 1}),
              "Authentication-Results: mail.example.com;\r\n"
              "\tdkim=fail (the body was changed on its way)\r\n"
              "\theader.d=a-rather-long-domain-name.example.org header.s=selector-of-today\r\n"
              "\theader.b=dGhpcyBp\r\n");
}

TEST(AuthenticationResults, LongCommentsAreFoldedInside) {
    const MethodResult result{
        "spf",
        "fail",
        "",
        "the record of example.org has \"-all\", and nothing before it matches 192.0.2.1",
        {{"smtp", "mailfrom", "example.org"}}};
    EXPECT_EQ(
        authentication_results_field("mail.example.com", {&result, 1}),
        "Authentication-Results: mail.example.com;\r\n"
        "\tspf=fail (the record of example.org has \"-all\", and nothing before it matches\r\n"
        "\t192.0.2.1) smtp.mailfrom=example.org\r\n");
}

TEST(AuthenticationResults, ValuesCannotBreakOut) {
    const MethodResult results[] = {
        {"spf",
         "fail",
         "x\"; dkim=pass",
         "no) dkim=pass (\r\nX: y",
         {{"smtp", "helo", "a b; dmarc=pass"}, {"smtp", "mailfrom", "\r\nBcc: x@y.example"}}},
        {"iprev", "pass", "", "", {{"policy", "iprev", "2001:db8::1"}}},
    };
    const std::string field = authentication_results_field("example.com\r\nX: y", results);
    std::size_t lines = 0;
    for (std::size_t at = 0; (at = field.find("\r\n", at)) != std::string::npos; at += 2) {
        lines++;
        EXPECT_TRUE(at + 2 == field.size() || field[at + 2] == '\t') << field;
    }
    EXPECT_EQ(std::count(field.begin(), field.end(), '\n'), static_cast<std::ptrdiff_t>(lines));
    const auto read =
        AuthenticationResults::parse(std::string_view(field).substr(field.find(':') + 1));
    ASSERT_TRUE(read) << field;
    ASSERT_EQ(read->results.size(), 2U) << field;
    EXPECT_EQ(read->authserv_id, "example.com??X: y");
    EXPECT_EQ(read->results[0].reason, "x\"; dkim=pass");
    EXPECT_EQ(read->results[0].properties,
              (Properties{{"smtp", "helo", "a b; dmarc=pass"},
                          {"smtp", "mailfrom", "??Bcc: x@y.example"}}));
    EXPECT_EQ(read->results[1].properties, (Properties{{"policy", "iprev", "2001:db8::1"}}));
}

TEST(AuthenticationResults, LinesAreNeverLongerThanAMessageAllows) {
    const std::string quotes(5000, '"');
    const MethodResult result{
        "spf", "pass", quotes, std::string(5000, '('), {{"smtp", "helo", quotes}}};
    const std::string field = authentication_results_field(quotes, {&result, 1});
    for (std::size_t at = 0; at < field.size();) {
        const std::size_t end = field.find("\r\n", at);
        EXPECT_LE(end - at, 998U);
        at = end + 2;
    }
}

TEST(AuthenticationResults, Utf8IsWrittenOnlyInAnInternationalizedMessage) {
    const MethodResult result{
        "spf", "pass", "", "", {{"smtp", "mailfrom", "j\xC3\xB6@example.org"}}};
    EXPECT_EQ(
        authentication_results_field("a.example", {&result, 1}, AddressForm::Utf8),
        "Authentication-Results: a.example;\r\n\tspf=pass smtp.mailfrom=j\xC3\xB6@example.org\r\n");
    EXPECT_EQ(
        authentication_results_field("a.example", {&result, 1}),
        "Authentication-Results: a.example;\r\n\tspf=pass smtp.mailfrom=\"j??@example.org\"\r\n");
}

TEST(AuthenticationResults, MalformedFieldsAreNotRead) {
    for (const std::string_view value :
         {"", " ", ";", "example.org", "example.org;", "example.org; spf",
          "example.org; spf=", "example.org; spf=pass smtp", "example.org; spf=pass smtp.=x",
          "example.org (; spf=pass", "\"example.org; spf=pass", "example.org; spf=pass, dkim=pass",
          "example.org 99999; none", "example.org; spf=pass; none", "exa mple.org; none"}) {
        EXPECT_FALSE(AuthenticationResults::parse(value)) << value;
    }
    const auto later = AuthenticationResults::parse("example.org 2; whatever {");
    ASSERT_TRUE(later);
    EXPECT_EQ(later->version, 2U);
    EXPECT_TRUE(later->results.empty());
}

TEST(AuthenticationResults, FieldsThatClaimOurIdAreFoundInAnySpelling) {
    const std::string ours[] = {"mx.example.org", "b\303\274cher.example"};
    for (const std::string_view value : {
             " mx.example.org; spf=pass",
             " MX.Example.ORG; none",
             " mx.example.org.; spf=pass",
             "\r\n\t(hello (there)) mx.example.org 1; dkim=pass",
             " \"mx.example.org\"; dkim=pass",
             " \"mx\\.example.org\"; dkim=pass",
             " mx.example.org",
             " mx.example.org/relay; spf=pass",
             " mx.example.org spf=pass",
             " (not closed mx.example.org; spf=pass",
             " \"mx.example.org; spf=pass",
             " , mx.example.org; spf=pass",
             " mx.example.\r\n org; spf=pass \xFF mx.example.org",
             " xn--bcher-kva.example; spf=pass",
             " B\303\234CHER.example; spf=pass",
             " other.example 2; anything",
         }) {
        EXPECT_TRUE(claims(value, ours)) << value;
    }
    for (const std::string_view value : {
             " other.example; spf=pass smtp.mailfrom=mx.example.org",
             " other.example (mx.example.org); none",
             " relay.mx.example.org.example; spf=pass",
             " mx.example.org.example; spf=pass",
             " mx.example.organic; none",
             " relay.mx.example.org; spf=pass",
             " example.org; spf=pass",
             " garbage",
             "",
         }) {
        EXPECT_FALSE(claims(value, ours)) << value;
    }
}

TEST(AuthenticationResults, RangesOfClaimingFieldsAreWholeFields) {
    const std::string header =
        "Authentication-Results: other.example; none\r\n"
        "AUTHENTICATION-results : mx.example.org;\r\n spf=pass\r\n"
        "Subject: mx.example.org\r\n"
        "Authentication-Results:\r\n\tmx.example.org; none\r\n";
    const std::string ours[] = {"mx.example.org"};
    const auto ranges = claiming_fields(header, ours);
    ASSERT_EQ(ranges.size(), 2U);
    EXPECT_EQ(header.substr(ranges[0].begin, ranges[0].size),
              "AUTHENTICATION-results : mx.example.org;\r\n spf=pass\r\n");
    EXPECT_EQ(header.substr(ranges[1].begin, ranges[1].size),
              "Authentication-Results:\r\n\tmx.example.org; none\r\n");
}

}  // namespace
}  // namespace postrider::mailauth
