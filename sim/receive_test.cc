// sim/receive_test.cc: sessions and the server that holds them, over the simulated net: deadlines,
// refusals, vanishing clients, draining, limits.

#include "sim/receive_scene.h"

namespace postrider::sim {
namespace {

using smtp::Reply;

const std::string kHello = "EHLO c.example\r\n";
const std::string kStart = kHello + "MAIL FROM:<a@c.example>\r\nRCPT TO:<b@x.example>\r\n";
const std::string kMessage = "Subject: one\r\n\r\nline\r\n..dot\r\n.\r\n";
const std::string kStored = "Subject: one\r\n\r\nline\r\n.dot\r\n";

TEST(ReceiveSession, AMessageFlowsIntoTheHouseAndIsAnswered) {
    ReceiveScene scene;
    EXPECT_EQ(codes(scene.talk(kStart + "DATA\r\n" + kMessage + "QUIT\r\n")),
              "220 250 250 250 354 250 221");
    ASSERT_EQ(scene.house.messages, std::vector{kStored});
    EXPECT_EQ(scene.house.facts.front().octets, kStored.size());
    EXPECT_EQ(scene.house.facts.front().header_octets, 16u);
    EXPECT_FALSE(scene.house.facts.front().has_8bit);
    EXPECT_EQ(scene.house.said, (std::vector<std::string>{"greet", "hello c.example ESMTP", "MAIL",
                                                          "RCPT b@x.example", "DATA", "finish"}));
    EXPECT_EQ(scene.house.visits, 0);
}

TEST(ReceiveSession, SegmentsOfOneOctetGiveTheSame) {
    std::string wire = kStart + "DATA\r\n" + kMessage + "RSET\r\nBAD\r\n" + kStart.substr(16) +
                       "DATA\r\nReceived: x\r\n\r\n8bit: \xC3\xA4\r\n.\r\nQUIT\r\n";
    ReceiveScene whole(1);
    whole.sim.net().faults.full_segments_per_1000 = 1000;
    std::string expected = whole.talk(wire);
    for (uint64_t seed = 1; seed <= 5; seed++) {
        ReceiveScene cut(seed);
        cut.sim.net().faults.segment_max = 1;
        EXPECT_EQ(cut.talk(wire), expected);
        EXPECT_EQ(cut.house.messages, whole.house.messages);
        EXPECT_EQ(cut.house.said, whole.house.said);
    }
    EXPECT_EQ(whole.house.messages.size(), 2u);
    EXPECT_TRUE(whole.house.facts.back().has_8bit);
}

TEST(ReceiveSession, MessagesMayFollowEachOtherWithoutAPause) {
    ReceiveScene scene;
    std::string wire = kHello;
    std::string expected = "220 250";
    for (int i = 0; i < 20; i++) {
        wire += kStart.substr(kHello.size()) + "DATA\r\n" + kMessage;
        expected += " 250 250 354 250";
    }
    EXPECT_EQ(codes(scene.talk(wire + "QUIT\r\n")), expected + " 221");
    EXPECT_EQ(scene.house.messages, std::vector<std::string>(20, kStored));
}

TEST(ReceiveSession, EachDeadlineIsToldByItsName) {
    auto times = [](receive::SessionSettings& settings) {
        settings.command_time = 5min;
        settings.data_time = 3min;
        settings.session_time_max = 1h;
    };
    struct Case {
        std::string wire, last;
        Duration after;
    };
    const Case cases[] = {
        {"", "421 4.4.2", 5min},
        {kHello, "421 4.4.2", 5min},
        {kStart, "421 4.4.2", 5min},
        {kStart + "DATA\r\nSubject: ha", "421 4.4.2", 3min},
        {kStart + "DATA\r\n" + kMessage, "421 4.4.2", 5min},
    };
    for (const Case& one : cases) {
        ReceiveScene scene(1, {}, times);
        auto dialogue = scene.begin(one.wire);
        scene.sim.run_for(one.after - 1s);
        EXPECT_FALSE(dialogue->closed) << one.wire;
        scene.sim.run_for(3s);
        EXPECT_TRUE(dialogue->closed) << one.wire;
        EXPECT_NE(dialogue->heard.rfind(one.last), std::string::npos) << dialogue->heard;
        EXPECT_EQ(scene.house.sinks, 0);
        EXPECT_EQ(scene.house.visits, 0);
    }
}

TEST(ReceiveSession, ASessionThatNeverEndsIsEnded) {
    ReceiveScene scene(
        1, [](auto& smtp) { smtp.idle_commands_max = 1000; },
        [](auto& settings) { settings.session_time_max = 30min; });
    auto dialogue = scene.begin(kHello);
    for (int minute = 0; minute < 29; minute++) {
        scene.sim.run_for(1min);
        scene.say(*dialogue, "NOOP\r\n");
    }
    scene.sim.run_for(30s);
    EXPECT_FALSE(dialogue->closed);
    scene.sim.run_for(1min);
    EXPECT_TRUE(dialogue->closed);
    EXPECT_NE(dialogue->heard.find("421 4.4.2"), std::string::npos);
}

TEST(ReceiveSession, AClientThatDoesNotReadIsLetGo) {
    ReceiveScene scene(
        1, [](auto& smtp) { smtp.idle_commands_max = 100'000'000; },
        [](auto& settings) { settings.write_time = 2min; });
    bool ended = false;
    scene.client.spawn(0, [&](world::World& world) -> Task<void> {
        Deadline deadline = Deadline::after(world.clock.now(), 100h);
        auto stream = co_await world.net.connect(scene.endpoint, std::nullopt, deadline);
        std::string many;
        for (int i = 0; i < 2000; i++) many += "HELP\r\n";
        std::array<std::string_view, 1> pieces{many};
        while ((co_await (*stream)->write(pieces, deadline)).has_value()) {
        }
        ended = true;
    });
    EXPECT_TRUE(scene.sim.run_until([&] { return ended; }, 10min));
    scene.sim.run_for(1s);
    EXPECT_EQ(scene.house.visits, 0);
}

TEST(ReceiveSession, RefusalsAreSaidWhereTheyBelong) {
    struct Case {
        std::string word;
        Reply refusal;
        std::string expected;  // codes
    };
    const std::string all = kStart + "RCPT TO:<c@x.example>\r\nDATA\r\n" + kMessage + "QUIT\r\n";
    const Case cases[] = {
        {"greet", {554, EnhancedStatus{5, 7, 1}, "Not you"}, "554 503 503 503 503 503 503 503"},
        {"greet", {421, EnhancedStatus{4, 3, 2}, "Not now"}, "421"},
        {"RCPT c@x.example",
         {550, EnhancedStatus{5, 1, 1}, "Nobody"},
         "220 250 250 250 550 354 250 221"},
        {"append", {452, EnhancedStatus{4, 3, 1}, "Full"}, "220 250 250 250 250 354 452 221"},
        {"finish", {451, EnhancedStatus{4, 3, 0}, "Broken"}, "220 250 250 250 250 354 451 221"},
    };
    for (const Case& one : cases) {
        ReceiveScene scene;
        scene.house.refusals.emplace(one.word, one.refusal);
        std::string heard = codes(scene.talk(all));
        EXPECT_TRUE(heard.starts_with(one.expected.substr(0, 7))) << one.word << ": " << heard;
        if (one.word != "greet") {
            EXPECT_EQ(heard, one.expected) << one.word;
        }
        EXPECT_EQ(scene.house.messages.size(), one.word == "RCPT c@x.example" ? 1u : 0u);
        EXPECT_EQ(scene.house.sinks, 0);
    }
}

TEST(ReceiveSession, ARefusedDataEndsTheTransactionAndTheSessionGoesOn) {
    ReceiveScene scene;
    scene.house.refusals.emplace("DATA", Reply{452, EnhancedStatus{4, 3, 1}, "Short of memory"});
    auto dialogue = scene.begin(kStart + "DATA\r\n");
    ASSERT_TRUE(scene.hear(*dialogue, "452 4.3.1"));
    scene.house.refusals.clear();
    scene.say(*dialogue, kStart.substr(kHello.size()) + "DATA\r\n");
    ASSERT_TRUE(scene.hear(*dialogue, "354"));
    scene.say(*dialogue, kMessage + "QUIT\r\n");
    ASSERT_TRUE(scene.hear(*dialogue, "221"));
    EXPECT_EQ(scene.house.messages.size(), 1u);
}

TEST(ReceiveSession, AMailLoopIsRefusedAtItsEndHoweverItIsCut) {
    for (std::size_t segment : {1, 7, 1460}) {
        for (int hops : {3, 4}) {
            ReceiveScene scene(1, {}, [](auto& settings) { settings.hops_max = 3; });
            scene.sim.net().faults.segment_max = segment;
            std::string header;
            for (int i = 0; i < hops; i++) header += "Received: from somewhere\r\n";
            std::string heard = scene.talk(kStart + "DATA\r\n" + header +
                                           "\r\nReceived: in the body\r\n.\r\nQUIT\r\n");
            EXPECT_EQ(heard.find("554 5.4.6") != std::string::npos, hops > 3) << heard;
            EXPECT_EQ(scene.house.messages.size(), hops > 3 ? 0u : 1u);
        }
    }
}

TEST(ReceiveSession, AMessageOfHeadersAloneHasItsHopsCounted) {
    ReceiveScene scene(1, {}, [](auto& settings) { settings.hops_max = 1; });
    std::string heard = scene.talk(kStart + "DATA\r\nReceived: a\r\nReceived: b\r\n.\r\nQUIT\r\n");
    EXPECT_NE(heard.find("554 5.4.6"), std::string::npos);
}

TEST(ReceiveSession, AHeaderBlockWithoutEndIsRefused) {
    ReceiveScene scene;
    std::string header;
    while (header.size() < kHeaderBlockOctetsMax + 1000) {
        header += "X-Filler: " + std::string(900, 'x') + "\r\n";
    }
    std::string heard = scene.talk(kStart + "DATA\r\n" + header + ".\r\nQUIT\r\n");
    EXPECT_NE(heard.find("554 5.6.0"), std::string::npos) << heard;
    EXPECT_TRUE(scene.house.messages.empty());
}

TEST(ReceiveSession, AClientThatVanishesLeavesNothing) {
    const std::string whole = kStart + "DATA\r\n" + kMessage;
    for (std::size_t cut = 1; cut < whole.size(); cut += 3) {
        ReceiveScene scene(cut);
        auto dialogue = scene.begin(whole.substr(0, cut));
        scene.sim.run_for(1s);
        EXPECT_EQ(scene.house.visits, 1);
        dialogue->stream->close();
        scene.sim.run_for(5s);
        EXPECT_EQ(scene.house.visits, 0) << "cut at " << cut;
        EXPECT_EQ(scene.house.sinks, 0) << "cut at " << cut;
        EXPECT_TRUE(scene.house.messages.empty()) << "cut at " << cut;
        EXPECT_EQ(scene.server->session_count(), 0u);
    }
}

TEST(ReceiveSession, AClientThatGoesWhileItsMessageIsStoredDoesNotUndoIt) {
    ReceiveScene scene;
    scene.house.finish_takes = 10s;
    auto dialogue = scene.begin(kStart + "DATA\r\n" + kMessage);
    scene.sim.run_for(2s);
    EXPECT_EQ(scene.house.sinks, 1);
    dialogue->stream->close();
    scene.sim.run_for(20s);
    EXPECT_EQ(scene.house.messages.size(), 1u) << "it will come again: a repeat, never a loss";
    EXPECT_EQ(scene.house.visits, 0);
}

TEST(ReceiveSession, LmtpAnswersForEachRecipient) {
    ReceiveScene scene(1, [](auto& smtp) { smtp.protocol = smtp::Protocol::Lmtp; });
    std::string heard = scene.talk(
        "LHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\n"
        "RCPT TO:<d@x.example>\r\nDATA\r\n" +
        kMessage + "QUIT\r\n");
    EXPECT_EQ(codes(heard), "220 250 250 250 250 250 354 250 250 250 221");
    EXPECT_LT(heard.find("Taken 0"), heard.find("Taken 1"));
    EXPECT_LT(heard.find("Taken 1"), heard.find("Taken 2"));
    EXPECT_EQ(scene.house.said[1], "hello c.example LMTP");
}

TEST(ReceiveSession, LmtpRefusesForEachRecipientToo) {
    ReceiveScene scene(1, [](auto& smtp) { smtp.protocol = smtp::Protocol::Lmtp; });
    scene.house.refusals.emplace("append", Reply{452, EnhancedStatus{4, 3, 1}, "Full"});
    std::string heard = scene.talk(
        "LHLO c.example\r\nMAIL FROM:<>\r\nRCPT TO:<b@x.example>\r\nRCPT TO:<c@x.example>\r\n"
        "DATA\r\n" +
        kMessage + "QUIT\r\n");
    EXPECT_EQ(codes(heard), "220 250 250 250 250 354 452 452 221");
}

TEST(ReceiveSession, BareLineEndsAreNormalisedForListedNetworksOnly) {
    auto settings = [](receive::SessionSettings& out) {
        out.normalise_networks = {*world::IpNetwork::parse("192.0.2.3/32")};
    };
    std::string wire = kStart + "DATA\r\nSubject: x\n\nbare\n.\n\r\n.\r\nQUIT\r\n";
    ReceiveScene listed(1, {}, settings);
    EXPECT_EQ(codes(listed.talk(wire, "192.0.2.3")), "220 250 250 250 354 250 221");
    ASSERT_EQ(listed.house.messages.size(), 1u);
    EXPECT_EQ(listed.house.messages.front().find("\r\n"), 10u);
    ReceiveScene other(1, {}, settings);
    EXPECT_EQ(codes(other.talk(wire, "192.0.2.2")), "220 250 250 250 354 554 221");
    EXPECT_TRUE(other.house.messages.empty());
}

TEST(ReceiveServer, TooManyConnectionsAreTurnedAwayAndComeBack) {
    ReceiveScene scene(
        1, {}, [](auto& settings) { settings.connections = {.in_all = 3, .per_address = 2}; });
    auto first = scene.begin(kHello);
    auto second = scene.begin(kHello);
    scene.sim.run_for(1s);
    EXPECT_NE(scene.talk("").find("421 4.7.0 Too many connections from your address"),
              std::string::npos);
    auto third = scene.begin(kHello, "192.0.2.3");
    scene.sim.run_for(1s);
    EXPECT_NE(scene.talk("", "192.0.2.3").find("421 4.7.0 Too many connections, come"),
              std::string::npos);
    EXPECT_EQ(scene.server->session_count(), 3u);
    first->stream->close();
    scene.sim.run_for(3s);
    EXPECT_EQ(codes(scene.talk("QUIT\r\n")), "220 221");
}

TEST(ReceiveServer, DrainingTellsIdleClientsAndLetsATransactionEnd) {
    ReceiveScene scene;
    auto idle = scene.begin(kHello);
    auto quiet = scene.begin("");
    auto busy = scene.begin(kStart);
    auto flowing = scene.begin(kStart + "DATA\r\nSubject: one\r\n");
    scene.sim.run_for(1s);
    scene.drain_time = 60s;
    scene.sim.run_for(1s);
    for (auto& dialogue : {idle, quiet}) {
        EXPECT_TRUE(dialogue->closed);
        EXPECT_NE(dialogue->heard.find("421 4.3.2"), std::string::npos) << dialogue->heard;
    }
    EXPECT_FALSE(busy->closed);
    EXPECT_FALSE(flowing->closed);
    auto refused = scene.begin("QUIT\r\n");
    scene.sim.run_for(1s);
    EXPECT_TRUE(refused->heard.empty()) << "nobody listens any more";

    scene.say(*busy, "DATA\r\n" + kMessage);
    scene.say(*flowing, "\r\nline\r\n.\r\n");
    ASSERT_TRUE(scene.sim.run_until([&] { return scene.mx.main_ended(); }, 10s));
    scene.sim.run_for(1s);
    for (auto& dialogue : {busy, flowing}) {
        std::size_t taken = dialogue->heard.find("250 2.0.0 Taken");
        EXPECT_NE(taken, std::string::npos);
        EXPECT_NE(dialogue->heard.find("421 4.3.2", taken), std::string::npos)
            << "after its message it is told, too";
    }
    EXPECT_EQ(scene.house.messages.size(), 2u);
    EXPECT_EQ(scene.house.visits, 0);
}

TEST(ReceiveServer, DrainingCutsWhatIsLeftAtItsDeadline) {
    ReceiveScene scene;
    auto busy = scene.begin(kStart + "DATA\r\nSubject: half");
    scene.sim.run_for(1s);
    scene.drain_time = 5s;
    scene.sim.run_for(4s);
    EXPECT_FALSE(scene.mx.main_ended());
    scene.sim.run_for(2s);
    EXPECT_TRUE(scene.mx.main_ended());
    EXPECT_TRUE(busy->closed);
    EXPECT_EQ(scene.house.sinks, 0);
    EXPECT_TRUE(scene.house.messages.empty());
}

TEST(ReceiveServer, ClientsThatComeWhileItDrainsNeverOutliveIt) {
    for (uint64_t seed = 1; seed <= 60; seed++) {
        ReceiveScene scene(seed);
        std::vector<std::shared_ptr<ReceiveScene::Dialogue>> dialogues;
        for (int i = 0; i < 10; i++) {
            dialogues.push_back(scene.begin(i % 2 ? kHello : kStart + "DATA\r\n" + kMessage));
        }
        scene.sim.run_for(scene.sim.random().between(Duration(0ms), Duration(100ms)));
        scene.drain_time = 2s;
        ASSERT_TRUE(scene.sim.run_until([&] { return scene.mx.main_ended(); }, 10s));
        EXPECT_EQ(scene.house.visits, 0) << "seed " << seed;
        scene.sim.run_for(10s);
    }
}

}  // namespace
}  // namespace postrider::sim
