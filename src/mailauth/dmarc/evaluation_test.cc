#include "mailauth/dmarc/evaluation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "mailauth/dmarc/report_row.h"
#include "mailauth/testing.h"

namespace postrider::mailauth::dmarc {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

dns::Question txt(std::string_view domain) { return record_question(domain).value(); }

Input input(std::string author) {
    Input out;
    out.author_domain = std::move(author);
    return out;
}

Input with_spf(std::string author, std::string domain, ResultCode code = ResultCode::Pass) {
    Input out = input(std::move(author));
    out.spf = SpfIdentifier{code, std::move(domain), "because"};
    return out;
}

Input with_dkim(std::string author, std::vector<std::string> domains,
                ResultCode code = ResultCode::Pass) {
    Input out = input(std::move(author));
    for (std::string& domain : domains)
        out.dkim.push_back({code, std::move(domain), "s1", "because"});
    return out;
}

Finding check(const TestZone& zone, Input in, std::vector<dns::Question>* asked = nullptr) {
    Evaluation evaluation(std::move(in));
    auto questions = drive(evaluation, zone);
    if (asked) *asked = std::move(questions);
    return evaluation.result();
}

TEST(DmarcEvaluation, NoRecordAnywhereIsNone) {
    const Finding finding = check(TestZone(), with_spf("mail.example.org", "mail.example.org"));
    EXPECT_EQ(finding.code, ResultCode::None);
    EXPECT_FALSE(finding.has_record());
    EXPECT_EQ(finding.reason, "neither mail.example.org nor a domain above it has a DMARC record");
}

TEST(DmarcEvaluation, TheSameDomainNeedsOneQuestion) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    std::vector<dns::Question> asked;
    const Finding finding = check(zone, with_dkim("example.org", {"example.org"}), &asked);
    EXPECT_EQ(finding.code, ResultCode::Pass);
    EXPECT_TRUE(finding.dkim_aligned);
    EXPECT_FALSE(finding.spf_aligned);
    EXPECT_EQ(finding.requested, Policy::None);
    EXPECT_EQ(finding.reason, "the DKIM signature of example.org passes (relaxed alignment)");
    EXPECT_THAT(asked, ElementsAre(txt("example.org")));
}

TEST(DmarcEvaluation, ForeignDomainsCostNoWalk) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    std::vector<dns::Question> asked;
    Input in = with_dkim("example.org", {"sender.example", "other.net"});
    in.spf = SpfIdentifier{ResultCode::Pass, "bounce.sender.example", {}};
    const Finding finding = check(zone, in, &asked);
    EXPECT_EQ(finding.code, ResultCode::Fail);
    EXPECT_EQ(finding.requested, Policy::Reject);
    EXPECT_EQ(finding.reason,
              "SPF passes for bounce.sender.example, which is not aligned, and the DKIM signature "
              "of sender.example passes, which is not aligned, so nothing proves example.org");
    EXPECT_THAT(asked, ElementsAre(txt("example.org")));
}

// RFC 9989 §5.3.4: only a pass counts; what is no pass is no reason to wait for one either.
TEST(DmarcEvaluation, NothingButAPassCounts) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    for (const ResultCode code : {ResultCode::Fail, ResultCode::SoftFail, ResultCode::Neutral,
                                  ResultCode::None, ResultCode::PermError, ResultCode::Policy}) {
        EXPECT_EQ(check(zone, with_spf("example.org", "example.org", code)).code, ResultCode::Fail)
            << name(code);
        EXPECT_EQ(check(zone, with_dkim("example.org", {"example.org"}, code)).code,
                  ResultCode::Fail)
            << name(code);
    }
}

// A name that only ends with the same letters is foreign: not even its DNS can make trouble.
TEST(DmarcEvaluation, AForeignDomainWithTheSameEndCostsNoWalk) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    zone.add_silence("_dmarc.notexample.org");
    std::vector<dns::Question> asked;
    const Finding finding = check(zone, with_dkim("example.org", {"notexample.org"}), &asked);
    EXPECT_EQ(finding.code, ResultCode::Fail);
    EXPECT_THAT(asked, ElementsAre(txt("example.org"), txt("org")));
}

