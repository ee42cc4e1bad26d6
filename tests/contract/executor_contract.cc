// tests/contract/executor_contract.cc: what Executor, Worker and Signal promise.

#include <gmock/gmock.h>

#include <atomic>
#include <set>

#include "contract/contract_world.h"

namespace postrider::contract {
namespace {

using testing::ElementsAre;

class ExecutorContract : public Contract {};
class WorkerContract : public Contract {};
class SignalContract : public Contract {};

TEST_F(ExecutorContract, PostsOfOnePlaceRunInTheirOrder) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        for (ShardId shard : {0, 1}) {
            Gathering gathering(world, 1);
            std::vector<int> seen;
            for (int i = 0; i < 1000; i++) {
                world.executor.post_to(shard, [&seen, i] { seen.push_back(i); });
            }
            world.executor.post_to(shard, [&] { gathering.arrive(); });
            CO_ASSERT(co_await gathering.all(patience(world)));
            EXPECT_EQ(seen.size(), 1000u);
            EXPECT_TRUE(std::is_sorted(seen.begin(), seen.end()));
        }
    });
}

TEST_F(ExecutorContract, ResumptionsAndCallsShareOneOrder) {
    run([&](World& world) -> Task<void> {
        std::vector<int> seen;
        world.executor.post_to(0, [&] { seen.push_back(1); });
        spawn(world, [&]() -> Task<void> {
            seen.push_back(2);
            co_return;
        });
        world.executor.post_to(0, [&] { seen.push_back(3); });
        co_await round_trip(world);
        EXPECT_THAT(seen, ElementsAre(1, 2, 3));
    });
}

TEST_F(ExecutorContract, NothingRunsInsideTheCallOfPostOrSpawn) {
    run([&](World& world) -> Task<void> {
        bool posted = false;
        bool spawned = false;
        world.executor.post_to(0, [&] { posted = true; });
        spawn(world, [&]() -> Task<void> {
            spawned = true;
            co_return;
        });
        EXPECT_FALSE(posted);
        EXPECT_FALSE(spawned);
        co_await round_trip(world);
        EXPECT_TRUE(posted);
        EXPECT_TRUE(spawned);
    });
}

TEST_F(ExecutorContract, SpawnStartsOnTheCallingShard) {
    run_on_shards(3, [&](World& world) -> Task<void> {
        EXPECT_EQ(world.executor.shard_count(), 3);
        for (ShardId shard : {0, 1, 2}) {
            Gathering gathering(world, 1);
            std::atomic<ShardId> seen = -1;
            world.executor.post_to(shard, [&] {
                spawn(world, [&]() -> Task<void> {
                    seen = world.executor.current_shard();
                    gathering.arrive();
                    co_return;
                });
            });
            CO_ASSERT(co_await gathering.all(patience(world)));
            EXPECT_EQ(seen, shard);
        }
    });
}

TEST_F(ExecutorContract, ASpawnedTaskIsDestroyedWhenItEnds) {
    run([&](World& world) -> Task<void> {
        auto owned = std::make_shared<int>(7);
        spawn(world, [owned, &world]() -> Task<void> { co_await round_trip(world); });
        EXPECT_EQ(owned.use_count(), 2);
        co_await round_trip(world);
        co_await round_trip(world);
        co_await round_trip(world);
        EXPECT_EQ(owned.use_count(), 1);
    });
}

TEST_F(ExecutorContract, ATaskThatEndsElsewhereIsDestroyedAll) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        Gathering gathering(world, 2);
        for (int i = 0; i < 2; i++) {
            spawn(world, [&]() -> Task<void> {
                co_await world.executor.switch_to(1);
                gathering.arrive();
            });
        }
        CO_ASSERT(co_await gathering.all(patience(world)));
    });
}

TEST_F(ExecutorContract, RunOnComesBackHomeWithTheValue) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        auto there = [&]() -> Task<std::unique_ptr<ShardId>> {
            co_return std::make_unique<ShardId>(world.executor.current_shard());
        };
        auto value = co_await world.executor.run_on(1, there());
        EXPECT_EQ(*value, 1);
        EXPECT_EQ(world.executor.current_shard(), 0);
        EXPECT_EQ(*co_await world.executor.run_on(0, there()), 0);
        EXPECT_EQ(world.executor.current_shard(), 0);
    });
}

TEST_F(ExecutorContract, ManyShardsTalkAcrossWithoutLoss) {
    run_on_shards(3, [&](World& world) -> Task<void> {
        constexpr int kTasks = 30;
        constexpr int kSteps = 200;
        Gathering gathering(world, kTasks);
        std::array<std::vector<int>, 3> notes;  // each touched on its own shard only
        for (int i = 0; i < kTasks; i++) {
            spawn(world, [&, i]() -> Task<void> {
                for (int step = 0; step < kSteps; step++) {
                    co_await world.executor.switch_to((i + step) % 3);
                    notes[static_cast<std::size_t>((i + step) % 3)].push_back(i);
                }
                gathering.arrive();
            });
        }
        CO_ASSERT(co_await gathering.all(patience(world)));
        EXPECT_EQ(notes[0].size() + notes[1].size() + notes[2].size(), 1u * kTasks * kSteps);
    });
}

