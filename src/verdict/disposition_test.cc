// verdict/disposition_test.cc: which action follows from what was found, as a table.

#include "verdict/disposition.h"

#include <gtest/gtest.h>

namespace postrider::verdict {
namespace {

using mailauth::ResultCode;
using mailauth::dmarc::Override;
using mailauth::dmarc::Policy;

const world::IpAddress kClient = *world::IpAddress::parse("198.51.100.7");

Evidence failing(Policy requested, ResultCode spf = ResultCode::SoftFail, bool is_signed = false) {
    Evidence evidence;
    evidence.helo.code = spf;
    evidence.helo.domain = "client.example";
    evidence.dmarc.code = ResultCode::Fail;
    evidence.dmarc.author_domain = "bank.example";
    evidence.dmarc.policy = evidence.dmarc.requested = requested;
    evidence.dmarc.place = mailauth::dmarc::Finding::Place::AuthorDomain;
    if (is_signed) {
        evidence.dkim.signatures.emplace_back();
        evidence.dkim.signatures.back().code = ResultCode::Fail;
        evidence.dkim.signatures.back().domain = "list.example";
    }
    return evidence;
}

TEST(Disposition, DmarcDoesAtMostWhatIsAllowed) {
    struct Case {
        Policy requested;
        Action most, want;
    };
    constexpr Case kCases[] = {
        {Policy::None, Action::Reject, Action::Accept},
        {Policy::Quarantine, Action::Accept, Action::Accept},
        {Policy::Quarantine, Action::Quarantine, Action::Quarantine},
        {Policy::Quarantine, Action::Reject, Action::Quarantine},
        {Policy::Reject, Action::Accept, Action::Accept},
        {Policy::Reject, Action::Quarantine, Action::Quarantine},
        {Policy::Reject, Action::Reject, Action::Reject},
    };
    for (const Case& one : kCases) {
        Rules rules;
        rules.dmarc = one.most;
        Disposition got = decide(failing(one.requested), kClient, rules, std::nullopt);
        EXPECT_EQ(got.action, one.want) << name(one.requested) << " " << name(one.most);
        EXPECT_EQ(static_cast<int>(got.applied), static_cast<int>(one.want));
        EXPECT_EQ(got.reason.empty(), one.requested == Policy::None);
    }
}

TEST(Disposition, ByDefaultARejectPolicyOnlyQuarantines) {
    Disposition got = decide(failing(Policy::Reject), kClient, {}, std::nullopt);
    EXPECT_EQ(got.action, Action::Quarantine);
    EXPECT_EQ(got.reason, "DMARC fails for bank.example, whose policy is reject");
    ASSERT_EQ(got.overrides.size(), 1u);
    EXPECT_EQ(got.overrides[0].type, Override::Type::LocalPolicy);
}

TEST(Disposition, TheRecipientsDomainComesBeforeTheRules) {
    EXPECT_EQ(decide(failing(Policy::Reject), kClient, {}, Action::Reject).action, Action::Reject);
    EXPECT_EQ(decide(failing(Policy::Reject), kClient, {}, Action::Accept).action, Action::Accept);
}

TEST(Disposition, ListedAuthorsAndClientsAreRefused) {
    struct Case {
        const char* domain;
        const char* network;
        Action want;
    };
    constexpr Case kCases[] = {
        {"bank.example", "192.0.2.0/24", Action::Reject},
        {"example", "192.0.2.0/24", Action::Reject},
        {"nk.example", "192.0.2.0/24", Action::Quarantine},
        {"www.bank.example", "192.0.2.0/24", Action::Quarantine},
        {"other.example", "198.51.100.0/24", Action::Reject},
    };
    for (const Case& one : kCases) {
        Rules rules;
        rules.reject_domains = {one.domain};
        rules.reject_networks = {*world::IpNetwork::parse(one.network)};
        EXPECT_EQ(decide(failing(Policy::Reject), kClient, rules, std::nullopt).action, one.want)
            << one.domain;
        // What the domain does not ask for is not done.
        EXPECT_EQ(decide(failing(Policy::Quarantine), kClient, rules, std::nullopt).action,
                  Action::Quarantine);
    }
}

TEST(Disposition, ATrustedClientOrSignerIsAccepted) {
    Rules client;
    client.dmarc = client.spf_fail_unsigned = Action::Reject;
    client.trusted_networks = {*world::IpNetwork::parse("198.51.100.7/32")};
    Disposition got = decide(failing(Policy::Reject, ResultCode::Fail), kClient, client, {});
    EXPECT_EQ(got.action, Action::Accept);
    ASSERT_EQ(got.overrides.size(), 1u);
    EXPECT_EQ(got.overrides[0].type, Override::Type::TrustedForwarder);

    Rules signer;
    signer.trusted_signers = {"list.example"};
    Evidence broken = failing(Policy::Reject, ResultCode::None, /*is_signed=*/true);
    EXPECT_EQ(decide(broken, kClient, signer, {}).action, Action::Quarantine);
    broken.dkim.signatures[0].code = ResultCode::Pass;
    EXPECT_EQ(decide(broken, kClient, signer, {}).action, Action::Accept);
}

TEST(Disposition, SpfFailCountsOnlyWithoutAnySignature) {
    Rules rules;
    rules.spf_fail_unsigned = Action::Reject;
    auto action = [&](ResultCode spf, bool is_signed) {
        return decide(failing(Policy::None, spf, is_signed), kClient, rules, {}).action;
    };
    EXPECT_EQ(action(ResultCode::Fail, false), Action::Reject);
    EXPECT_EQ(action(ResultCode::Fail, true), Action::Accept);
    EXPECT_EQ(action(ResultCode::SoftFail, false), Action::Accept);
    EXPECT_EQ(action(ResultCode::TempError, false), Action::Accept);
    // It never makes milder what DMARC has decided.
    Rules milder;
    milder.spf_fail_unsigned = Action::Quarantine;
    EXPECT_EQ(
        decide(failing(Policy::Reject, ResultCode::Fail), kClient, milder, Action::Reject).action,
        Action::Reject);
    // Not because of DMARC, so its report does not say so.
    EXPECT_EQ(decide(failing(Policy::None, ResultCode::Fail), kClient, rules, {}).applied,
              Policy::None);
}

}  // namespace
}  // namespace postrider::verdict
