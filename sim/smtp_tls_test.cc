// TLS on the way out: what a policy allows, what the dialogue says, and that nothing of a message
// goes out in plaintext where it must not.

#include "sim/smtp_scene.h"

namespace postrider::sim {
namespace {

using deliver::TlsLevel;

const Step kOffersTls{"250-mx\r\n250-PIPELINING\r\n250 STARTTLS\r\n", "STARTTLS\r\n"};
const Step kGoAhead{"220 go\r\n", ""};
const Step kShakes{kTls, "EHLO me.example\r\n"};
const Steps kUnderTls{kGreets, kOffersTls, kGoAhead, kShakes, kPipelines, kGo, kTakes, kBye};
const Steps kInPlaintext{kGreets, kPipelines, kGo, kTakes, kBye};
const Step kOffersTlsInVain{"250-mx\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n",
                            "DATA\r\n"};
const Steps kInPlaintextThoughOffered{kGreets, kOffersTlsInVain, kGo, kTakes, kBye};

struct TlsScene : Scene {
    explicit TlsScene(uint64_t seed = 1) : Scene(seed) {}

    // One job to the host under this policy.
    SmtpAttempt send_under(deliver::TlsPolicy policy) {
        policy.reason = "the test";
        SmtpAttempt attempt;
        client.boot([&, policy](World& world) -> Task<void> {
            SmtpHost host = to(kMx);
            host.security = {.policy = policy,
                             .name = "mx.example",
                             .tls = &world.tls,
                             .context = *world.tls.client_context({})};
            SmtpConnection connection(world.net, world.clock, host);
            attempt = co_await connection.send(job());
            co_await connection.close();
        });
        EXPECT_TRUE(sim.run_until([&] { return client.main_ended(); }, 100h));
        return attempt;
    }
    bool was_said(std::string_view words) const {
        return std::ranges::any_of(
            heard, [&](const std::string& one) { return one.find(words) != std::string::npos; });
    }
};

bool is_relayed(const SmtpAttempt& attempt) {
    return attempt.results.size() == 1 &&
           attempt.results[0].verdict == RecipientResult::Verdict::Relayed;
}

bool says(const SmtpAttempt& attempt, std::string_view words) {
    return attempt.dialogue.text().find(words) != std::string::npos;
}

TEST(SmtpTls, AMessageArrivesUnderTlsWhateverTheLevel) {
    for (TlsLevel level : {TlsLevel::Opportunistic, TlsLevel::Required, TlsLevel::Verified}) {
        for (uint64_t seed = 1; seed <= 10; seed++) {
            TlsScene scene(seed);
            scene.serve({kUnderTls});
            SmtpAttempt attempt = scene.send_under({.level = level, .names = {"x.example"}});
            ASSERT_TRUE(is_relayed(attempt)) << seed << attempt.dialogue.text();
            EXPECT_TRUE(scene.heard[0].find(kWire) != std::string::npos);
            EXPECT_TRUE(says(attempt, "TLS: TLSv1.3 TLS_SIM_TOY, certificate verified"))
                << attempt.dialogue.text();
            EXPECT_TRUE(says(attempt, "(the test)"));
        }
    }
}

TEST(SmtpTls, OpportunisticTlsThatFailsIsTriedOnceInPlaintext) {
    for (TlsOutcome outcome : {TlsOutcome::Refused, TlsOutcome::Hangs, TlsOutcome::BreaksOff}) {
        TlsScene scene;
        scene.mx.tls().outcome = [outcome] { return outcome; };
        scene.serve({kUnderTls, kInPlaintextThoughOffered});
        SmtpAttempt attempt = scene.send_under({.level = TlsLevel::Opportunistic});
        EXPECT_TRUE(is_relayed(attempt)) << attempt.dialogue.text();
        EXPECT_FALSE(attempt.fell_back.empty());
        EXPECT_TRUE(says(attempt, "the TLS handshake failed"));
        EXPECT_TRUE(says(attempt, "plaintext is tried"));
        EXPECT_TRUE(scene.heard[1].find(kWire) != std::string::npos);
    }
}

TEST(SmtpTls, OpportunisticTlsTakesAnyCertificateAndSaysWhatItIsWorth) {
    for (TlsOutcome outcome : {TlsOutcome::WrongCertificate, TlsOutcome::Expired}) {
        TlsScene scene;
        scene.mx.tls().outcome = [outcome] { return outcome; };
        scene.serve({kUnderTls});
        SmtpAttempt attempt = scene.send_under({.level = TlsLevel::Opportunistic});
        EXPECT_TRUE(is_relayed(attempt));
        EXPECT_TRUE(says(attempt, "certificate not verified: ")) << attempt.dialogue.text();
    }
}

TEST(SmtpTls, WhereTlsIsRequiredNothingOfTheMessageGoesOutWithout) {
    struct Case {
        TlsLevel level;
        TlsOutcome outcome;
        Steps steps;
        EnhancedStatus status;
    };
    const Steps stripped{kGreets, {"250-mx\r\n250 PIPELINING\r\n", "QUIT\r\n"}, kBye};
    const Steps refused{kGreets, kOffersTls, {"454 4.7.0 not now\r\n", "QUIT\r\n"}, kBye};
    const Case cases[] = {
        {TlsLevel::Required, TlsOutcome::Works, stripped, {4, 7, 4}},
        {TlsLevel::Verified, TlsOutcome::Works, stripped, {4, 7, 4}},
        {TlsLevel::Required, TlsOutcome::Works, refused, {4, 7, 4}},
        {TlsLevel::Required, TlsOutcome::Refused, kUnderTls, {4, 7, 5}},
        {TlsLevel::Required, TlsOutcome::Hangs, kUnderTls, {4, 7, 5}},
        {TlsLevel::Required, TlsOutcome::BreaksOff, kUnderTls, {4, 7, 5}},
        {TlsLevel::Verified, TlsOutcome::WrongCertificate, kUnderTls, {4, 7, 5}},
        {TlsLevel::Verified, TlsOutcome::Expired, kUnderTls, {4, 7, 5}},
    };
    for (const Case& c : cases) {
        TlsScene scene;
        scene.mx.tls().outcome = [&] { return c.outcome; };
        scene.serve({c.steps, kInPlaintext});
        SmtpAttempt attempt = scene.send_under({.level = c.level, .names = {"x.example"}});
        ASSERT_EQ(attempt.results.size(), 1u);
        EXPECT_EQ(attempt.results[0].verdict, RecipientResult::Verdict::Temporary);
        EXPECT_EQ(attempt.results[0].kind, FailureKind::Tls);
        EXPECT_EQ(attempt.results[0].status, c.status) << attempt.results[0].reason;
        EXPECT_TRUE(attempt.try_next_host);
        EXPECT_FALSE(scene.was_said("MAIL FROM")) << attempt.dialogue.text();
    }
}

// The host's certificate is for mx.example and x.example.
TEST(SmtpTls, UnderVerifiedTheNamesOfThePolicyCount) {
    for (const auto& [name, is_good] : {std::pair("x.example", true), {"other.example", false}}) {
        TlsScene scene;
        scene.serve({kUnderTls});
        SmtpAttempt attempt = scene.send_under({.level = TlsLevel::Verified, .names = {name}});
        EXPECT_EQ(is_relayed(attempt), is_good) << name << attempt.dialogue.text();
        EXPECT_EQ(scene.was_said("MAIL FROM"), is_good) << name;
    }
}

TEST(SmtpTls, WhereItIsOffAnOfferIsLeftAlone) {
    TlsScene scene;
    scene.serve({kInPlaintextThoughOffered});
    SmtpAttempt attempt = scene.send_under({.level = TlsLevel::Off});
    EXPECT_TRUE(is_relayed(attempt)) << attempt.dialogue.text();
    EXPECT_FALSE(scene.was_said("STARTTLS"));
}

TEST(SmtpTls, TlsThatComesFirstHasNoPlaintextAtAll) {
    TlsScene scene;
    scene.serve({{{kTls, ""}, kGreets, kPipelines, kGo, kTakes, kBye}});
    SmtpAttempt attempt = scene.send_under(
        {.level = TlsLevel::Verified, .comes_first = true, .names = {"mx.example"}});
    EXPECT_TRUE(is_relayed(attempt)) << attempt.dialogue.text();

    TlsScene plain;
    plain.serve({kInPlaintext, kInPlaintext});
    SmtpAttempt failed = plain.send_under(
        {.level = TlsLevel::Verified, .comes_first = true, .names = {"mx.example"}});
    ASSERT_EQ(failed.results.size(), 1u);
    EXPECT_EQ(failed.results[0].status, (EnhancedStatus{4, 7, 5}));
    EXPECT_FALSE(plain.was_said("MAIL FROM"));
}

}  // namespace
}  // namespace postrider::sim
