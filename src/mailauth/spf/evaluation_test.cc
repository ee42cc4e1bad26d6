#include "mailauth/spf/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mailauth/testing.h"

namespace postrider::mailauth::spf {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

dns::A a(std::string_view text) {
    dns::A out;
    std::ranges::copy(IpAddress::parse(text).value().octets(), out.octets.begin());
    return out;
}

dns::Question question(std::string_view name, dns::Type type) {
    return {plain_name(name).value(), type};
}

Request mail_from(std::string_view client, std::string local_part, std::string domain) {
    return Request::mail_from(IpAddress::parse(client).value(), "helo.example.net",
                              ReversePath{Mailbox{std::move(local_part), std::move(domain)}});
}

Finding check(const TestZone& zone, Request request, Limits limits = {}) {
    Evaluation evaluation(std::move(request), limits);
    drive(evaluation, zone);
    return evaluation.result();
}

Finding check(const TestZone& zone, std::string_view client = "192.0.2.1") {
    return check(zone, mail_from(client, "joe", "example.org"));
}

TEST(SpfEvaluation, ReasonNamesTheTermAndItsRecord) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 include:_spf.x.example -all");
    zone.add_txt("_spf.x.example", "v=spf1 redirect=b.x.example");
    zone.add_txt("b.x.example", "v=spf1 ip4:192.0.2.0/24 ~all");
    const Finding pass = check(zone);
    EXPECT_EQ(pass.code, ResultCode::Pass);
    EXPECT_EQ(pass.mechanism, "include:_spf.x.example");
    EXPECT_EQ(pass.reason,
              "the record of example.org has \"include:_spf.x.example\", which matches 192.0.2.1");
    EXPECT_EQ(pass.lookups, 2);
    EXPECT_EQ(pass.domain, "example.org");
    EXPECT_EQ(pass.identity, Identity::MailFrom);
    const Finding fail = check(zone, "198.51.100.1");
    EXPECT_EQ(fail.code, ResultCode::Fail);
    EXPECT_EQ(fail.mechanism, "-all");
    EXPECT_EQ(fail.reason,
              "the record of example.org has \"-all\", and nothing before it matches 198.51.100.1");
}

TEST(SpfEvaluation, ReasonsOfErrorsSayHowOneCameThere) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 include:_spf.x.example -all");
    zone.add_txt("_spf.x.example", "v=spf1 redirect=b.x.example");
    zone.add_txt("b.x.example", "v=spf1 ipv4:192.0.2.0/24 ~all");
    EXPECT_EQ(check(zone).reason,
              "the record of example.org includes _spf.x.example, which redirects to b.x.example, "
              "whose record has a syntax error: \"ipv4:192.0.2.0/24\" is no mechanism; \"ip4\" may "
              "be meant");
    TestZone missing;
    missing.add_txt("example.org", "v=spf1 include:_spf.x.example -all");
    EXPECT_EQ(check(missing).reason,
              "the record of example.org includes _spf.x.example, which does not exist");
    EXPECT_EQ(check(missing).code, ResultCode::PermError);
    TestZone silent;
    silent.add_txt("example.org", "v=spf1 a:a.example -all");
    silent.add_silence("a.example");
    EXPECT_EQ(check(silent).reason,
              "the record of example.org has \"a:a.example\", but \"A a.example\" could not be "
              "looked up: no answer in time");
    EXPECT_EQ(check(silent).code, ResultCode::TempError);
}

TEST(SpfEvaluation, NothingIsSaidIsNeutralWithTheMechanismDefault) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 ip4:203.0.113.1");
    const Finding finding = check(zone);
    EXPECT_EQ(finding.code, ResultCode::Neutral);
    EXPECT_EQ(finding.mechanism, "default");
    EXPECT_EQ(finding.reason, "the record of example.org says nothing about 192.0.2.1");
}

TEST(SpfEvaluation, NoRecordIsNone) {
    TestZone zone;
    EXPECT_EQ(check(zone).code, ResultCode::None);
    EXPECT_EQ(check(zone).reason, "example.org does not exist");
    zone.add("example.org", a("192.0.2.1"));
    EXPECT_EQ(check(zone).reason, "example.org has no SPF record");
    const Finding literal = check(zone, Request::helo_identity(IpAddress(), "[192.0.2.1]"));
    EXPECT_EQ(literal.code, ResultCode::None);
    EXPECT_EQ(literal.reason, "\"[192.0.2.1]\" is not a domain name of at least two labels");
    EXPECT_EQ(literal.identity, Identity::Helo);
}

