// sim/simulation_test.cc: shards, clocks, deaths, and that a run can be repeated.

#include "sim/simulation.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <set>

#include "world/signal.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using world::IpAddress;
using world::IpEndpoint;
using world::World;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }

TEST(Simulation, PostsFromOnePlaceToOneShardKeepTheirOrder) {
    for (uint64_t seed = 1; seed <= 50; seed++) {
        Simulation sim(seed);
        Host& host = sim.add_host("a", {}, 3);
        std::vector<int> ran;
        host.boot([&](World& world) -> Task<void> {
            for (int i = 0; i < 20; i++) {
                world.executor.post_to(2, [&, i] {
                    EXPECT_EQ(world.executor.current_shard(), 2);
                    ran.push_back(i);
                });
                EXPECT_TRUE(ran.empty());
            }
            co_return;
        });
        sim.run_for(1s);
        std::vector<int> want;
        for (int i = 0; i < 20; i++) want.push_back(i);
        ASSERT_EQ(ran, want);
    }
}

TEST(Simulation, SeedsInterleaveShardsInManyWays) {
    std::set<std::string> orders;
    for (uint64_t seed = 1; seed <= 50; seed++) {
        Simulation sim(seed);
        Host& host = sim.add_host("a", {}, 2);
        std::string order;
        host.boot([&](World& world) -> Task<void> {
            for (int i = 0; i < 6; i++) {
                world.executor.post_to(0, [&] { order += '0'; });
                world.executor.post_to(1, [&] { order += '1'; });
            }
            co_return;
        });
        sim.run_for(1s);
        ASSERT_EQ(order.size(), 12u);
        orders.insert(order);
    }
    EXPECT_GT(orders.size(), 40u);
}

TEST(Simulation, RunOnGoesToAShardAndComesBackAndWorkersKeepTheShard) {
    Simulation sim(1);
    Host& host = sim.add_host("a", {}, 3);
    host.boot([](World& world) -> Task<void> {
        co_await world.executor.switch_to(1);
        auto where = [](World& w) -> Task<int> { co_return w.executor.current_shard(); };
        EXPECT_EQ(co_await world.executor.run_on(2, where(world)), 2);
        EXPECT_EQ(world.executor.current_shard(), 1);
        Monotonic before = world.clock.now();
        EXPECT_EQ(co_await world.worker.run(where(world)), 1);
        EXPECT_GT(world.clock.now(), before);
        EXPECT_EQ(world.executor.current_shard(), 1);
    });
    EXPECT_TRUE(sim.run_until([&] { return host.main_ended(); }, 1min));
}

TEST(Simulation, TimersFireOnceNotEarlyAndNotAfterTheyWereDestroyed) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Simulation sim(seed);
        Host& host = sim.add_host("a", {});
        int fired = 0, cancelled = 0;
        host.boot([&](World& world) -> Task<void> {
            Monotonic start = world.clock.now();
            auto kept = world.clock.call_at(start + 5s, [&, start] {
                fired++;
                EXPECT_GE(world.clock.now(), start + 5s);
            });
            auto dropped = world.clock.call_at(start + 1s, [&] { cancelled++; });
            dropped.reset();
            auto past = world.clock.call_at(start - 1s, [&] { fired++; });
            EXPECT_EQ(fired, 0);
            co_await world.clock.sleep_for(10s);
            EXPECT_GE(world.clock.now(), start + 10s);
        });
        ASSERT_TRUE(sim.run_until([&] { return host.main_ended(); }, 1min));
        ASSERT_EQ(fired, 2);
        ASSERT_EQ(cancelled, 0);
    }
}