TEST(DmarcEvaluation, StrictAlignmentWantsTheSameDomain) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=quarantine; adkim=s; aspf=r");
    EXPECT_EQ(check(zone, with_dkim("example.org", {"mail.example.org"})).code, ResultCode::Fail);
    EXPECT_EQ(check(zone, with_dkim("example.org", {"EXAMPLE.org"})).code, ResultCode::Pass);
    EXPECT_EQ(check(zone, with_spf("example.org", "mail.example.org")).code, ResultCode::Pass);
}

TEST(DmarcEvaluation, PsdNoDividesADomain) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=none");
    zone.add_txt("_dmarc.dept.example.org", "v=DMARC1; p=reject; psd=n");
    EXPECT_EQ(check(zone, with_spf("a.dept.example.org", "b.dept.example.org")).code,
              ResultCode::Pass);
    const Finding above = check(zone, with_spf("a.dept.example.org", "example.org"));
    EXPECT_EQ(above.code, ResultCode::Fail);
    EXPECT_EQ(above.policy_domain, "dept.example.org");
    EXPECT_EQ(check(zone, with_spf("example.org", "b.dept.example.org")).code, ResultCode::Fail);
}

TEST(DmarcEvaluation, WalksGoOnSideBySide) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    Evaluation evaluation(with_dkim("example.org", {"a.example.org", "b.example.org"}));
    evaluation.answer(txt("example.org"), zone.answer(txt("example.org")));
    evaluation.answer(txt("org"), zone.answer(txt("org")));
    EXPECT_THAT(std::vector(evaluation.next().begin(), evaluation.next().end()),
                ElementsAre(txt("a.example.org"), txt("b.example.org")));
    drive(evaluation, zone);
    EXPECT_EQ(evaluation.result().code, ResultCode::Pass);
}

TEST(DmarcEvaluation, WalksAreBounded) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    std::vector<std::string> domains;
    for (int i = 0; i < 1000; i++) {
        domains.push_back("d" + std::to_string(i) + ".example.org");
        zone.add_txt("_dmarc." + domains.back(), "v=DMARC1; p=none; psd=n");
    }
    std::vector<dns::Question> asked;
    EXPECT_EQ(check(zone, with_dkim("example.org", domains), &asked).code, ResultCode::Fail);
    EXPECT_EQ(asked.size(), 2 + kWalksMax);
}

// RFC 9989 §4.7, §4.10.1.
TEST(DmarcEvaluation, PolicyOfASubdomainDependsOnItsExistence) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=none; sp=quarantine; np=reject");
    zone.add("there.example.org", dns::A{{192, 0, 2, 1}});
    const Finding there = check(zone, input("there.example.org"));
    EXPECT_EQ(there.requested, Policy::Quarantine);
    EXPECT_EQ(there.policy_tag, "sp");
    EXPECT_EQ(there.place, Finding::Place::OrganizationalDomain);
    const Finding nowhere = check(zone, input("nowhere.example.org"));
    EXPECT_EQ(nowhere.requested, Policy::Reject);
    EXPECT_EQ(nowhere.policy_tag, "np");
    EXPECT_EQ(check(zone, input("example.org")).policy_tag, "p");
    // RFC 9989 §3.2.13: a name without addresses exists, as does one that only has names below it.
    zone.add_txt("text.example.org", "here");
    zone.add("deep.between.example.org", dns::A{{192, 0, 2, 1}});
    EXPECT_EQ(check(zone, input("text.example.org")).policy_tag, "sp");
    EXPECT_EQ(check(zone, input("between.example.org")).policy_tag, "sp");
    // Not known for now: taken as existing.
    zone.add_silence("silent.example.org");
    EXPECT_EQ(check(zone, input("silent.example.org")).policy_tag, "sp");
    TestZone plain;
    plain.add_txt("_dmarc.example.org", "v=DMARC1; p=quarantine");
    std::vector<dns::Question> asked;
    EXPECT_EQ(check(plain, input("nowhere.example.org"), &asked).requested, Policy::Quarantine);
    for (const dns::Question& question : asked) EXPECT_EQ(question.type, dns::Type::Txt);
    // Where np says what sp says, nobody asks which holds.
    TestZone same;
    same.add_txt("_dmarc.example.org", "v=DMARC1; p=none; sp=reject; np=reject");
    EXPECT_EQ(check(same, input("nowhere.example.org"), &asked).requested, Policy::Reject);
    for (const dns::Question& question : asked) EXPECT_EQ(question.type, dns::Type::Txt);
}