// RFC 7208 §2.4: the null reverse-path is postmaster at the HELO name.
TEST(SpfEvaluation, NullSenderIsPostmasterAtTheHeloName) {
    TestZone zone;
    zone.add_txt("helo.example.net", "v=spf1 exists:%{l}.%{o} -all");
    zone.add("postmaster.helo.example.net", a("127.0.0.2"));
    const Finding finding = check(
        zone, Request::mail_from(IpAddress::parse("192.0.2.1").value(), "HELO.Example.NET", {}));
    EXPECT_EQ(finding.code, ResultCode::Pass);
    EXPECT_EQ(finding.identity, Identity::MailFrom);
    EXPECT_EQ(finding.domain, "helo.example.net");
}

// RFC 8616 §4.
TEST(SpfEvaluation, ULabelsAreAskedAsALabels) {
    TestZone zone;
    zone.add_txt("xn--bcher-kva.example", "v=spf1 exists:%{o}.x.example -all");
    zone.add("xn--bcher-kva.example.x.example", a("127.0.0.2"));
    const Finding finding = check(zone, mail_from("192.0.2.1", "joe", "B\303\274cher.example"));
    EXPECT_EQ(finding.code, ResultCode::Pass);
    EXPECT_EQ(finding.domain, "xn--bcher-kva.example");
}

TEST(SpfEvaluation, TermsWithALocalPartThatIsNotAsciiDoNotMatch) {
    TestZone zone;
    zone.add_txt("example.org",
                 "v=spf1 exists:%{l}.x.example include:%{s}.x.example -a:%{l}.x.example ~all");
    EXPECT_EQ(check(zone, mail_from("192.0.2.1", "j\xC3\xB6rg", "example.org")).code,
              ResultCode::SoftFail);
    zone.add_txt("r.example", "v=spf1 redirect=%{l}.x.example");
    EXPECT_EQ(check(zone, mail_from("192.0.2.1", "j\xC3\xB6rg", "r.example")).code,
              ResultCode::Neutral);
}

TEST(SpfEvaluation, HostsOfAnMxAreAskedSideBySideAndTriedInOrder) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 mx -all");
    zone.add("example.org", dns::Mx{20, plain_name("b.example").value()});
    zone.add("example.org", dns::Mx{10, plain_name("a.example").value()});
    zone.add("example.org", dns::Mx{30, plain_name("a.example").value()});
    zone.add("a.example", a("192.0.2.1"));
    zone.add_silence("b.example");
    Evaluation evaluation(mail_from("192.0.2.1", "joe", "example.org"));
    evaluation.answer(question("example.org", dns::Type::Txt),
                      zone.answer(question("example.org", dns::Type::Txt)));
    evaluation.answer(question("example.org", dns::Type::Mx),
                      zone.answer(question("example.org", dns::Type::Mx)));
    const auto wanted = evaluation.next();
    EXPECT_THAT(
        std::vector(wanted.begin(), wanted.end()),
        ElementsAre(question("a.example", dns::Type::A), question("b.example", dns::Type::A)));
    // The answer to the first settles it; the other one is not waited for.
    evaluation.answer(question("a.example", dns::Type::A),
                      zone.answer(question("a.example", dns::Type::A)));
    ASSERT_TRUE(evaluation.done());
    EXPECT_EQ(evaluation.result().code, ResultCode::Pass);
}