TEST(Simulation, TheWallClockJumpsAndTheMonotonicDoesNot) {
    Simulation sim(1);
    Host& host = sim.add_host("a", {});
    host.boot([&](World& world) -> Task<void> {
        Wall wall = world.clock.wall();
        Monotonic now = world.clock.now();
        EXPECT_GT(wall.seconds(), 1'767'225'599);
        host.jump_wall(-1h);
        EXPECT_EQ(world.clock.wall() - wall, -1h);
        EXPECT_EQ(world.clock.now(), now);
        co_return;
    });
    EXPECT_TRUE(sim.run_until([&] { return host.main_ended(); }, 1min));
}

TEST(Simulation, ASuspendedHostStandsStillAndItsWallClockGoesOn) {
    for (SuspendedClock monotonic : {SuspendedClock::Stops, SuspendedClock::GoesOn}) {
        Simulation sim(1);
        Host& host = sim.add_host("a", {});
        Duration slept{}, passed{};
        host.boot([&](World& world) -> Task<void> {
            Monotonic now = world.clock.now();
            Wall wall = world.clock.wall();
            co_await world.clock.sleep_for(10s);
            slept = world.clock.now() - now;
            passed = world.clock.wall() - wall;
        });
        sim.run_for(5s);
        host.suspend(1h, monotonic);
        sim.run_for(30min);
        EXPECT_FALSE(host.main_ended());
        sim.run_for(31min);
        ASSERT_TRUE(host.main_ended());
        EXPECT_GE(slept, 10s);
        EXPECT_EQ(slept > 1h, monotonic == SuspendedClock::GoesOn);
        EXPECT_GE(passed, 1h);
    }
}

struct Counted {
    explicit Counted(int& the_count) : count(the_count) { count++; }
    Counted(const Counted&) = delete;
    ~Counted() { count--; }
    int& count;
};

// Tasks in every kind of wait, each with something that must be destroyed; the main task owns what
// the others use.
Task<void> busy_program(World& world, int& alive) {
    Counted in_main(alive);
    world::Signal signal(world.executor, world.clock);
    auto waiter = [](World& w, world::Signal& s, int& count) -> Task<void> {
        Counted counted(count);
        (void)co_await s.wait(Deadline::after(w.clock.now(), 10min));
        s.notify_all();
    };
    auto writer = [](World& w, int& count) -> Task<void> {
        Counted counted(count);
        auto file = co_await w.disk.open("f", world::OpenMode::Create);
        std::string text(3000, 'x');
        for (;;) {
            std::string_view pieces[] = {text};
            (void)co_await (*file)->write_at(0, pieces);
            (void)co_await (*file)->sync();
        }
    };
    auto worker = [](World& w, int& count) -> Task<void> {
        Counted counted(count);
        for (;;) {
            auto heavy = [](World& inner) -> Task<int> {
                (void)co_await inner.disk.list("/");
                co_return 1;
            };
            (void)co_await w.worker.run(heavy(w));
        }
    };
    auto leaver = [](World& w, int& count) -> Task<void> {
        Counted counted(count);
        struct Leaving {  // a destructor that calls the doors of a host that dies
            World& world;
            ~Leaving() {
                world.executor.post_to(0, [] { FAIL() << "a dead host runs"; });
                world.executor.spawn([]() -> Task<void> { co_return; }());
            }
        } leaving{w};
        auto timer = w.clock.call_at(w.clock.now() + 1h, [] { FAIL() << "an old timer"; });
        co_await w.clock.sleep_for(2h);
    };
    for (int i = 0; i < 5; i++) world.executor.spawn(waiter(world, signal, alive));
    world.executor.spawn(writer(world, alive));
    world.executor.spawn(worker(world, alive));
    world.executor.spawn(leaver(world, alive));
    co_await world.clock.sleep_for(3h);
}

TEST(Simulation, ACrashInTheMiddleOfTasksDestroysThemAll) {
    int alive = 0;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        Simulation sim(seed);
        Host& host = sim.add_host("a", {}, 2);
        for (int life = 0; life < 3; life++) {
            host.boot([&](World& world) { return busy_program(world, alive); });
            sim.run_for(Duration(sim.random().below(10'000'000)));
            if (life % 2) {
                host.kill();
            } else {
                host.power_loss();
            }
            ASSERT_EQ(alive, 0);
        }
        host.boot([&](World& world) { return busy_program(world, alive); });
        sim.run_for(1ms);
    }
    EXPECT_EQ(alive, 0);  // the end of a simulation is a crash too
}

TEST(Simulation, AHostThatKillsItselfDiesWhenItsWorkReturns) {
    Simulation sim(1);
    Host& host = sim.add_host("a", {});
    bool went_on = false, after_wait = false;
    host.boot([&](World& world) -> Task<void> {
        host.kill();
        went_on = true;
        co_await world.clock.sleep_for(1s);
        after_wait = true;
    });
    sim.run_for(1min);
    EXPECT_TRUE(went_on);
    EXPECT_FALSE(after_wait);
    EXPECT_FALSE(host.is_up());
}

