// sim/suppression_test.cc: the suppression list over the simulated disk.

#include "daemon/suppression_list.h"

#include <gtest/gtest.h>

#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using daemon::Suppressed;
using daemon::SuppressionList;

struct Scene {
    Scene() : sim(1), host(sim.add_host("mx", {*world::IpAddress::parse("192.0.2.1")})) {}

    // A life of the host with a list; `story` ends it.
    void live(std::function<Task<void>(world::World&, SuppressionList&)> story,
              uint64_t entries_max = 100) {
        bool done = false;
        host.boot([&, story](world::World& world) -> Task<void> {
            SuppressionList list(world,
                                 {.directory = "/data/suppression", .entries_max = entries_max});
            EXPECT_TRUE((co_await list.load()).has_value());
            co_await story(world, list);
            co_await list.close(Deadline::after(world.clock.now(), 10s));
            done = true;
        });
        EXPECT_TRUE(sim.run_until([&] { return done; }, 24h));
    }

    static Suppressed entry(world::World& world, std::string address, std::string scope = {},
                            Duration lasts = 24h) {
        Wall now = world.clock.wall();
        return {.address = std::move(address),
                .scope = std::move(scope),
                .failure = FailureClass::BadMailbox,
                .reason = "550 5.1.1 no such user",
                .at = now,
                .until = now + lasts};
    }

    Simulation sim;
    Host& host;
};

TEST(SuppressionList, WhatWasWrittenOutlivesACrash) {
    Scene scene;
    scene.live([](world::World& world, SuppressionList& list) -> Task<void> {
        list.add(Scene::entry(world, "Dead@Far.Example"));
        list.add(Scene::entry(world, "other@far.example", "news.example"));
        list.add(Scene::entry(world, "third@far.example"));
        EXPECT_TRUE(list.remove("THIRD@far.example", ""));
        auto written = co_await list.written(Deadline::after(world.clock.now(), 10s));
        EXPECT_TRUE(written.has_value());
    });
    scene.host.power_loss();
    scene.live([](world::World&, SuppressionList& list) -> Task<void> {
        EXPECT_EQ(list.size(), 2u);
        const Suppressed* found = list.find("dead@FAR.example", "");
        EXPECT_TRUE(found && found->failure == FailureClass::BadMailbox);
        EXPECT_FALSE(list.find("other@far.example", ""));
        EXPECT_TRUE(list.find("other@far.example", "News.Example"));
        EXPECT_FALSE(list.find("third@far.example", ""));
        co_return;
    });
}

TEST(SuppressionList, EntriesExpireAndMakeRoom) {
    Scene scene;
    scene.live(
        [](world::World& world, SuppressionList& list) -> Task<void> {
            list.add(Scene::entry(world, "short@far.example", {}, 1min));
            list.add(Scene::entry(world, "long@far.example", {}, 3h));
            list.add(Scene::entry(world, "longer@far.example", {}, 4h));
            EXPECT_EQ(list.size(), 2u);
            EXPECT_FALSE(list.find("short@far.example", ""));
            co_await world.clock.sleep_for(200min);
            EXPECT_FALSE(list.find("long@far.example", ""));
            EXPECT_TRUE(list.find("longer@far.example", ""));
        },
        2);
}

TEST(SuppressionList, TheFileIsWrittenAnewWhenMostOfItHasNoMeaning) {
    Scene scene;
    scene.live([](world::World& world, SuppressionList& list) -> Task<void> {
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < 1000; i++) {
                list.add(Scene::entry(world, "u" + std::to_string(i) + "@far.example"));
                list.remove("u" + std::to_string(i) + "@far.example", "");
            }
            list.add(Scene::entry(world, "stays@far.example"));
            auto written = co_await list.written(Deadline::after(world.clock.now(), 10s));
            EXPECT_TRUE(written.has_value());
        }
        auto info = co_await world.disk.info("/data/suppression/list.jsonl");
        EXPECT_TRUE(info && info->size < 400'000);
    });
    scene.host.kill();
    scene.live([](world::World&, SuppressionList& list) -> Task<void> {
        EXPECT_EQ(list.size(), 1u);
        EXPECT_TRUE(list.find("stays@far.example", ""));
        co_return;
    });
}

}  // namespace
}  // namespace postrider::sim