TEST(SpfEvaluation, OrderOfAnswersDoesNotMatter) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 mx -all");
    zone.add("example.org", dns::Mx{10, plain_name("a.example").value()});
    zone.add("example.org", dns::Mx{20, plain_name("b.example").value()});
    zone.add_silence("a.example");
    zone.add("b.example", a("192.0.2.1"));
    Evaluation evaluation(mail_from("192.0.2.1", "joe", "example.org"));
    for (const auto& early :
         {question("example.org", dns::Type::Txt), question("example.org", dns::Type::Mx),
          question("b.example", dns::Type::A)}) {
        evaluation.answer(early, zone.answer(early));
    }
    EXPECT_FALSE(evaluation.done());  // a.example comes first, and could end it
    evaluation.answer(question("unasked.example", dns::Type::A), dns::Answer());
    evaluation.answer(question("a.example", dns::Type::A),
                      zone.answer(question("a.example", dns::Type::A)));
    ASSERT_TRUE(evaluation.done());
    EXPECT_EQ(evaluation.result().code, ResultCode::TempError);
}

TEST(SpfEvaluation, OnlyNamesThatWouldMatchAreValidatedForPtr) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 ptr -all");
    zone.add("1.2.0.192.in-addr.arpa", dns::Ptr{plain_name("mail.other.example").value()});
    zone.add("1.2.0.192.in-addr.arpa", dns::Ptr{plain_name("mail.example.org").value()});
    zone.add("mail.example.org", a("192.0.2.1"));
    Evaluation evaluation(mail_from("192.0.2.1", "joe", "example.org"));
    EXPECT_THAT(drive(evaluation, zone),
                ElementsAre(question("example.org", dns::Type::Txt),
                            question("1.2.0.192.in-addr.arpa", dns::Type::Ptr),
                            question("mail.example.org", dns::Type::A)));
    EXPECT_EQ(evaluation.result().code, ResultCode::Pass);
}

TEST(SpfEvaluation, LimitsEndItWithTheTermThatWentTooFar) {
    TestZone zone;
    zone.add("example.org", a("203.0.113.1"));
    zone.add_txt("example.org", "v=spf1 a a a a a a a a a a exists:last.example -all");
    const Finding lookups = check(zone);
    EXPECT_EQ(lookups.code, ResultCode::PermError);
    EXPECT_EQ(lookups.lookups, 10);
    EXPECT_EQ(lookups.reason,
              "the record of example.org has \"exists:last.example\", which is the 11th term that "
              "asks the DNS; 10 are allowed");
    TestZone voids;
    voids.add_txt("example.org", "v=spf1 a:a.example a:b.example a:c.example -all");
    const Finding finding = check(voids);
    EXPECT_EQ(finding.code, ResultCode::PermError);
    EXPECT_EQ(finding.void_lookups, 3);
    EXPECT_THAT(finding.reason, HasSubstr("\"a:c.example\", which is the 3rd term that asks for "
                                          "something that does not exist; 2 are allowed"));
}

// RFC 7208 §4.6.4: "either with RCODE 0 and no answers or with RCODE 3".
TEST(SpfEvaluation, NamesWithoutSuchARecordAreVoidLookupsToo) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 a:x.example a:y.example a:z.example ?all");
    for (const char* host : {"x.example", "y.example", "z.example"}) zone.add_txt(host, "here");
    EXPECT_EQ(check(zone).code, ResultCode::PermError);
    EXPECT_EQ(check(zone).void_lookups, 3);
    zone.add("z.example", a("203.0.113.1"));
    EXPECT_EQ(check(zone).code, ResultCode::Neutral);
    EXPECT_EQ(check(zone).void_lookups, 2);
}

TEST(SpfEvaluation, EveryMechanismCountsItsVoidLookups) {
    for (const char* third : {"a:c.example", "mx:c.example", "exists:c.example", "ptr"}) {
        TestZone zone;
        zone.add_txt("example.org",
                     std::string("v=spf1 a:a.example a:b.example ") + third + " ?all");
        EXPECT_EQ(check(zone).code, ResultCode::PermError) << third;
        EXPECT_EQ(check(zone).void_lookups, 3) << third;
    }
}

// RFC 7208 §4.6.4: ten address records of an MX, and no more.
TEST(SpfEvaluation, TenHostsOfAnMxAreTakenAndElevenAreAnError) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 mx -all");
    const auto add_host = [&](int number) {
        const std::string host = "h" + std::to_string(number) + ".example";
        zone.add("example.org", dns::Mx{static_cast<uint16_t>(number), plain_name(host).value()});
        zone.add(host, a("192.0.2." + std::to_string(number)));
    };
    for (int number = 1; number <= 10; number++) add_host(number);
    EXPECT_EQ(check(zone, "192.0.2.10").code, ResultCode::Pass);
    add_host(11);
    EXPECT_EQ(check(zone, "192.0.2.10").code, ResultCode::PermError);
}