TEST(DmarcEvaluation, PolicyOfAPublicSuffixIsUsedWhereNobodyElseHasOne) {
    TestZone zone;
    zone.add_txt("_dmarc.bank.example", "v=DMARC1; p=reject; psd=y");
    const Finding finding = check(zone, input("mail.mega.bank.example"));
    EXPECT_EQ(finding.place, Finding::Place::PublicSuffixDomain);
    EXPECT_EQ(finding.policy_domain, "bank.example");
    EXPECT_EQ(finding.organizational_domain, "mega.bank.example");
    EXPECT_EQ(finding.requested, Policy::Reject);
    // Its sp and np are for those below it, as those of any record.
    TestZone with_sp;
    with_sp.add_txt("_dmarc.bank.example", "v=DMARC1; p=none; sp=quarantine; np=reject; psd=y");
    with_sp.add("mega.bank.example", dns::A{{192, 0, 2, 1}});
    EXPECT_EQ(check(with_sp, input("mega.bank.example")).requested, Policy::Quarantine);
    EXPECT_EQ(check(with_sp, input("giant.bank.example")).requested, Policy::Reject);
    // The suffix joins nobody.
    EXPECT_EQ(check(zone, with_spf("mega.bank.example", "giant.bank.example")).code,
              ResultCode::Fail);
    EXPECT_EQ(check(zone, with_spf("a.mega.bank.example", "mega.bank.example")).code,
              ResultCode::Pass);
}

TEST(DmarcEvaluation, TestModeIsOneStepMilder) {
    const struct {
        const char* record;
        Policy policy;
        Policy requested;
    } cases[] = {{"v=DMARC1; p=reject; t=y", Policy::Reject, Policy::Quarantine},
                 {"v=DMARC1; p=quarantine; t=y", Policy::Quarantine, Policy::None},
                 {"v=DMARC1; p=none; t=y", Policy::None, Policy::None},
                 {"v=DMARC1; p=reject; t=n", Policy::Reject, Policy::Reject}};
    for (const auto& [record, policy, requested] : cases) {
        TestZone zone;
        zone.add_txt("_dmarc.example.org", record);
        const Finding finding = check(zone, input("example.org"));
        EXPECT_EQ(finding.policy, policy) << record;
        EXPECT_EQ(finding.requested, requested) << record;
    }
}

TEST(DmarcEvaluation, UnusablePolicyEndsItUnlessReportsAreWanted) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=rejekt");
    const Finding finding = check(zone, input("example.org"));
    EXPECT_EQ(finding.code, ResultCode::PermError);
    EXPECT_EQ(finding.requested, Policy::None);
    EXPECT_EQ(finding.reason,
              "the DMARC record of example.org has no policy that can be used: p has the wrong "
              "value \"rejekt\"");
    TestZone reports;
    reports.add_txt("_dmarc.example.org", "v=DMARC1; p=rejekt; rua=mailto:a@example.org");
    EXPECT_EQ(check(reports, input("example.org")).code, ResultCode::Fail);
    EXPECT_EQ(check(reports, input("example.org")).requested, Policy::None);
}

TEST(DmarcEvaluation, TwoRecordsAreNone) {
    TestZone zone;
    zone.add_txt("_dmarc.mail.example.org", "v=DMARC1; p=reject");
    zone.add_txt("_dmarc.mail.example.org", "v=DMARC1; p=none; p=none");
    zone.add_txt("_dmarc.mail.example.org", "v=spf1 -all");
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=quarantine");
    EXPECT_EQ(check(zone, input("mail.example.org")).policy_domain, "example.org");
}

