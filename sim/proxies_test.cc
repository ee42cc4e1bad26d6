// Proxies in front of a receive::Server, over the simulated net.

#include "sim/receive_scene.h"

namespace postrider::sim {
namespace {

void behind_proxy(receive::SessionSettings& out) {
    out.proxy_networks = {*world::IpNetwork::parse("192.0.2.2/32")};
    out.connections.per_address = 2;
}

const std::string kHeader = "PROXY TCP4 198.51.100.7 192.0.2.1 4711 25\r\n";

TEST(ReceiveProxies, HeaderAndCommandsMayComeTogether) {
    ReceiveScene scene(1, {}, behind_proxy);
    EXPECT_EQ(codes(scene.talk(kHeader + "EHLO a.example\r\nQUIT\r\n")), "220 250 221");
}

TEST(ReceiveProxies, AProxyThatSaysNothingIsLetGo) {
    for (std::string begun : {"", "PROXY TCP4 198.51"}) {
        ReceiveScene scene(1, {}, behind_proxy);
        auto dialogue = scene.begin(begun);
        scene.sim.run_for(9s);
        EXPECT_FALSE(dialogue->closed);
        scene.sim.run_for(2s);
        EXPECT_TRUE(dialogue->closed);
        EXPECT_EQ(dialogue->heard, "");
    }
}

TEST(ReceiveProxies, WhatIsNoHeaderHearsNothing) {
    ReceiveScene scene(1, {}, behind_proxy);
    EXPECT_EQ(scene.talk("EHLO a.example\r\nQUIT\r\n"), "");
    EXPECT_EQ(codes(scene.talk("QUIT\r\n", "192.0.2.3")), "220 221");
}

TEST(ReceiveProxies, AToldClientCountsForItsOwnAddress) {
    ReceiveScene scene(1, {}, behind_proxy);
    auto first = scene.begin(kHeader), second = scene.begin(kHeader);
    ASSERT_TRUE(scene.hear(*first, "220"));
    ASSERT_TRUE(scene.hear(*second, "220"));
    EXPECT_EQ(codes(scene.talk(kHeader)), "421");
    EXPECT_EQ(codes(scene.talk("PROXY TCP4 198.51.100.8 192.0.2.1 1 25\r\nQUIT\r\n")), "220 221");
    scene.say(*first, "QUIT\r\n");
    ASSERT_TRUE(scene.hear(*first, "221"));
    scene.sim.run_for(1s);
    EXPECT_EQ(codes(scene.talk(kHeader + "QUIT\r\n")), "220 221");
}

}  // namespace
}  // namespace postrider::sim
