#include "mailauth/dmarc/author.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::mailauth::dmarc {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;

TEST(DmarcAuthor, WellFormedFieldsHaveOneDomain) {
    const struct {
        std::string_view value;
        std::string_view want;
    } cases[] = {
        {"joe@example.org", "example.org"},
        {"<joe@Example.ORG>", "example.org"},
        {"Joe <joe@example.org>", "example.org"},
        {"\"Joe, \\\"x@evil.example\\\" (\" <joe@example.org>", "example.org"},
        {"Joe Q. Public <joe@example.org>", "example.org"},
        {"(x@evil.example) joe @ example . org (<y@evil.example>)", "example.org"},
        {"(nested (comment \\) here)) joe@example.org", "example.org"},
        {"\"joe doe\"@example.org", "example.org"},
        {"=?utf-8?q?x=40evil.example?= <joe@example.org>", "example.org"},
        {"<@relay.example,@b.example:joe@example.org>", "example.org"},
        {"a@example.org, B <b@EXAMPLE.org>,, c@example.org", "example.org"},
        {"Team: a@example.org, b@example.org;", "example.org"},
        {"\r\n Joe\r\n\t<joe@example.org>", "example.org"},
        {"j\xC3\xB6rg@b\303\274cher.example", "xn--bcher-kva.example"},
        {"joe@example.org.", "example.org"},
    };
    for (const auto& [value, want] : cases) {
        const auto authors =
            authors_of("From: " + std::string(value) + "\r\nTo: x@other.example\r\n");
        EXPECT_EQ(authors.problem, "") << value;
        EXPECT_THAT(authors.domains, ElementsAre(want)) << value;
        EXPECT_EQ(authors.fields, 1U);
    }
}

TEST(DmarcAuthor, TroubleIsToldAndHidesNoDomain) {
    const struct {
        std::string_view header;
        std::vector<std::string> domains;
        std::string_view problem;
    } cases[] = {
        {"To: a@b.example\r\n", {}, "there is no From field"},
        {"From:\r\n", {}, "the From field names no address"},
        {"From: ;\r\n", {}, "the From field holds something that is no address"},
        {"From: undisclosed-recipients:;\r\n", {}, "the From field names no address"},
        {"From: joe\r\n", {}, "the From field holds something that is no address"},
        {"From: a@a.example, b@b.example\r\n",
         {"a.example", "b.example"},
         "the From field names addresses of 2 domains"},
        {"From: a@a.example\r\nfrom : b@b.example\r\n",
         {"a.example", "b.example"},
         "there are 2 From fields"},
        {"From: a@a.example\r\nFrom: a@a.example\r\n", {"a.example"}, "there are 2 From fields"},
        {"From: a@a.example <b@b.example>\r\n",
         {"a.example", "b.example"},
         "the From field has something behind an address that is neither a comma nor the end"},
        {"From: <a@a.example> <b@b.example>\r\n",
         {"a.example", "b.example"},
         "the From field has something behind an address that is neither a comma nor the end"},
        {"From: a@a.example b@b.example\r\n",
         {"a.example", "b.example"},
         "the From field has something behind an address that is neither a comma nor the end"},
        {"From: a@a.example@b.example\r\n",
         {"a.example", "b.example"},
         "the From field has something behind an address that is neither a comma nor the end"},
        {"From: Joe <a@a.example\r\n",
         {"a.example"},
         "the From field has an address whose \"<\" is not closed"},
        {"From: \"Joe <a@a.example>\r\n",
         {"a.example"},
         "the From field has a quoted string that does not end"},
        {"From: (Joe <a@a.example>\r\n", {}, "the From field has a comment that does not end"},
        {"From: a@[192.0.2.1]\r\n",
         {},
         "the From field has an address literal, which has no domain"},
        {"From: a@\r\n", {}, "the From field has an address without a domain"},
        {"From: @a.example\r\n",
         {"a.example"},
         "the From field has an address without a local-part"},
        {"From: a@b..example\r\n",
         {},
         "the From field has the domain \"b..example\", which is none"},
        {"From: Team: a@a.example\r\n",
         {"a.example"},
         "the From field has a group that does not end"},
        {"From: ]x[, a@a.example\r\n",
         {"a.example"},
         "the From field holds something that is no address"},
    };
    for (const auto& [header, domains, problem] : cases) {
        const auto authors = authors_of(header);
        EXPECT_EQ(authors.problem, problem) << header;
        EXPECT_THAT(authors.domains, ElementsAreArray(domains)) << header;
    }
}

TEST(DmarcAuthor, DomainsAreBounded) {
    std::string header = "From: ";
    for (int i = 0; i < 100; i++) header += "a@d" + std::to_string(i) + ".example, ";
    const auto authors = authors_of(header + "\r\n");
    EXPECT_EQ(authors.domains.size(), kAuthorDomainsMax);
    EXPECT_FALSE(authors.complete);
    EXPECT_NE(authors.problem, "");
}

}  // namespace
}  // namespace postrider::mailauth::dmarc