// RFC 9989 §5.3.6.
TEST(DmarcEvaluation, WhatIsNotKnownIsNoFailure) {
    TestZone zone;
    zone.add_silence("_dmarc.example.org");
    const Finding silent = check(zone, with_spf("example.org", "example.org"));
    EXPECT_EQ(silent.code, ResultCode::TempError);
    EXPECT_EQ(silent.requested, Policy::None);
    EXPECT_THAT(silent.reason, HasSubstr("\"TXT _dmarc.example.org\" could not be looked up"));

    TestZone known;
    known.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    const Finding spf = check(known, with_spf("example.org", "example.org", ResultCode::TempError));
    EXPECT_EQ(spf.code, ResultCode::TempError);
    EXPECT_THAT(spf.reason, HasSubstr("because"));
    EXPECT_EQ(check(known, with_dkim("example.org", {"example.org"}, ResultCode::TempError)).code,
              ResultCode::TempError);
    // What would not be aligned anyway decides nothing.
    EXPECT_EQ(check(known, with_spf("example.org", "other.net", ResultCode::TempError)).code,
              ResultCode::Fail);
    // A certain pass stands.
    Input both = with_dkim("example.org", {"example.org"});
    both.spf = SpfIdentifier{ResultCode::TempError, "example.org", {}};
    EXPECT_EQ(check(known, both).code, ResultCode::Pass);

    TestZone walk;
    walk.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    walk.add_silence("_dmarc.a.example.org");
    EXPECT_EQ(check(walk, with_dkim("example.org", {"a.example.org"})).code, ResultCode::TempError);
    EXPECT_EQ(check(walk, with_dkim("example.org", {"a.example.org", "example.org"})).code,
              ResultCode::Pass);
}

TEST(DmarcEvaluation, ExpiryIsATemporaryError) {
    Evaluation evaluation(input("example.org"));
    evaluation.expire("20 seconds are over");
    ASSERT_TRUE(evaluation.done());
    EXPECT_EQ(evaluation.result().code, ResultCode::TempError);
    EXPECT_EQ(evaluation.result().reason,
              "20 seconds are over: \"TXT _dmarc.example.org\" was not answered");
}

// A walk for another identifier of the same top-level domain is still open.
TEST(DmarcEvaluation, APassThatIsCertainStandsWhenTheTimeIsOver) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    for (const ResultCode dkim : {ResultCode::Pass, ResultCode::TempError}) {
        Input both = with_dkim("example.org", {"example.org"}, dkim);
        both.spf = SpfIdentifier{ResultCode::Pass, "other.org", {}};
        Evaluation evaluation(both);
        const dns::Question own = evaluation.next()[0];
        evaluation.answer(own, zone.answer(own));
        ASSERT_FALSE(evaluation.done());
        evaluation.expire("20 seconds are over");
        EXPECT_EQ(evaluation.result().code, dkim);
        EXPECT_EQ(evaluation.result().requested, Policy::None);
        EXPECT_EQ(evaluation.result().dkim_aligned, dkim == ResultCode::Pass);
        EXPECT_TRUE(evaluation.result().has_record());
    }
}

TEST(DmarcEvaluation, InternationalDomainsAreComparedAsALabels) {
    TestZone zone;
    zone.add_txt("_dmarc.xn--bcher-kva.example", "v=DMARC1; p=reject");
    const std::string u_label = "b\303\274cher.example";
    EXPECT_EQ(check(zone, with_spf(u_label, "XN--BCHER-KVA.example")).code, ResultCode::Pass);
    EXPECT_EQ(check(zone, with_dkim("xn--bcher-kva.example", {u_label})).code, ResultCode::Pass);
}

TEST(DmarcEvaluation, DomainTooLongForARecordHasNone) {
    std::string author;
    for (int i = 0; i < 4; i++) author += std::string(60, 'a') + ".";
    author += "example";
    EXPECT_EQ(check(TestZone(), input(author)).code, ResultCode::None);
}

TEST(DmarcEvaluation, StrictestFailureOfSeveralAuthorsCounts) {
    const auto finding = [](ResultCode code, Policy requested) {
        Finding out;
        out.code = code;
        out.requested = requested;
        return out;
    };
    const Finding pass = finding(ResultCode::Pass, Policy::None);
    const Finding none = finding(ResultCode::None, Policy::None);
    const Finding open = finding(ResultCode::TempError, Policy::None);
    const Finding mild = finding(ResultCode::Fail, Policy::None);
    const Finding hard = finding(ResultCode::Fail, Policy::Reject);
    const auto of = [](std::vector<Finding> all) {
        const Finding& one = strictest(all);
        return std::pair(one.code, one.requested);
    };
    EXPECT_EQ(of({pass, mild, hard, open}), std::pair(ResultCode::Fail, Policy::Reject));
    EXPECT_EQ(of({pass, open, none}), std::pair(ResultCode::TempError, Policy::None));
    EXPECT_EQ(of({pass, none}), std::pair(ResultCode::None, Policy::None));
    EXPECT_EQ(of({pass, pass}), std::pair(ResultCode::Pass, Policy::None));
}