TEST(Simulation, ATaskThatNeverWaitsDoesNotStopTheClock) {
    Simulation sim(1);
    Host& host = sim.add_host("a", {});
    host.boot([](World& world) -> Task<void> {
        for (;;) co_await world.executor.switch_to(0);
    });
    sim.run_for(1ms);
    EXPECT_GE(sim.now().ns, 1'000'000);
    EXPECT_LT(sim.events(), 30'000u);
}

TEST(Simulation, StepsAndCallsFromOutsideHappenInTime) {
    Simulation sim(1);
    std::string order;
    sim.call_after(2s, [&] { order += 'b'; });
    sim.call_after(1s, [&] { order += 'a'; });
    EXPECT_TRUE(sim.step());
    EXPECT_EQ(order, "a");
    EXPECT_TRUE(sim.step());
    EXPECT_FALSE(sim.step());
    EXPECT_EQ(order, "ab");
    EXPECT_FALSE(sim.run_until([] { return false; }, 1s));
}

// Two hosts that talk, write and die: everything that could leak something real into a run.
uint64_t story(uint64_t seed) {
    Simulation sim(seed);
    Host& server = sim.add_host("server", {address("192.0.2.1")}, 2);
    Host& client = sim.add_host("client", {address("2001:db8::2"), address("192.0.2.2")});
    auto serve = [](World& world) -> Task<void> {
        auto listener = world.net.listen(IpEndpoint{{}, 25}, {});
        auto file = co_await world.disk.open("log", world::OpenMode::Create);
        for (uint64_t at = 0;;) {
            auto stream = co_await (*listener)->accept();
            Deadline deadline = Deadline::after(world.clock.now(), 1min);
            char text[100];
            auto got = co_await (*stream)->read(text, deadline);
            if (!got) continue;
            std::string_view pieces[] = {std::string_view(text, *got)};
            (void)co_await (*file)->write_at(at, pieces);
            (void)co_await (*file)->sync();
            at += *got;
            (void)co_await (*stream)->write(pieces, deadline);
        }
    };
    client.boot([](World& world) -> Task<void> {
        for (int i = 0; i < 50; i++) {
            Deadline deadline = Deadline::after(world.clock.now(), 3s);
            auto stream = co_await world.net.connect(IpEndpoint{address("192.0.2.1"), 25},
                                                     std::nullopt, deadline);
            co_await world.clock.sleep_for(Duration(int64_t(world.random.below(100'000'000))));
            if (!stream) continue;
            std::string text = "hello " + std::to_string(world.random.below(1000));
            std::string_view pieces[] = {text};
            (void)co_await (*stream)->write(pieces, deadline);
            char back[100];
            auto got = co_await (*stream)->read(back, deadline);
            world.log.write(Event::SessionClosed, {{"reason", got ? "done" : "failed"}});
        }
    });
    for (int life = 0; life < 4; life++) {
        server.boot(serve);
        sim.run_for(Duration(int64_t(sim.random().below(3'000'000'000))));
        server.power_loss();
        sim.run_for(100ms);
    }
    sim.run_for(1min);
    return sim.trace_hash();
}

constexpr uint64_t kStorySeed = 42;

TEST(Simulation, ARunIsRepeatedBitByBit) {
    std::set<uint64_t> hashes;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t hash = story(seed);
        ASSERT_EQ(story(seed), hash) << "seed " << seed;
        hashes.insert(hash);
    }
    EXPECT_EQ(hashes.size(), 20u);
}

TEST(Simulation, PrintsTheHashOfAStory) {
    std::printf("story %llu\n", static_cast<unsigned long long>(story(kStorySeed)));
}

TEST(Simulation, ARunIsRepeatedInAnotherProcess) {
    char self[4096] = {};
    ASSERT_GT(::readlink("/proc/self/exe", self, sizeof self - 1), 0);
    std::string command =
        std::string("'") + self + "' --gtest_filter=Simulation.PrintsTheHashOfAStory";
    FILE* other = ::popen(command.c_str(), "r");
    ASSERT_NE(other, nullptr);
    unsigned long long hash = 0;
    char line[256];
    while (std::fgets(line, sizeof line, other)) std::sscanf(line, "story %llu", &hash);
    EXPECT_EQ(::pclose(other), 0);
    EXPECT_EQ(hash, story(kStorySeed));
}

}  // namespace
}  // namespace postrider::sim
