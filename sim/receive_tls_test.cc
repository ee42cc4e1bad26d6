// TLS in a receiving session: first of all, after STARTTLS, failing, and what is forgotten.

#include "sim/receive_scene.h"

namespace postrider::sim {
namespace {

using receive::SessionSettings;

struct TlsScene : ReceiveScene {
    explicit TlsScene(SessionSettings::Tls tls, bool required = false, uint64_t seed = 1)
        : ReceiveScene(
              seed,
              [&](smtp::ServerOptions& smtp) {
                  smtp.starttls = tls == SessionSettings::Tls::StartTls;
                  smtp.tls_required = required;
              },
              [&](SessionSettings& settings) {
                  settings.tls = tls;
                  settings.tls_context =
                      *mx.tls().server_context({.certificates = {
                                                    sim_certificate("mx.example"),
                                                }});
              }) {}

    std::string logged(Event event) {
        for (const LogLine& line : mx.log_lines()) {
            if (line.event == event) return line.text;
        }
        return {};
    }

    // Says `before`, waits for `until` in plaintext, shakes hands, says `after`, and reads to the
    // end. The handshake's error is in `heard` between < and >.
    std::string talk_tls(std::string before, std::string until, std::string after) {
        auto heard = std::make_shared<std::string>();
        auto done = std::make_shared<bool>(false);
        client.spawn(0, [=, this](world::World& world) -> Task<void> {
            Deadline deadline = Deadline::after(world.clock.now(), 1h);
            auto connected = co_await world.net.connect(endpoint, {}, deadline);
            std::shared_ptr<world::Stream> stream = std::move(*connected);
            std::array<std::string_view, 1> pieces{before};
            if (!before.empty()) (void)co_await stream->write(pieces, deadline);
            std::array<char, 4096> part;
            while (heard->find(until) == std::string::npos) {
                auto got = co_await stream->read(part, deadline);
                if (!got || *got == 0) break;
                heard->append(part.data(), *got);
            }
            auto context = *world.tls.client_context({});
            auto tls = co_await world.tls.connect(
                stream, context, {.name = "mx.example", .check = world::TlsPeer::Check::Name},
                deadline);
            *heard += "\n";
            if (!tls) {
                *heard += "<" + tls.error().message + ">";
            } else {
                pieces = {after};
                (void)co_await (*tls)->write(pieces, deadline);
                while (true) {
                    auto got = co_await (*tls)->read(part, deadline);
                    if (!got) *heard += "<" + got.error().message + ">";
                    if (!got || *got == 0) break;
                    heard->append(part.data(), *got);
                }
            }
            *done = true;
        });
        EXPECT_TRUE(sim.run_until([&] { return *done; }, 48h));
        sim.run_for(1s);
        return *heard;
    }
};

constexpr std::string_view kMessage =
    "EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nRCPT TO:<b@x.example>\r\nDATA\r\n";

TEST(ReceiveTls, AMessageComesInAfterStartTls) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        TlsScene scene(SessionSettings::Tls::StartTls, true, seed);
        std::string heard =
            scene.talk_tls("EHLO plain.example\r\nSTARTTLS\r\n", "ready for TLS\r\n",
                           std::string(kMessage) + "hello\r\n.\r\nQUIT\r\n");
        std::string secured = heard.substr(heard.find("\r\n\n") + 3);
        // DATA and content in one: the session says so only when they are read apart.
        EXPECT_EQ(secured.find("STARTTLS"), std::string::npos) << secured;
        EXPECT_TRUE(secured.find("221 ") != std::string::npos) << seed << "\n" << heard;
        ASSERT_EQ(scene.house.messages.size(), 1u) << seed;
        EXPECT_EQ(scene.house.messages[0], "hello\r\n");
        auto& said = scene.house.said;
        EXPECT_NE(std::ranges::find(said, "hello plain.example ESMTP"), said.end());
        EXPECT_NE(std::ranges::find(said, "hello c.example ESMTPS"), said.end());
    }
}

TEST(ReceiveTls, ImplicitTlsComesBeforeTheGreeting) {
    TlsScene scene(SessionSettings::Tls::Implicit);
    std::string heard = scene.talk_tls("", "", "EHLO c.example\r\nQUIT\r\n");
    EXPECT_EQ(codes(heard.substr(1)), "220 250 221");
    EXPECT_EQ(heard.find("STARTTLS"), std::string::npos);
}

TEST(ReceiveTls, WithoutTlsNothingIsTakenWhereItIsRequired) {
    TlsScene scene(SessionSettings::Tls::StartTls, true);
    EXPECT_EQ(codes(scene.talk("EHLO c.example\r\nMAIL FROM:<a@c.example>\r\nQUIT\r\n")),
              "220 250 530 221");
    EXPECT_TRUE(scene.house.messages.empty());
}

TEST(ReceiveTls, CommandsBehindStartTlsAreThrownAway) {
    TlsScene scene(SessionSettings::Tls::StartTls);
    std::string heard = scene.talk("EHLO c.example\r\nSTARTTLS\r\nMAIL FROM:<evil@c.example>\r\n");
    EXPECT_EQ(codes(heard), "220 250 421");
    for (const std::string& word : scene.house.said) EXPECT_NE(word, "MAIL");
}

TEST(ReceiveTls, WhatIsNoHandshakeEndsTheSession) {
    TlsScene scene(SessionSettings::Tls::StartTls);
    auto dialogue = scene.begin("EHLO c.example\r\nSTARTTLS\r\n");
    ASSERT_TRUE(scene.hear(*dialogue, "ready for TLS"));
    scene.say(*dialogue, "MAIL FROM:<evil@c.example>\r\n");
    ASSERT_TRUE(scene.sim.run_until([&] { return dialogue->closed; }, 1h));
    scene.sim.run_for(1s);
    for (const std::string& word : scene.house.said) EXPECT_NE(word, "MAIL");
    EXPECT_NE(scene.logged(Event::TlsFailed).find("wrong version"), std::string::npos);
    EXPECT_EQ(scene.house.visits, 0);
}

TEST(ReceiveTls, AHandshakeThatHangsEndsAtItsDeadline) {
    TlsScene scene(SessionSettings::Tls::StartTls);
    auto dialogue = scene.begin("EHLO c.example\r\nSTARTTLS\r\n");
    ASSERT_TRUE(scene.sim.run_until([&] { return dialogue->closed; }, 5min));
    EXPECT_NE(scene.logged(Event::TlsFailed).find("in time"), std::string::npos);
}

TEST(ReceiveTls, AFailedHandshakeIsLoggedWithWhatTheClientOffered) {
    TlsScene scene(SessionSettings::Tls::Implicit);
    scene.mx.tls().outcome = [] { return TlsOutcome::Refused; };
    EXPECT_NE(scene.talk_tls("", "", "").find("<alert internal error>"), std::string::npos);
    EXPECT_NE(scene.logged(Event::TlsFailed).find("name mx.example"), std::string::npos);
}

}  // namespace
}  // namespace postrider::sim
