// The spool and a disk that is full, fails, or hangs: what was taken stays, nothing else is
// promised, and service comes back by itself.

#include <gtest/gtest.h>

#include "sim/spool_machine.h"

namespace postrider::sim {
namespace {

TEST(SpoolFailingDisk, AnOpenThatFailedLeavesNothingLocked) {
    int failures = 0;
    for (Duration sound = 0ms; sound < 100ms; sound += 500us) {
        Machine machine;
        machine.run([&](world::World& world) -> Task<void> {
            auto fails = world.clock.call_at(world.clock.now() + sound, [&] {
                machine.host.disk_faults().fail_every_sync = true;
            });
            Recovered found;
            auto first = co_await open_whole(world, machine.options, found);
            machine.host.disk_faults().fail_every_sync = false;
            if (first) {
                co_await (*first)->close();
                co_return;
            }
            failures++;
            EXPECT_EQ(first.error().kind, Kind::DiskFailing);
            auto second = co_await open_whole(world, machine.options, found);
            EXPECT_TRUE(second) << second.error().message;
            if (second) co_await (*second)->close();
        });
    }
    EXPECT_GE(failures, 5);
}

TEST(SpoolFailingDisk, OutcomesAreWrittenWhenTheDiskIsFull) {
    Machine machine;
    machine.host.disk_faults().capacity = 1'200'000;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        uint64_t id = 256;
        Kind refused{};
        for (int i = 0; i < 200; ++i, ++id) {
            auto done = co_await spool.commit(message(id, 20'000), Deadline::never());
            if (done) continue;
            refused = done.error().kind;
            break;
        }
        EXPECT_EQ(refused, Kind::Full);
        EXPECT_GT(id, 270u);
        EXPECT_TRUE((co_await spool.stats()).full);
        for (uint64_t one = 256; one < id; ++one) co_await store(spool, outcome(one));
        co_await world.clock.sleep_for(1s);
        // Service has returned by itself.
        int taken = 0;
        for (int i = 1; i <= 20; ++i) {
            if (co_await spool.commit(message(id + static_cast<uint64_t>(i), 20'000),
                                      Deadline::never())) {
                ++taken;
            }
        }
        EXPECT_EQ(taken, 20);
    });
}

TEST(SpoolFailingDisk, LargeMessagesAreRefusedBelowTheFreeSpaceThatIsKept) {
    Machine machine;
    machine.host.disk_faults().capacity = 30'000'000;
    machine.options.min_free_octets = 8'000'000;
    machine.with_spool([&](world::World&, Spool& spool, Recovered&) -> Task<void> {
        std::string octets;
        octets.resize(25'000'000, 'y');
        spool::Draft draft = spool.begin({300});
        auto done = co_await draft.append(octets);
        EXPECT_FALSE(done);
        if (!done) EXPECT_EQ(done.error().kind, Kind::Full);
        co_await store(spool, message(301));
    });
}

TEST(SpoolFailingDisk, AfterAFailedSyncServiceGoesOnElsewhere) {
    Machine machine;
    machine.with_spool(
        [&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
            co_await store(spool, message(256));
            co_await world.clock.sleep_for(1s);  // no segment is being made any more
            machine.host.disk_faults().fail_next_syncs = 1;
            auto failed = co_await spool.commit(message(257), Deadline::never());
            EXPECT_FALSE(failed);
            if (!failed) EXPECT_EQ(failed.error().kind, Kind::DiskFailing);
            co_await store(spool, message(258));
            EXPECT_TRUE(co_await spool.read({256}));
        },
        false);
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.messages.size(), 2u);
        for (const auto& one : found.messages) EXPECT_NE(one.id, MessageId{257});
        EXPECT_EQ(found.report.damage.size(), 0u);
        co_return;
    });
}

TEST(SpoolFailingDisk, ADiskThatFailsIsTriedAgainUntilItWorks) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256));
        machine.host.disk_faults().fail_every_sync = true;
        for (uint64_t id = 257; id < 260; ++id) {
            auto failed = co_await spool.commit(message(id), Deadline::never());
            EXPECT_FALSE(failed);
        }
        EXPECT_TRUE((co_await spool.stats()).failing);
        co_await world.clock.sleep_for(10min);
        machine.host.disk_faults().fail_every_sync = false;
        co_await world.clock.sleep_for(3min);
        EXPECT_FALSE((co_await spool.stats()).failing);
        co_await store(spool, message(300));
        EXPECT_TRUE(co_await spool.read({256}));
    });
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.messages.size(), 2u);
        co_return;
    });
}

TEST(SpoolFailingDisk, ADiskThatFailsForLongIsNotFilledWithSegmentsThatCouldNotBeMade) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        auto files = [&]() -> Task<std::size_t> {
            auto found = co_await world.disk.list("/spool/segments");
            EXPECT_TRUE(found);
            co_return found ? found->size() : 0;
        };
        co_await store(spool, message(256));
        co_await world.clock.sleep_for(1s);
        std::size_t before = co_await files();
        EXPECT_EQ(before, (co_await spool.stats()).segments);
        machine.host.disk_faults().fail_every_sync = true;
        EXPECT_FALSE(co_await spool.commit(message(257), Deadline::never()));
        co_await world.clock.sleep_for(1h);
        EXPECT_LE(co_await files(), before + 1) << "however often it is tried";
        machine.host.disk_faults().fail_every_sync = false;
        co_await world.clock.sleep_for(3min);
        EXPECT_EQ(co_await files(), (co_await spool.stats()).segments);
        co_await store(spool, message(258));
    });
}

TEST(SpoolFailingDisk, ACommitIsWithdrawnAtItsDeadlineWhileTheDiskHangs) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        machine.host.disk_faults().sync_min = machine.host.disk_faults().sync_max = 10s;
        world.executor.spawn(store(spool, message(256)));
        co_await world.clock.sleep_for(100ms);
        auto late = co_await spool.commit(message(257), Deadline::after(world.clock.now(), 2s));
        EXPECT_FALSE(late);
        if (!late) EXPECT_EQ(late.error().kind, Kind::CallerDeadline);
        machine.host.disk_faults().sync_min = machine.host.disk_faults().sync_max = 1ms;
        co_await world.clock.sleep_for(30s);
        EXPECT_TRUE(co_await spool.read({256}));
        EXPECT_FALSE(co_await spool.read({257}));
    });
}

TEST(SpoolFailingDisk, TooMuchThatWaitsIsRefusedAsBusy) {
    Machine machine;
    machine.options.waiting_octets_max = 30'000;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        machine.host.disk_faults().sync_min = machine.host.disk_faults().sync_max = 1s;
        world.executor.spawn(store(spool, message(256, 20'000)));
        co_await world.clock.sleep_for(10ms);
        auto busy = co_await spool.commit(message(257, 20'000), Deadline::never());
        EXPECT_FALSE(busy);
        if (!busy) EXPECT_EQ(busy.error().kind, Kind::Busy);
        co_await world.clock.sleep_for(5s);
    });
}

}  // namespace
}  // namespace postrider::sim
