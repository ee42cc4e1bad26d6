// sim/hostile_test.cc: clients that are slow, rude or greedy on purpose, over the simulated net
// (RFC 5321 §7.8).

#include "sim/receive_scene.h"

namespace postrider::sim {
namespace {

const std::string kHello = "EHLO c.example\r\n";
const std::string kStart = kHello + "MAIL FROM:<a@c.example>\r\nRCPT TO:<b@x.example>\r\n";

// Says the begin of something, then an octet every ten seconds; how long until it was let go.
Duration patience_with(const std::string& begin, std::string_view trickle,
                       std::function<void(receive::SessionSettings&)> settings) {
    auto chunking = [](smtp::ServerOptions& options) { options.chunking = true; };
    ReceiveScene scene(1, chunking, std::move(settings));
    auto dialogue = scene.begin(begin);
    scene.sim.run_for(1s);
    for (int tens = 1; tens <= 1000; tens++) {
        scene.say(*dialogue, std::string(trickle));
        scene.sim.run_for(10s);
        if (!dialogue->closed) continue;
        EXPECT_NE(dialogue->heard.find("421 4.4.2"), std::string::npos) << dialogue->heard;
        EXPECT_EQ(scene.house.sinks, 0);
        return tens * Duration(10s);
    }
    return 0s;
}

TEST(Hostile, OctetsThatTrickleInDoNotMoveTheDeadlineOfACommand) {
    auto times = [](receive::SessionSettings& settings) { settings.command_time = 5min; };
    for (const std::string& begin : {std::string(), kHello, kStart}) {
        Duration took = patience_with(begin, "N", times);
        EXPECT_GE(took, 5min) << begin;
        EXPECT_LE(took, 5min + 20s) << begin;
    }
}

TEST(Hostile, ContentThatComesTooSlowlyIsCut) {
    auto times = [](receive::SessionSettings& settings) {
        settings.data_time = 3min;
        settings.data_rate_min = 100;
    };
    // An octet every ten seconds, as header and as text; by BDAT too.
    for (const char* content : {"DATA\r\n", "DATA\r\nSubject: one\r\n\r\n", "BDAT 100000\r\nx"}) {
        Duration took = patience_with(kStart + content, "x", times);
        EXPECT_GE(took, 3min) << content;
        EXPECT_LE(took, 3min + 20s) << content;
    }
    // What is slow but fast enough goes on.
    ReceiveScene scene(1, {}, times);
    auto dialogue = scene.begin(kStart + "DATA\r\n");
    ASSERT_TRUE(scene.hear(*dialogue, "354 "));
    std::string line(98, 'x');
    for (int second = 0; second < 1000; second++) {
        scene.say(*dialogue, line + "\r\n");
        scene.sim.run_for(1s);
    }
    scene.say(*dialogue, ".\r\nQUIT\r\n");
    EXPECT_TRUE(scene.hear(*dialogue, "221 "));
    EXPECT_EQ(scene.house.messages.size(), 1u);
}

TEST(Hostile, WhoSpeaksBeforeTheGreetingIsRefusedWhereThatIsAskedFor) {
    auto watched = [](receive::SessionSettings& settings) { settings.greeting_pause = 5s; };
    ReceiveScene scene(1, {}, watched);
    EXPECT_EQ(codes(scene.talk(kStart + "QUIT\r\n")), "554");
    EXPECT_TRUE(scene.house.said.empty());
    // Who waits is greeted late.
    auto dialogue = scene.begin("");
    scene.sim.run_for(4s);
    EXPECT_EQ(dialogue->heard, "");
    EXPECT_TRUE(scene.hear(*dialogue, "220 ", 2s));
    scene.say(*dialogue, "QUIT\r\n");
    EXPECT_TRUE(scene.hear(*dialogue, "221 "));
    // Listed networks are not watched.
    ReceiveScene listed(1, {}, [](receive::SessionSettings& settings) {
        settings.greeting_pause = 5s;
        settings.unlimited_networks = {*world::IpNetwork::parse("192.0.2.0/30")};
    });
    EXPECT_EQ(codes(listed.talk(kHello + "QUIT\r\n")), "220 250 221");
}

TEST(Hostile, TlsWhereNoneIsSpokenEndsTheSession) {
    ReceiveScene scene;
    std::string hello("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11);
    EXPECT_EQ(codes(scene.talk(hello + std::string(500, '\x7f'))), "220 421");
}

TEST(Hostile, HttpEndsTheSession) {
    ReceiveScene scene;
    EXPECT_EQ(codes(scene.talk("POST / HTTP/1.1\r\nHost: mx\r\n\r\n" + kStart)), "220 500 421");
    EXPECT_TRUE(scene.house.messages.empty());
}

TEST(Hostile, CommandsWithoutEndCostNoMemory) {
    ReceiveScene scene;
    std::string wire = kHello;
    for (int i = 0; i < 5; i++) wire += "NOOP " + std::string(200'000, 'x') + "\r\n";
    EXPECT_EQ(codes(scene.talk(wire + "QUIT\r\n")), "220 250 500 500 500 500 500 221");
}

TEST(Hostile, TwentyThousandHeaderFieldsAreRefused) {
    ReceiveScene scene;
    std::string wire = kStart + "DATA\r\n";
    for (int i = 0; i < 20'000; i++) wire += "X-" + std::to_string(i) + ": y\r\n";
    EXPECT_EQ(codes(scene.talk(wire + "\r\n.\r\nQUIT\r\n")), "220 250 250 250 354 554 221");
    EXPECT_TRUE(scene.house.messages.empty());
}

TEST(Hostile, AHarvestIsSlowedCutAndRemembered) {
    ReceiveScene scene(1, {}, [](receive::SessionSettings& settings) {
        settings.history.unknown_recipients = 6;
        settings.history.remembered = 10min;
    });
    std::string wire = kHello + "MAIL FROM:<a@c.example>\r\n";
    for (int i = 0; i < 10; i++) {
        std::string name = "u" + std::to_string(i) + "@x.example";
        scene.house.refusals.insert_or_assign(
            "RCPT " + name, smtp::Reply{550, EnhancedStatus{5, 1, 1}, "No such mailbox here"});
        wire += "RCPT TO:<" + name + ">\r\n";
    }
    auto began = scene.sim.now();
    EXPECT_EQ(codes(scene.talk(wire)), "220 250 250 550 550 550 550 550 550 421");
    EXPECT_GE(scene.sim.now() - began, 6s);  // 1 + 2 + 3
    EXPECT_NE(scene.talk(kHello).find("421 4.7.0 You asked for too many"), std::string::npos);
    EXPECT_EQ(codes(scene.talk("QUIT\r\n", "192.0.2.3")), "220 221");
    scene.sim.run_for(10min);
    EXPECT_EQ(codes(scene.talk("QUIT\r\n")), "220 221");
}

TEST(Hostile, WhoConnectsTooOftenIsTurnedAway) {
    ReceiveScene scene(1, {}, [](receive::SessionSettings& settings) {
        settings.history.connects_per_address = 2;
        settings.history.connects_per_network = 3;
    });
    EXPECT_EQ(codes(scene.talk("QUIT\r\n")), "220 221");
    EXPECT_EQ(codes(scene.talk("QUIT\r\n")), "220 221");
    EXPECT_NE(scene.talk("").find("421 4.7.0 Your address connects too often"), std::string::npos);
    EXPECT_EQ(codes(scene.talk("QUIT\r\n", "192.0.2.3")), "220 221");
    EXPECT_NE(scene.talk("", "192.0.2.3").find("421 4.7.0 Your network connects too often"),
              std::string::npos);
    scene.sim.run_for(1min);
    EXPECT_EQ(codes(scene.talk("QUIT\r\n")), "220 221");
    EXPECT_EQ(scene.server->session_count(), 0u);
}

}  // namespace
}  // namespace postrider::sim