TEST(DmarcEvaluation, FieldSaysResultDomainAndWhatIsDone) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org", "v=DMARC1; p=reject");
    const MethodResult result =
        method_result(check(zone, input("example.org")), Policy::Quarantine);
    EXPECT_EQ(authentication_results_field("mx.example.net", {&result, 1}),
              "Authentication-Results: mx.example.net;\r\n"
              "\tdmarc=fail (SPF does not pass, and no DKIM signature passes, so nothing\r\n"
              "\tproves example.org) header.from=example.org policy.dmarc=quarantine\r\n");
}

TEST(DmarcReportRow, SaysWhatWasPublishedFoundAndDone) {
    TestZone zone;
    zone.add_txt("_dmarc.example.org",
                 "v=DMARC1; p=reject; sp=quarantine; aspf=s; fo=1; ruf=mailto:a@example.org");
    Input in = with_dkim("news.example.org", {"other.net", "mail.example.org", "news.example.org"});
    in.dkim[2].result = ResultCode::Fail;
    in.spf = SpfIdentifier{ResultCode::Pass, "bounce.example.org", "why"};
    Evaluation evaluation(in);
    drive(evaluation, zone);
    const ReportRow row =
        report_row(evaluation.result(), evaluation.input(), "bounce.example.org", Policy::None, {});
    EXPECT_EQ(row.policy_domain, "example.org");
    EXPECT_EQ(row.policy, Policy::Reject);
    EXPECT_EQ(row.subdomain_policy, Policy::Quarantine);
    EXPECT_EQ(row.nonexistent_policy, Policy::Quarantine);
    EXPECT_EQ(row.failure_options, "1");
    EXPECT_EQ(row.spf_alignment, Alignment::Strict);
    EXPECT_EQ(row.header_from, "news.example.org");
    EXPECT_EQ(row.envelope_from, "bounce.example.org");
    EXPECT_TRUE(row.dkim_aligned);
    EXPECT_FALSE(row.spf_aligned);
    ASSERT_EQ(row.dkim.size(), 3U);
    EXPECT_EQ(row.dkim[0].domain, "mail.example.org");
    EXPECT_EQ(row.dkim[1].domain, "other.net");
    EXPECT_EQ(row.dkim[2].domain, "news.example.org");
    EXPECT_EQ(row.spf.size(), 1U);
    EXPECT_TRUE(row.overrides.empty());  // it passed
}

// RFC 9990 §3.1.1.9: a failure that was treated otherwise has a reason.
TEST(DmarcReportRow, OtherTreatmentHasAReason) {
    const auto row_of = [](const char* record, Policy applied, std::vector<Override> overrides) {
        TestZone zone;
        zone.add_txt("_dmarc.example.org", record);
        Evaluation evaluation(input("example.org"));
        drive(evaluation, zone);
        return report_row(evaluation.result(), evaluation.input(), "", applied, overrides)
            .overrides;
    };
    const Override test{Override::Type::PolicyTestMode, {}};
    const Override local{Override::Type::LocalPolicy, {}};
    const Override list{Override::Type::MailingList, "list-id"};
    EXPECT_THAT(row_of("v=DMARC1; p=reject", Policy::Reject, {}), ElementsAre());
    EXPECT_THAT(row_of("v=DMARC1; p=reject", Policy::Quarantine, {}), ElementsAre(local));
    EXPECT_THAT(row_of("v=DMARC1; p=reject; t=y", Policy::Quarantine, {}), ElementsAre(test));
    EXPECT_THAT(row_of("v=DMARC1; p=reject; t=y", Policy::None, {}), ElementsAre(local));
    EXPECT_THAT(row_of("v=DMARC1; p=reject", Policy::None, {list}), ElementsAre(list));
    EXPECT_EQ(name(Override::Type::TrustedForwarder), "trusted_forwarder");
}

}  // namespace
}  // namespace postrider::mailauth::dmarc