// RFC 7208 §4.6.4: of the names of a client, those behind the tenth are passed over.
TEST(SpfEvaluation, TheEleventhNameOfAClientIsPassedOver) {
    for (const int others : {9, 10}) {
        TestZone zone;
        zone.add_txt("example.org", "v=spf1 ptr -all");
        for (int number = 0; number < others; number++) {
            const std::string host = "h" + std::to_string(number) + ".other.example";
            zone.add("1.2.0.192.in-addr.arpa", dns::Ptr{plain_name(host).value()});
        }
        zone.add("1.2.0.192.in-addr.arpa", dns::Ptr{plain_name("mail.example.org").value()});
        zone.add("mail.example.org", a("192.0.2.1"));
        EXPECT_EQ(check(zone).code, others == 9 ? ResultCode::Pass : ResultCode::Fail);
    }
}

// RFC 7208 §5.5: "If a DNS error occurs while doing the PTR RR lookup, then this mechanism fails to
// match."
TEST(SpfEvaluation, PtrDoesNotMatchWhereTheClientHasNoNameForNow) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 ptr ~all");
    zone.add_silence("1.2.0.192.in-addr.arpa");
    EXPECT_EQ(check(zone).code, ResultCode::SoftFail);
}

// RFC 7208 §4.6.4: the question for %{p} is among the ten.
TEST(SpfEvaluation, TheMacroPIsCounted) {
    TestZone zone;
    zone.add("example.org", a("203.0.113.1"));
    zone.add_txt("example.org", "v=spf1 a a a a a a a a exists:%{p}.x.example ?all");
    zone.add("unknown.x.example", a("127.0.0.2"));
    const Finding ten = check(zone);
    EXPECT_EQ(ten.code, ResultCode::Pass);
    EXPECT_EQ(ten.lookups, 10);
    TestZone more;
    more.add("example.org", a("203.0.113.1"));
    more.add_txt("example.org", "v=spf1 a a a a a a a a a exists:%{p}.x.example ?all");
    EXPECT_EQ(check(more).code, ResultCode::PermError);
}

// RFC 7208 §7.3: the domain itself, else a name below it, else any.
TEST(SpfEvaluation, TheMacroPIsTheNearestOfTheClientsNames) {
    const char* const names[] = {"any.other.example", "mail.example.org", "example.org"};
    for (std::size_t count = 1; count <= 3; count++) {
        TestZone zone;
        zone.add_txt("example.org", "v=spf1 exists:%{p}.x.example -all");
        for (std::size_t i = 0; i < count; i++) {
            zone.add("1.2.0.192.in-addr.arpa", dns::Ptr{plain_name(names[i]).value()});
            zone.add(names[i], a("192.0.2.1"));
        }
        zone.add(std::string(names[count - 1]) + ".x.example", a("127.0.0.2"));
        EXPECT_EQ(check(zone).code, ResultCode::Pass) << names[count - 1];
    }
}

// RFC 7208 §4.6.4 counts terms. A client over IPv6 must not make a domain's MX an error only
// because its hosts have IPv4 addresses.
TEST(SpfEvaluation, HostsWithoutAddressesOfTheFamilyAreNotVoidLookups) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 mx ~all");
    for (const char* host : {"a.example", "b.example", "c.example"}) {
        zone.add("example.org", dns::Mx{10, plain_name(host).value()});
        zone.add(host, a("192.0.2.1"));
    }
    const Finding finding = check(zone, "2001:db8::1");
    EXPECT_EQ(finding.code, ResultCode::SoftFail);
    EXPECT_EQ(finding.void_lookups, 0);
}