TEST_F(WorkerContract, RunComesBackHomeWithTheValue) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        auto heavy = [&]() -> Task<std::string> {
            EXPECT_EQ(world.executor.current_shard(), 1) << "the shard that asked";
            co_return "done";
        };
        auto on_one = [&]() -> Task<void> {
            EXPECT_EQ(co_await world.worker.run(heavy()), "done");
            EXPECT_EQ(world.executor.current_shard(), 1);
        };
        co_await world.executor.run_on(1, on_one());
        EXPECT_EQ(world.executor.current_shard(), 0);
    });
}

TEST_F(WorkerContract, TheShardGoesOnMeanwhile) {
    run([&](World& world) -> Task<void> {
        bool went_on = false;
        world.executor.post_to(0, [&] { went_on = true; });
        auto nothing = []() -> Task<void> { co_return; };
        for (int i = 0; i < 1000 && !went_on; i++) co_await world.worker.run(nothing());
        EXPECT_TRUE(went_on);
    });
}

TEST_F(WorkerContract, TheDiskWorksInsideRun) {
    std::string file_path = path("file");
    run([&](World& world) -> Task<void> {
        auto whole = [&]() -> Task<DiskResult<uint64_t>> {
            auto file = co_await world.disk.open(file_path, OpenMode::CreateNew);
            if (!file) co_return std::unexpected(file.error());
            std::string_view pieces[] = {"abc", "defg"};
            if (auto wrote = co_await (*file)->write_at(0, pieces); !wrote) {
                co_return std::unexpected(wrote.error());
            }
            if (auto synced = co_await (*file)->sync(); !synced) {
                co_return std::unexpected(synced.error());
            }
            EXPECT_EQ(world.executor.current_shard(), 0);
            co_return co_await (*file)->size();
        };
        auto size = co_await world.worker.run(whole());
        CO_ASSERT_OK(size);
        EXPECT_EQ(*size, 7u);
    });
}

TEST_F(WorkerContract, ManyRunsAllComeBack) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        constexpr int kRuns = 200;
        Gathering gathering(world, kRuns);
        std::atomic<int> sum = 0;
        for (int i = 0; i < kRuns; i++) {
            world.executor.post_to(i % 2, [&, i] {
                spawn(world, [&, i]() -> Task<void> {
                    auto work = [&]() -> Task<int> { co_return i; };
                    sum += co_await world.worker.run(work());
                    EXPECT_EQ(world.executor.current_shard(), i % 2);
                    gathering.arrive();
                });
            });
        }
        CO_ASSERT(co_await gathering.all(patience(world)));
        EXPECT_EQ(sum, kRuns * (kRuns - 1) / 2);
    });
}

// Starts `count` tasks that wait for the signal one after the other and note their numbers.
void start_waiters(World& world, Signal& signal, std::vector<int>& woken, int count) {
    for (int i = 0; i < count; i++) {
        spawn(world, [&, i]() -> Task<void> {
            if (co_await signal.wait(Deadline::never())) woken.push_back(i);
        });
    }
}

TEST_F(SignalContract, NotifyOneWakesWhoHasWaitedLongest) {
    run([&](World& world) -> Task<void> {
        Signal signal(world.executor, world.clock);
        std::vector<int> woken;
        start_waiters(world, signal, woken, 3);
        co_await round_trip(world);
        EXPECT_TRUE(signal.has_waiters());
        signal.notify_one();
        EXPECT_TRUE(woken.empty()) << "never inside the call";
        co_await round_trip(world);
        EXPECT_THAT(woken, ElementsAre(0));
        signal.notify_one();
        signal.notify_one();
        co_await round_trip(world);
        EXPECT_THAT(woken, ElementsAre(0, 1, 2));
        EXPECT_FALSE(signal.has_waiters());
    });
}

TEST_F(SignalContract, NotifyAllWakesEachInOrder) {
    run([&](World& world) -> Task<void> {
        Signal signal(world.executor, world.clock);
        std::vector<int> woken;
        start_waiters(world, signal, woken, 5);
        co_await round_trip(world);
        signal.notify_all();
        EXPECT_TRUE(woken.empty()) << "never inside the call";
        co_await round_trip(world);
        EXPECT_THAT(woken, ElementsAre(0, 1, 2, 3, 4));
    });
}

TEST_F(SignalContract, AWaitEndsWithFalseAtItsDeadline) {
    run([&](World& world) -> Task<void> {
        Signal signal(world.executor, world.clock);
        Deadline deadline = Deadline::after(world.clock.now(), 5ms);
        EXPECT_FALSE(co_await signal.wait(deadline));
        EXPECT_TRUE(deadline.reached(world.clock.now()));
        EXPECT_FALSE(signal.has_waiters());
    });
}

TEST_F(SignalContract, NotifyWithoutAWaiterIsLost) {
    run([&](World& world) -> Task<void> {
        Signal signal(world.executor, world.clock);
        signal.notify_one();
        signal.notify_all();
        EXPECT_FALSE(co_await signal.wait(Deadline::after(world.clock.now(), 1ms)));
    });
}

}  // namespace
}  // namespace postrider::contract
