// What lies in the spool is read beside new mail: nobody waits at the door for it.

#include <atomic>
#include <optional>

#include "sim/spool_machine.h"

namespace postrider::sim {
namespace {

constexpr uint64_t kFirst = 256;
constexpr uint64_t kOld = 3000;  // messages of an earlier life
constexpr uint64_t kNew = kFirst + kOld;

Task<void> fill(Spool& spool) {
    for (uint64_t id = kFirst; id < kNew; id += 10) {
        CommitRequest request;
        for (uint64_t one = id; one < id + 10; ++one) {
            request.messages.push_back(incoming(one, 2000));
        }
        co_await store(spool, std::move(request));
    }
}

TEST(SpoolRecovering, MailIsStoredWhileEarlierLivesAreBeingRead) {
    Machine machine;
    machine.with_spool(
        [](world::World&, Spool& spool, Recovered&) -> Task<void> { co_await fill(spool); });
    machine.run([&](world::World& world) -> Task<void> {
        spool::SpoolReport found;
        auto spool = co_await Spool::open(world, machine.options, found);
        EXPECT_TRUE(spool);
        if (!spool) co_return;
        EXPECT_GT(found.segments_in_use, 4u);
        EXPECT_EQ(found.highest_id, MessageId{kNew - 1});
        std::atomic<bool> recovered = false;
        auto read_all = [](Spool& from, std::atomic<bool>& done) -> Task<void> {
            auto all = co_await from.recover();
            EXPECT_TRUE(all);
            if (all) EXPECT_EQ(all->messages.size(), kOld) << "what came meanwhile is not among it";
            done = true;
        };
        world.executor.spawn(read_all(**spool, recovered));
        EXPECT_TRUE((co_await (*spool)->stats()).recovering);
        auto early = co_await (*spool)->read({kFirst});
        EXPECT_FALSE(early);
        if (!early) EXPECT_EQ(early.error().kind, Kind::Recovering);
        co_await store(**spool, message(kNew, 200'000));
        co_await store(**spool, message(kNew + 1));
        co_await store(**spool, outcome(kNew + 1));
        EXPECT_TRUE(co_await (*spool)->read({kNew}));
        EXPECT_FALSE(recovered);
        while (!recovered) co_await world.clock.sleep_for(1ms);
        auto stats = co_await (*spool)->stats();
        EXPECT_FALSE(stats.recovering);
        EXPECT_EQ(stats.live_messages, kOld + 1);
        EXPECT_TRUE(co_await (*spool)->read({kFirst}));
        EXPECT_TRUE(co_await (*spool)->read({kNew}));
        auto never = co_await (*spool)->read({kNew + 9});
        EXPECT_FALSE(never);
        if (!never) EXPECT_EQ(never.error().kind, Kind::NotFound);
        for (uint64_t id = kFirst; id < kNew; ++id) co_await store(**spool, outcome(id));
        co_await (*spool)->close();
    });
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.report.live_messages, 1u);
        EXPECT_EQ(found.report.large_files, 1u);
        EXPECT_TRUE(found.report.large_missing.empty());
        EXPECT_LT(found.report.segments_in_use, 4u) << "emptied segments are left";
        co_return;
    });
}

TEST(SpoolRecovering, ACloseWhileEarlierLivesAreBeingReadLeavesThemAsTheyWere) {
    Machine machine;
    machine.with_spool(
        [](world::World&, Spool& spool, Recovered&) -> Task<void> { co_await fill(spool); }, false);
    machine.run([&](world::World& world) -> Task<void> {
        spool::SpoolReport found;
        auto spool = co_await Spool::open(world, machine.options, found);
        EXPECT_TRUE(spool);
        if (!spool) co_return;
        EXPECT_FALSE(found.clean_stop);
        std::optional<Kind> ended;
        auto read_all = [](Spool& from, std::optional<Kind>& how) -> Task<void> {
            auto all = co_await from.recover();
            EXPECT_FALSE(all);
            if (!all) how = all.error().kind;
        };
        world.executor.spawn(read_all(**spool, ended));
        co_await store(**spool, message(kNew));
        co_await (*spool)->close();
        while (!ended) co_await world.clock.sleep_for(1ms);
        EXPECT_EQ(*ended, Kind::Closed);
    });
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_FALSE(found.report.clean_stop) << "nobody has looked at what the crash cut off";
        EXPECT_EQ(found.report.live_messages, kOld + 1);
        co_return;
    });
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_TRUE(found.report.clean_stop);
        EXPECT_EQ(found.report.live_messages, kOld + 1);
        co_return;
    });
}

// No life is long enough to read all that lies there, so none can free anything.
TEST(SpoolRecovering, ManyShortLivesTakeNoWholeSegmentEach) {
    static constexpr uint64_t kLives = 40;
    Machine machine;
    for (uint64_t life = 0; life < kLives; ++life) {
        machine.run([&](world::World& world) -> Task<void> {
            spool::SpoolReport found;
            auto spool = co_await Spool::open(world, machine.options, found);
            EXPECT_TRUE(spool);
            if (!spool) co_return;
            co_await store(**spool, message(kFirst + life, 2000));
            machine.kept.push_back(*std::move(spool));
        });
    }
    uint64_t octets = 0;
    auto segments = machine.host.disk().files().find_directory("/spool/segments");
    ASSERT_TRUE(segments);
    for (const auto& [name, inode] : (*segments)->names) octets += inode->visible.size();
    // A header and a record each, beside those that are prepared and those not worth it yet.
    EXPECT_LT(octets, kLives * 12'000 + 10 * machine.options.segment_octets);
    machine.with_spool([](world::World&, Spool& spool, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.report.live_messages, kLives);
        EXPECT_TRUE(found.report.damage.empty());
        for (uint64_t life = 0; life < kLives; ++life)
            co_await store(spool, outcome(kFirst + life));
    });
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_LT(found.report.segments, 10u) << "those that are smaller are not used again";
        co_return;
    });
}

// A segment whose end is known is read only by recover(): what has gone bad there is told then.
TEST(SpoolRecovering, DamageInTheMidstOfTheLogIsToldWhenItIsRead) {
    Machine machine;
    machine.with_spool(
        [](world::World&, Spool& spool, Recovered&) -> Task<void> { co_await fill(spool); });
    ASSERT_TRUE(machine.host.disk().rot("/spool/segments/00000001.log", 20'000, 100, 3));
    machine.run([&](world::World& world) -> Task<void> {
        spool::SpoolReport before;
        auto spool = co_await Spool::open(world, machine.options, before);
        EXPECT_TRUE(spool);
        if (!spool) co_return;
        EXPECT_TRUE(before.damage.empty());
        auto found = co_await (*spool)->recover();
        EXPECT_TRUE(found);
        if (!found) co_return;
        EXPECT_EQ(found->report.damage.size(), 1u);
        EXPECT_EQ(found->report.live_messages, kOld - 10) << "a record of ten";
        EXPECT_FALSE(found->report.damage.empty() || found->report.damage[0].kept_as.empty());
        EXPECT_EQ(machine.host.log_count(LogLevel::Error), 1u);
        // The next segment says so, and it is not told again.
        for (uint64_t id = kNew; id < kNew + 80; ++id) co_await store(**spool, message(id, 2000));
        co_await (*spool)->close();
    });
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_TRUE(found.report.damage.empty());
        EXPECT_EQ(found.report.live_messages, kOld - 10 + 80);
        co_return;
    });
}

}  // namespace
}  // namespace postrider::sim