TEST(SpfEvaluation, ExplanationIsThatOfTheDomainAndPrintable) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 -all exp=why.example.org");
    zone.add_txt("why.example.org", "%{i} %{r} %{t}: see http://%{d}/?s=%{S}");
    Request request = mail_from("192.0.2.1", "joe", "example.org");
    request.receiver = "mx.example.net";
    request.unix_seconds = 77;
    EXPECT_EQ(check(zone, request).explanation,
              "192.0.2.1 mx.example.net 77: see http://example.org/?s=joe%40example.org");
    request.local_part = "a\r\nb";
    EXPECT_EQ(check(zone, request).explanation,
              "192.0.2.1 mx.example.net 77: see http://example.org/?s=a%0D%0Ab%40example.org");
    TestZone raw;
    raw.add_txt("example.org", "v=spf1 -all exp=why.example.org");
    raw.add_txt("why.example.org", "%{s}");
    EXPECT_EQ(check(raw, request).explanation, "");
    TestZone huge;
    huge.add_txt("example.org", "v=spf1 -all exp=why.example.org");
    huge.add_txt("why.example.org", std::string(3000, 'x'));
    EXPECT_EQ(check(huge).explanation.size(), kExplanationOctetsMax);
}

// RFC 7208 §6.2: "exp" of an included record is not used; so nobody is asked for it.
TEST(SpfEvaluation, ExplanationOfAnIncludedRecordIsNotAskedFor) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 include:inc.example -all exp=why.example.org");
    zone.add_txt("inc.example", "v=spf1 -all exp=why.inc.example");
    zone.add_txt("why.inc.example", "theirs");
    zone.add_txt("why.example.org", "ours");
    Evaluation evaluation(mail_from("192.0.2.1", "joe", "example.org"));
    EXPECT_THAT(drive(evaluation, zone), ElementsAre(question("example.org", dns::Type::Txt),
                                                     question("inc.example", dns::Type::Txt),
                                                     question("why.example.org", dns::Type::Txt)));
    EXPECT_EQ(evaluation.result().explanation, "ours");
}

TEST(SpfEvaluation, ExpiryIsATemporaryErrorThatNamesWhatWasMissing) {
    Evaluation evaluation(mail_from("192.0.2.1", "joe", "example.org"));
    evaluation.expire("20 seconds are over");
    ASSERT_TRUE(evaluation.done());
    EXPECT_EQ(evaluation.result().code, ResultCode::TempError);
    EXPECT_EQ(evaluation.result().reason,
              "20 seconds are over: \"TXT example.org\" was not answered");
    evaluation.answer(question("example.org", dns::Type::Txt), dns::Answer());
    EXPECT_EQ(evaluation.result().code, ResultCode::TempError);
}

TEST(SpfEvaluation, FieldNamesTheIdentityThatWasChecked) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 -all");
    const MethodResult mail = method_result(check(zone));
    EXPECT_EQ(mail.method, "spf");
    EXPECT_EQ(mail.result, "fail");
    EXPECT_THAT(mail.properties, ElementsAre(ResultProperty{"smtp", "mailfrom", "example.org"}));
    const MethodResult helo =
        method_result(check(zone, Request::helo_identity(IpAddress(), "example.org")));
    EXPECT_THAT(helo.properties, ElementsAre(ResultProperty{"smtp", "helo", "example.org"}));
}

TEST(SpfEvaluation, OctetsOfTheRecordAreShownHarmless) {
    TestZone zone;
    zone.add_txt("example.org",
                 std::string("v=spf1 a\x01\xFF\r\n") + std::string(500, 'x') + " -all");
    const Finding finding = check(zone);
    EXPECT_EQ(finding.code, ResultCode::PermError);
    EXPECT_LT(finding.reason.size(), 300U);
    for (const char c : finding.reason) EXPECT_TRUE(c >= ' ' && c <= '~');
}

TEST(SpfEvaluation, CanBeMovedAndLeftUnfinished) {
    TestZone zone;
    zone.add_txt("example.org", "v=spf1 include:a.example -all");
    zone.add_txt("a.example", "v=spf1 mx -all");
    Evaluation first(mail_from("192.0.2.1", "joe", "example.org"));
    Evaluation second = std::move(first);
    for (const char* name : {"example.org", "a.example"}) {
        second.answer(question(name, dns::Type::Txt), zone.answer(question(name, dns::Type::Txt)));
    }
    EXPECT_THAT(std::vector(second.next().begin(), second.next().end()),
                ElementsAre(question("a.example", dns::Type::Mx)));
}

}  // namespace
}  // namespace postrider::mailauth::spf
