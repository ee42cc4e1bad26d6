// sim/smtp_login_test.cc: how we log in at a next host: what is said, what is kept from a host that
// may not hear it, and that mail waits where no login comes about.
//
// The host's lines are written by hand; those of SCRAM are computed by Python (hashlib, hmac) from
// the password "pencil", the salt "0123456789abcdef" and the nonce that KnownRandom gives.

#include <cstdlib>

#include "sim/smtp_scene.h"

namespace postrider::sim {
namespace {

using deliver::TlsLevel;
using Verdict = RecipientResult::Verdict;

const std::string kPlain = "AUTH PLAIN AGFubgBwZW5jaWw=\r\n";
const std::string kScramBegins =
    "AUTH SCRAM-SHA-256 biwsbj1hbm4scj1BQUVDQXdRRkJnY0lDUW9MREEwT0R4QVI=\r\n";
const std::string kScramAsks =
    "334 "
    "cj1BQUVDQXdRRkJnY0lDUW9MREEwT0R4QVJTcnYscz1NREV5TXpRMU5qYzRPV0ZpWTJSbFpnPT0saT00MDk2\r\n";
const std::string kScramAnswers =
    "Yz1iaXdzLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFSU3J2LHA9S0dhY2xTeVZPaDE0SDFkZXgrWVhTbUlBOFQx"
    "UGdEaEFIUVNKNklxZUVoND0=\r\n";
const std::string kScramProves =
    "334 dj03UmhuTklpMmZZWVFTVDRES1poSW5RZmc0QjlFN01rRHgzaWJCYzV0NzNNPQ==\r\n";
const std::string kScramLies =
    "334 dj03QmhuTklpMmZZWVFTVDRES1poSW5RZmc0QjlFN01rRHgzaWJCYzV0NzNNPQ==\r\n";

Step offers(std::string_view mechanisms, std::string until) {
    return {
        "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 AUTH " + std::string(mechanisms) + "\r\n",
        std::move(until)};
}
const Step kWelcome{"235 2.7.0 welcome\r\n", "DATA\r\n"};

// So that the client's nonce is known. A login that begins over and over would never end.
class KnownRandom : public world::Random {
public:
    void fill(std::span<std::byte> octets) override {
        if (++times > 100) std::abort();
        for (std::size_t i = 0; i < octets.size(); i++) octets[i] = static_cast<std::byte>(i);
    }
    int times = 0;
};

struct SmtpLoginScene : Scene {
    // `jobs` messages over one connection, as ann; what became of the last one.
    SmtpAttempt send_as_ann(TlsLevel level, int jobs = 1, const std::string& user = "ann") {
        SmtpAttempt attempt;
        client.boot([&, level, jobs, user](World& world) -> Task<void> {
            SmtpHost host = to(kMx);
            host.security = {.policy = {.level = level, .names = {"mx.example"}},
                             .name = "mx.example",
                             .tls = &world.tls,
                             .context = *world.tls.client_context({})};
            host.login = {
                .user = user, .password = "pencil", .random = &random, .worker = &world.worker};
            SmtpConnection connection(world.net, world.clock, host);
            for (int i = 0; i < jobs; i++) attempt = co_await connection.send(job());
            co_await connection.close();
        });
        EXPECT_TRUE(sim.run_until([&] { return client.main_ended(); }, 100h));
        return attempt;
    }
    bool was_said(std::string_view words) const {
        return std::ranges::any_of(
            heard, [&](const std::string& one) { return one.find(words) != std::string::npos; });
    }
    KnownRandom random;
};

Steps under_tls(Steps rest) {
    Steps out{kGreets,
              {"250-mx\r\n250-AUTH PLAIN\r\n250 STARTTLS\r\n", "STARTTLS\r\n"},
              {"220 go\r\n", ""},
              {kTls, "EHLO me.example\r\n"}};
    out.insert(out.end(), rest.begin(), rest.end());
    return out;
}

void expect_relayed(const SmtpAttempt& attempt) {
    ASSERT_EQ(attempt.results.size(), 1u);
    EXPECT_EQ(attempt.results[0].verdict, Verdict::Relayed) << attempt.dialogue.text();
}

// The mail waits, for the password is the operator's to mend; nothing of it was said.
void expect_waits(const SmtpLoginScene& scene, const SmtpAttempt& attempt,
                  const std::string& reason) {
    ASSERT_EQ(attempt.results.size(), 1u);
    EXPECT_EQ(attempt.results[0].verdict, Verdict::Temporary) << attempt.dialogue.text();
    EXPECT_EQ(attempt.results[0].status, (EnhancedStatus{4, 7, 8}));
    EXPECT_EQ(attempt.results[0].reason, reason);
    EXPECT_FALSE(scene.was_said("MAIL FROM")) << attempt.dialogue.text();
}

TEST(SmtpLogin, UnderTlsAPasswordIsSaidAndNeverShown) {
    SmtpLoginScene scene;
    scene.serve({under_tls({offers("PLAIN LOGIN", kPlain), kWelcome, kGo, kTakes, kBye})});
    SmtpAttempt attempt = scene.send_as_ann(TlsLevel::Verified);
    expect_relayed(attempt);
    EXPECT_TRUE(scene.was_said(kWire));
    EXPECT_TRUE(attempt.dialogue.text().contains("AUTH PLAIN (hidden)"));
    EXPECT_FALSE(attempt.dialogue.text().contains("AGFub"));
}

TEST(SmtpLogin, AHostThatAsksForNameAndPasswordApartIsAnswered) {
    SmtpLoginScene scene;
    scene.serve({under_tls({offers("LOGIN", "AUTH LOGIN\r\n"),
                            {"334 VXNlcm5hbWU6\r\n", "YW5u\r\n"},
                            {"334 UGFzc3dvcmQ6\r\n", "cGVuY2ls\r\n"},
                            kWelcome,
                            kGo,
                            kTakes,
                            kBye})});
    expect_relayed(scene.send_as_ann(TlsLevel::Verified));
}

TEST(SmtpLogin, WithoutTlsNoPasswordIsSaid) {
    SmtpLoginScene scene;
    scene.serve({{kGreets, offers("PLAIN LOGIN", "QUIT\r\n"), kBye}});
    expect_waits(scene, scene.send_as_ann(TlsLevel::Off),
                 "the next host offers no mechanism that hides the password, and no TLS");
    EXPECT_FALSE(scene.was_said("AUTH"));
}

TEST(SmtpLogin, AHostThatCannotLetUsInIsNamedAsThat) {
    SmtpLoginScene none;
    none.serve({{kGreets, {"250-mx\r\n250 PIPELINING\r\n", "QUIT\r\n"}, kBye}});
    expect_waits(none, none.send_as_ann(TlsLevel::Off), "the next host offers no login");

    SmtpLoginScene unknown;
    unknown.serve({under_tls({offers("XOAUTH2 NTLM", "QUIT\r\n"), kBye})});
    expect_waits(unknown, unknown.send_as_ann(TlsLevel::Verified),
                 "the next host offers no mechanism that we know");

    SmtpLoginScene strange;
    strange.serve({under_tls({offers("PLAIN", "QUIT\r\n"), kBye})});
    expect_waits(strange, strange.send_as_ann(TlsLevel::Verified, 1, "an\x07n"),
                 "the user name or the password is not valid text");
}

TEST(SmtpLogin, ARefusedLoginMakesTheMailWait) {
    SmtpLoginScene scene;
    scene.serve({under_tls({offers("PLAIN", kPlain), {"535 5.7.8 who?\r\n", "QUIT\r\n"}, kBye})});
    expect_waits(scene, scene.send_as_ann(TlsLevel::Verified),
                 "the next host refused our login: 535 5.7.8 who?");
}

TEST(SmtpLogin, WithoutTlsAHostIsShownOnlyTheProof) {
    SmtpLoginScene scene;
    scene.serve({{kGreets,
                  offers("PLAIN SCRAM-SHA-256", kScramBegins),
                  {kScramAsks, kScramAnswers},
                  {kScramProves, "\r\n"},
                  kWelcome,
                  kGo,
                  kTakes,
                  kBye}});
    SmtpAttempt attempt = scene.send_as_ann(TlsLevel::Off);
    expect_relayed(attempt);
    EXPECT_FALSE(attempt.dialogue.text().contains("biws"));
    EXPECT_FALSE(attempt.dialogue.text().contains("Yz1i"));
}

TEST(SmtpLogin, AHostThatDoesNotKnowThePasswordGetsNoMail) {
    SmtpLoginScene liar;
    liar.serve({{kGreets,
                 offers("SCRAM-SHA-256", kScramBegins),
                 {kScramAsks, kScramAnswers},
                 {kScramLies, "QUIT\r\n"},
                 kBye}});
    expect_waits(liar, liar.send_as_ann(TlsLevel::Off),
                 "the server does not know the password: it is not the one it claims to be");

    for (bool at_once : {true, false}) {
        SmtpLoginScene hurry;
        Steps steps{kGreets, offers("SCRAM-SHA-256", kScramBegins)};
        if (!at_once) steps.push_back({kScramAsks, kScramAnswers});
        steps.push_back({"235 2.7.0 welcome\r\n", "QUIT\r\n"});
        steps.push_back(kBye);
        hurry.serve({steps});
        expect_waits(hurry, hurry.send_as_ann(TlsLevel::Off),
                     "the next host took our word and did not prove that it knows us");
    }
}

// RFC 5802 §6, RFC 9266: "p=tls-exporter" where both can, and where the host seems not to be able,
// "y", by which it can tell that somebody between us took its offer away.
TEST(SmtpLogin, UnderTlsTheLoginIsBoundToTheConnection) {
    struct Case {
        const char* offered;
        std::string begins;
    };
    for (const Case& c :
         {Case{"SCRAM-SHA-256 SCRAM-SHA-256-PLUS",
               "AUTH SCRAM-SHA-256-PLUS "
               "cD10bHMtZXhwb3J0ZXIsLG49YW5uLHI9QUFFQ0F3UUZCZ2NJQ1FvTERBME9EeEFS\r\n"},
          Case{"SCRAM-SHA-256",
               "AUTH SCRAM-SHA-256 eSwsbj1hbm4scj1BQUVDQXdRRkJnY0lDUW9MREEwT0R4QVI=\r\n"}}) {
        SmtpLoginScene scene;
        scene.serve(
            {under_tls({offers(c.offered, c.begins), {"535 5.7.8 who?\r\n", "QUIT\r\n"}, kBye})});
        scene.send_as_ann(TlsLevel::Verified);
        EXPECT_TRUE(scene.was_said(c.begins)) << scene.heard[0];
    }
}

TEST(SmtpLogin, OneLoginIsEnoughForAConnection) {
    SmtpLoginScene scene;
    scene.serve(
        {under_tls({offers("PLAIN", kPlain), kWelcome, kGo, kTakesAndGoesOn, kGo, kTakes, kBye})});
    expect_relayed(scene.send_as_ann(TlsLevel::Verified, 2));
    EXPECT_EQ(scene.peers.size(), 1u);
    EXPECT_EQ(scene.heard[0].find("AUTH"), scene.heard[0].rfind("AUTH"));
}

}  // namespace
}  // namespace postrider::sim
