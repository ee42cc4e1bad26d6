// sim/relay_connections_test.cc: how many connections mail to one host takes, in the simulator.

#include <gtest/gtest.h>

#include "sim/relay_scene.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;

void post_apart(RelayScene& scene, int count, Duration pause) {
    for (int i = 0; i < count; i++) {
        scene.client.post({.to = {"user" + std::to_string(i) + "@far.example"}});
        scene.sim.run_for(pause);
    }
}

void expect_all_taken_once(RelayScene& scene, uint64_t count) {
    scene.run_until_accepted();
    scene.run_until_done(1h);
    scene.sim.run_for(2s);
    auto sum = scene.check();
    for (const std::string& fault : scene.faults()) ADD_FAILURE() << fault;
    EXPECT_EQ(sum.taken, count);
    EXPECT_EQ(sum.confirmed, count);
    EXPECT_EQ(sum.repeats, 0u);
}

TEST(RelayConnections, LettersThatFollowCloselyShareOne) {
    RelayScene scene(1);
    ForeignHost& far = scene.add_far("far.example");
    scene.boot();
    post_apart(scene, 20, 300ms);
    expect_all_taken_once(scene, 20);
    EXPECT_LE(far.connections(), 2u) << "only the second letter shows that they follow closely";
}

TEST(RelayConnections, LettersFarApartDoNotKeepOneOpen) {
    RelayScene scene(1);
    ForeignHost& far = scene.add_far("far.example");
    scene.boot();
    post_apart(scene, 5, 10s);
    expect_all_taken_once(scene, 5);
    EXPECT_EQ(far.connections(), 5u);
}

TEST(RelayConnections, AWaitingOneTakesNoMoreThanTheHostAllows) {
    RelayScene scene(1, "messages_per_connection = 4");
    ForeignHost& far = scene.add_far("far.example");
    scene.boot();
    post_apart(scene, 20, 300ms);
    expect_all_taken_once(scene, 20);
    EXPECT_GE(far.connections(), 5u);
}

TEST(RelayConnections, AWaitingOneThatBreaksWhenItIsUsedIsReplaced) {
    RelayScene scene(1);
    ForeignHost& far = scene.add_far("far.example", {.cuts_at = FarStep::Mail});
    scene.boot();
    post_apart(scene, 4, 300ms);
    far.manners.cuts_per_1000 = 1000;
    scene.client.post({.to = {"last@far.example"}});
    scene.sim.run_for(100ms);
    far.manners.cuts_per_1000 = 0;
    scene.run_until_accepted();
    scene.run_until_done(1h);
    auto sum = scene.check();
    for (const std::string& fault : scene.faults()) ADD_FAILURE() << fault;
    EXPECT_EQ(sum.taken, 5u);
}

TEST(RelayConnections, AStopDoesNotWaitForThoseThatWait) {
    RelayScene scene(1);
    scene.add_far("far.example");
    scene.boot();
    post_apart(scene, 5, 100ms);
    scene.run_until_accepted();
    scene.run_until_done(1h);
    Monotonic begin = scene.sim.now();
    scene.stop(30s);
    EXPECT_LT(scene.sim.now() - begin, 500ms);
    EXPECT_TRUE(scene.faults().empty());
}

}  // namespace
}  // namespace postrider::sim
