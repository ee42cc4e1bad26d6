// tests/contract/clock_contract.cc: what Clock and Random promise.

#include <gmock/gmock.h>

#include <set>

#include "contract/contract_world.h"

namespace postrider::contract {
namespace {

using testing::ElementsAre;

class ClockContract : public Contract {};
class RandomContract : public Contract {};

TEST_F(ClockContract, NowNeverGoesBack) {
    run([&](World& world) -> Task<void> {
        Monotonic last = world.clock.now();
        for (int i = 0; i < 100; i++) {
            co_await world.executor.switch_to(0);
            Monotonic now = world.clock.now();
            EXPECT_GE(now, last);
            last = now;
        }
    });
}

TEST_F(ClockContract, TimersFireInTheOrderOfTheirMoments) {
    run([&](World& world) -> Task<void> {
        Gathering gathering(world, 4);
        std::vector<int> fired;
        Monotonic start = world.clock.now();
        auto set = [&](int number, Duration after) {
            return world.clock.call_at(start + after, [&, number, after] {
                EXPECT_GE(world.clock.now(), start + after) << "not before its moment";
                fired.push_back(number);
                gathering.arrive();
            });
        };
        auto third = set(3, 6ms);
        auto first = set(1, 2ms);
        auto second = set(2, 4ms);
        auto fourth = set(4, 8ms);
        CO_ASSERT(co_await gathering.all(patience(world)));
        EXPECT_THAT(fired, ElementsAre(1, 2, 3, 4));
    });
}

TEST_F(ClockContract, ADestroyedTimerDoesNotFire) {
    run([&](World& world) -> Task<void> {
        bool fired = false;
        Monotonic start = world.clock.now();
        auto timer = world.clock.call_at(start + 1ms, [&] { fired = true; });
        auto past = world.clock.call_at(start, [&] { fired = true; });
        timer.reset();
        past.reset();
        co_await world.clock.sleep_until(start + 5ms);
        EXPECT_FALSE(fired);
    });
}

TEST_F(ClockContract, ATimerMayDestroyAnotherThatIsDue) {
    run([&](World& world) -> Task<void> {
        Monotonic start = world.clock.now();
        bool fired = false;
        std::unique_ptr<Timer> second;
        auto first = world.clock.call_at(start + 1ms, [&] { second.reset(); });
        second = world.clock.call_at(start + 1ms + 1ns, [&] { fired = true; });
        auto third = world.clock.call_at(start + 2ms, [] {});
        co_await world.clock.sleep_until(start + 4ms);
        EXPECT_EQ(second, nullptr);
        EXPECT_FALSE(fired);
    });
}

TEST_F(ClockContract, ATimerMayDestroyItself) {
    run([&](World& world) -> Task<void> {
        Gathering gathering(world, 1);
        std::unique_ptr<Timer> timer;
        auto witness = std::make_shared<int>(1);
        timer = world.clock.call_at(world.clock.now() + 1ms, [&, witness] {
            timer.reset();
            EXPECT_EQ(*witness, 1) << "the work outlives its timer while it runs";
            gathering.arrive();
        });
        CO_ASSERT(co_await gathering.all(patience(world)));
    });
}

TEST_F(ClockContract, APastMomentFiresSoonButNotInsideTheCall) {
    run([&](World& world) -> Task<void> {
        Gathering gathering(world, 2);
        bool fired = false;
        Monotonic now = world.clock.now();
        auto zero = world.clock.call_at(Monotonic{now.ns - 1'000'000}, [&] {
            fired = true;
            gathering.arrive();
        });
        EXPECT_FALSE(fired);
        auto same = world.clock.call_at(now, [&] { gathering.arrive(); });
        CO_ASSERT(co_await gathering.all(patience(world)));
        EXPECT_TRUE(fired);
    });
}

TEST_F(ClockContract, ATimerThatSetsItselfForNowLeavesOthersTheirTurn) {
    run([&](World& world) -> Task<void> {
        std::unique_ptr<Timer> timer;
        bool stop = false;
        std::function<void()> again = [&] {
            if (!stop) timer = world.clock.call_at(world.clock.now(), [&] { again(); });
        };
        again();
        co_await world.clock.sleep_for(3ms);
        stop = true;
        co_await world.clock.sleep_for(1ms);
    });
}

TEST_F(ClockContract, SleepEndsNotBeforeItsMoment) {
    run([&](World& world) -> Task<void> {
        Monotonic start = world.clock.now();
        co_await world.clock.sleep_for(3ms);
        EXPECT_GE(world.clock.now() - start, 3ms);
        co_await world.clock.sleep_until(start);  // past: returns
    });
}

TEST_F(ClockContract, ATimerFiresOnTheShardThatMadeIt) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        auto there = [&]() -> Task<void> {
            co_await world.clock.sleep_for(1ms);
            EXPECT_EQ(world.executor.current_shard(), 1);
        };
        co_await world.executor.run_on(1, there());
    });
}

TEST_F(ClockContract, ThousandsOfTimersAndCancelsKeepTheirOrder) {
    run([&](World& world) -> Task<void> {
        std::vector<std::unique_ptr<Timer>> timers;
        std::vector<int64_t> fired;
        Monotonic start = world.clock.now();
        for (int64_t i = 0; i < 3000; i++) {
            int64_t after = (i * 7919) % 3001 * 1000;  // every moment once, up to 3 ms
            timers.push_back(world.clock.call_at({start.ns + after},
                                                 [&fired, after] { fired.push_back(after); }));
        }
        for (std::size_t i = 0; i < timers.size(); i += 3) timers[i].reset();
        co_await world.clock.sleep_until(start + 10ms);
        EXPECT_EQ(fired.size(), 2000u);
        // Moments that had passed before their timer was made may fire after one another's.
        EXPECT_EQ(std::set<int64_t>(fired.begin(), fired.end()).size(), 2000u);
    });
}

TEST_F(ClockContract, TheWallClockShowsADateOfThisCentury) {
    run([&](World& world) -> Task<void> {
        EXPECT_GT(world.clock.wall().seconds(), 946'684'800);    // 2000-01-01
        EXPECT_LT(world.clock.wall().seconds(), 4'102'444'800);  // 2100-01-01
        co_return;
    });
}

TEST_F(RandomContract, ValuesDoNotRepeat) {
    run([&](World& world) -> Task<void> {
        std::set<uint64_t> seen;
        for (int i = 0; i < 2000; i++) seen.insert(world.random.next());
        EXPECT_EQ(seen.size(), 2000u);
        co_return;
    });
}

TEST_F(RandomContract, EverySizeIsFilled) {
    run([&](World& world) -> Task<void> {
        for (std::size_t size : {0, 1, 7, 16, 63, 64, 65, 255, 256, 257, 5000}) {
            std::vector<std::byte> once(size);
            std::vector<std::byte> seen(size);  // octets that were ever not zero
            for (int i = 0; i < 20; i++) {
                world.random.fill(once);
                for (std::size_t at = 0; at < size; at++) seen[at] |= once[at];
            }
            EXPECT_EQ(std::count(seen.begin(), seen.end(), std::byte{0}), 0) << size;
        }
        co_return;
    });
}

TEST_F(RandomContract, BelowStaysBelow) {
    run([&](World& world) -> Task<void> {
        for (int i = 0; i < 1000; i++) EXPECT_LT(world.random.below(7), 7u);
        co_return;
    });
}

}  // namespace
}  // namespace postrider::contract
