// sim/sim_disk_test.cc: what a loss of power leaves, and that no more is promised.
//
// Method: a short program runs on one host with thousands of seeds; what the promises of
// world/disk.h say must hold for each seed, and each kind of loss must be seen for some.

#include "sim/sim_disk.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using world::Disk;
using world::File;
using world::OpenMode;
using world::World;
using Kind = world::DiskError::Kind;

// One host; run() lets a task run to its end in the present life, or in a new one.
struct Machine {
    explicit Machine(uint64_t seed) : sim(seed), host(sim.add_host("disk.example", {})) {}

    void run(Host::Main work) {
        bool done = false;
        auto whole = [&done, work = std::move(work)](World& world) mutable -> Task<void> {
            co_await work(world);
            done = true;
        };
        if (host.is_up()) {
            host.spawn(0, std::move(whole));
        } else {
            host.boot(std::move(whole));
        }
        ASSERT_TRUE(sim.run_until([&] { return done; }, 1h)) << "seed " << sim.seed();
    }

    void run_and_lose_power(Host::Main work) {
        run(std::move(work));
        host.power_loss();
    }

    std::string content(std::string_view path) {
        return host.disk().files().visible_text(path).value_or("<gone>");
    }

    Simulation sim;
    Host& host;
};

Task<std::unique_ptr<File>> open(World& world, std::string path) {
    auto file = co_await world.disk.open(std::move(path), OpenMode::Create);
    EXPECT_TRUE(file.has_value()) << file.error().message;
    co_return file ? std::move(*file) : nullptr;
}

Task<world::DiskStatus> write(File& file, uint64_t offset, std::string text) {
    std::string_view pieces[] = {text};
    co_return co_await file.write_at(offset, pieces);
}

// A durable file "f" that holds `text`.
Task<std::unique_ptr<File>> durable(World& world, std::string text) {
    auto file = co_await open(world, "f");
    EXPECT_TRUE(co_await write(*file, 0, std::move(text)));
    EXPECT_TRUE(co_await file->sync());
    EXPECT_TRUE(co_await world.disk.sync_directory("/"));
    co_return file;
}

constexpr uint64_t kSeeds = 3000;

TEST(SimDisk, UnsyncedWritesAreLostTornAndReorderedAndSyncedOnesNever) {
    int nothing = 0, everything = 0, in_order = 0, reordered = 0, torn = 0;
    for (uint64_t seed = 1; seed <= kSeeds; seed++) {
        Machine machine(seed);
        machine.run_and_lose_power([](World& world) -> Task<void> {
            auto file = co_await durable(world, std::string(4096, 'a'));
            for (uint64_t i = 0; i < 4; i++) {
                (void)co_await write(*file, 4096 + i * 1024, std::string(1024, char('b' + i)));
            }
        });
        std::string left = machine.content("f");
        ASSERT_GE(left.size(), 4096u) << "seed " << seed;
        ASSERT_EQ(left.substr(0, 4096), std::string(4096, 'a')) << "seed " << seed;
        ASSERT_LE(left.size(), 8192u) << "seed " << seed;
        std::string rest = left.substr(4096);
        rest.resize(4096);
        bool is_torn = false;
        std::string sectors;  // a letter for each that was written, '-' for each that was not
        for (std::size_t at = 0; at < 4096; at += kSectorOctets) {
            char want = char('b' + at / 1024);
            std::size_t there =
                std::size_t(std::count(rest.begin() + std::ptrdiff_t(at),
                                       rest.begin() + std::ptrdiff_t(at + kSectorOctets), want));
            std::size_t zeros =
                std::size_t(std::count(rest.begin() + std::ptrdiff_t(at),
                                       rest.begin() + std::ptrdiff_t(at + kSectorOctets), '\0'));
            ASSERT_EQ(there + zeros, kSectorOctets) << "seed " << seed;
            sectors += there > 0 ? want : '-';
            is_torn |= there > 0 && zeros > 0;
        }
        torn += is_torn;
        if (sectors == "--------")
            nothing++;
        else if (sectors == "bbccddee" && !is_torn)
            everything++;
        else if (sectors.find('-') > sectors.find_last_not_of('-'))
            in_order++;
        else
            reordered++;
    }
    EXPECT_GT(nothing, 100);
    EXPECT_GT(everything, 100);
    EXPECT_GT(in_order, 100);
    EXPECT_GT(reordered, 100);
    EXPECT_GT(torn, 20);
}

TEST(SimDisk, OverwritesLeaveOldOrNewOctetsInEachSector) {
    int old_ones = 0, mixed = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        machine.run_and_lose_power([](World& world) -> Task<void> {
            auto file = co_await durable(world, std::string(2048, 'a'));
            (void)co_await write(*file, 0, std::string(2048, 'b'));
        });
        std::string left = machine.content("f");
        ASSERT_EQ(left.size(), 2048u);
        std::size_t kept = std::size_t(std::count(left.begin(), left.end(), 'a'));
        ASSERT_EQ(kept + std::size_t(std::count(left.begin(), left.end(), 'b')), 2048u);
        old_ones += kept == 2048;
        mixed += kept > 0 && kept < 2048;
    }
    EXPECT_GT(old_ones, 50);
    EXPECT_GT(mixed, 50);
}

TEST(SimDisk, ASectorNeverHoldsALaterWriteWithoutTheEarlierOnes) {
    int earlier_only = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        machine.host.disk_faults().power_loss.torn_sector_per_1000 = 0;
        machine.run_and_lose_power([](World& world) -> Task<void> {
            auto file = co_await durable(world, std::string(512, 'a'));
            (void)co_await write(*file, 0, "first");
            (void)co_await write(*file, 100, "second");
        });
        std::string left = machine.content("f");
        bool first = left.substr(0, 5) == "first";
        bool second = left.substr(100, 6) == "second";
        ASSERT_TRUE(first || !second) << "seed " << seed;
        earlier_only += first && !second;
    }
    EXPECT_GT(earlier_only, 20);
}

TEST(SimDisk, TruncateSurvivesOrNotAndOldOctetsDoNotComeBack) {
    int cut = 0, whole = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        machine.run_and_lose_power([](World& world) -> Task<void> {
            auto file = co_await durable(world, std::string(3000, 'a'));
            EXPECT_TRUE(co_await file->truncate(1000));
        });
        std::string left = machine.content("f");
        ASSERT_TRUE(left == std::string(3000, 'a') || left == std::string(1000, 'a'));
        (left.size() == 1000 ? cut : whole)++;
    }
    EXPECT_GT(cut, 100);
    EXPECT_GT(whole, 100);
}

TEST(SimDisk, SyncCoversOnlyWhatWasWrittenBeforeIt) {
    int later_lost = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        machine.host.disk_faults().sync_min = 5ms;
        machine.host.disk_faults().sync_max = 9ms;
        bool wrote_during_sync = false;
        machine.run_and_lose_power([&](World& world) -> Task<void> {
            auto file = co_await durable(world, "start");
            (void)co_await write(*file, 1000, "before");
            world.executor.spawn([](World& inner, bool& wrote) -> Task<void> {
                auto other = co_await open(inner, "f");
                (void)co_await write(*other, 2000, "during");
                wrote = true;
            }(world, wrote_during_sync));
            EXPECT_TRUE(co_await file->sync());
            EXPECT_TRUE(wrote_during_sync);
        });
        std::string left = machine.content("f");
        ASSERT_GE(left.size(), 1006u) << "seed " << seed;
        ASSERT_EQ(left.substr(1000, 6), "before") << "seed " << seed;
        later_lost += left.size() < 2006 || left.substr(2000, 6) != "during";
    }
    EXPECT_GT(later_lost, 100);
}

TEST(SimDisk, AFileWhoseNameWasNotSyncedMayBeGone) {
    int gone = 0, there = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        machine.run_and_lose_power([](World& world) -> Task<void> {
            auto file = co_await open(world, "f");
            (void)co_await write(*file, 0, "synced");
            EXPECT_TRUE(co_await file->sync());
        });
        std::string left = machine.content("f");
        ASSERT_TRUE(left == "<gone>" || left == "synced") << left;
        (left == "synced" ? there : gone)++;
    }
    EXPECT_GT(gone, 100);
    EXPECT_GT(there, 100);
}

TEST(SimDisk, ANameWhoseContentWasNotSyncedMayBeEmpty) {
    int empty = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        machine.run_and_lose_power([](World& world) -> Task<void> {
            auto file = co_await open(world, "f");
            (void)co_await write(*file, 0, "text");
            EXPECT_TRUE(co_await world.disk.sync_directory("/"));
        });
        ASSERT_NE(machine.content("f"), "<gone>") << "seed " << seed;
        empty += machine.content("f").empty();
    }
    EXPECT_GT(empty, 100);
}

TEST(SimDisk, RenameInOneDirectoryIsOldOrNewNeverNeither) {
    int old_ones = 0, new_ones = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        machine.run_and_lose_power([](World& world) -> Task<void> {
            auto file = co_await durable(world, "old");
            auto next = co_await open(world, "next");
            (void)co_await write(*next, 0, "new");
            EXPECT_TRUE(co_await next->sync());
            EXPECT_TRUE(co_await world.disk.sync_directory("/"));
            EXPECT_TRUE(co_await world.disk.rename("next", "f"));
        });
        bool is_old = machine.content("f") == "old" && machine.content("next") == "new";
        bool is_new = machine.content("f") == "new" && machine.content("next") == "<gone>";
        ASSERT_TRUE(is_old || is_new) << "seed " << seed;
        (is_old ? old_ones : new_ones)++;
    }
    EXPECT_GT(old_ones, 100);
    EXPECT_GT(new_ones, 100);
}

TEST(SimDisk, AMoveBetweenDirectoriesNeverLosesTheFile) {
    int both = 0;
    for (uint64_t seed = 1; seed <= kSeeds / 3; seed++) {
        Machine machine(seed);
        bool sync_source = seed % 2 == 0;
        machine.run_and_lose_power([&](World& world) -> Task<void> {
            EXPECT_TRUE(co_await world.disk.make_directories("tmp"));
            EXPECT_TRUE(co_await world.disk.make_directories("new"));
            auto file = co_await open(world, "tmp/f");
            (void)co_await write(*file, 0, "text");
            EXPECT_TRUE(co_await file->sync());
            EXPECT_TRUE(co_await world.disk.sync_directory("tmp"));
            EXPECT_TRUE(co_await world.disk.rename("tmp/f", "new/f"));
            if (sync_source) {
                EXPECT_TRUE(co_await world.disk.sync_directory("tmp"));
            }
        });
        bool at_old = machine.content("tmp/f") == "text";
        bool at_new = machine.content("new/f") == "text";
        ASSERT_TRUE(at_old || at_new) << "seed " << seed;
        if (sync_source) ASSERT_TRUE(at_new && !at_old) << "seed " << seed;
        both += at_old && at_new;
    }
    EXPECT_GT(both, 10);
}

TEST(SimDisk, MadeDirectoriesAreDurableWhenTheCallReturns) {
    for (uint64_t seed = 1; seed <= 300; seed++) {
        Machine machine(seed);
        machine.run_and_lose_power([](World& world) -> Task<void> {
            EXPECT_TRUE(co_await world.disk.make_directories("/a/b/c"));
        });
        ASSERT_TRUE(machine.host.disk().files().find_directory("a/b/c")) << "seed " << seed;
    }
}

TEST(SimDisk, AKilledProgramLosesNothingItHadWritten) {
    int partial = 0;
    for (uint64_t seed = 1; seed <= 500; seed++) {
        Machine machine(seed);
        machine.run([](World& world) -> Task<void> {
            auto file = co_await open(world, "f");
            (void)co_await write(*file, 0, "whole");
        });
        machine.host.spawn(0, [](World& world) -> Task<void> {
            auto file = co_await open(world, "g");
            (void)co_await write(*file, 0, std::string(5000, 'g'));
        });
        machine.sim.run_for(Duration(machine.sim.random().below(200'000)));
        machine.host.kill();
        ASSERT_EQ(machine.content("f"), "whole") << "seed " << seed;
        std::string left = machine.content("g");
        partial += left != "<gone>" && !left.empty() && left.size() < 5000;
    }
    EXPECT_GT(partial, 5);  // killed inside a write
}

TEST(SimDisk, AfterAFailedSyncTheFileStaysBrokenAndItsOctetsAreLost) {
    int seen_before = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        Machine machine(seed);
        machine.run([&](World& world) -> Task<void> {
            auto file = co_await durable(world, "kept");
            (void)co_await write(*file, 4, " lost");
            machine.host.disk_faults().fail_next_syncs = 1;
            auto failed = co_await file->sync();
            EXPECT_EQ(failed.error().kind, Kind::Broken);
            EXPECT_EQ((co_await file->sync()).error().kind, Kind::Broken);
            auto again = co_await open(world, "f");
            EXPECT_TRUE(co_await again->sync());
        });
        seen_before += machine.content("f") == "kept lost";
        machine.host.power_loss();
        ASSERT_EQ(machine.content("f"), "kept") << "seed " << seed;
    }
    EXPECT_GT(seen_before, 80);
    EXPECT_LT(seen_before, 220);
}

TEST(SimDisk, AForgottenSyncIsSeen) {
    int lost = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        Machine machine(seed);
        machine.host.disk_faults().forget_sync = true;
        machine.run_and_lose_power(
            [](World& world) -> Task<void> { (void)co_await durable(world, "text"); });
        lost += machine.content("f") != "text";
    }
    EXPECT_GT(lost, 50);
}

TEST(SimDisk, AForgottenSyncOfADirectoryIsSeen) {
    int lost = 0;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        Machine machine(seed);
        machine.host.disk_faults().forget_directory_sync = true;
        machine.run_and_lose_power(
            [](World& world) -> Task<void> { (void)co_await durable(world, "text"); });
        lost += machine.content("f") == "<gone>";
    }
    EXPECT_GT(lost, 50);
}

TEST(SimDisk, AFullDiskTakesWhatFitsAndServesAgainWhenSpaceIsFreed) {
    Machine machine(7);
    machine.host.disk_faults().capacity = 4 * 4096;
    machine.run([](World& world) -> Task<void> {
        auto file = co_await open(world, "f");
        EXPECT_TRUE(co_await write(*file, 0, std::string(8192, 'a')));
        auto other = co_await open(world, "g");
        auto full = co_await write(*other, 0, std::string(12288, 'b'));
        EXPECT_EQ(full.error().kind, Kind::Full);
        EXPECT_TRUE(co_await write(*file, 0, std::string(8192, 'c')));  // in place: no space needed
        EXPECT_TRUE(co_await world.disk.remove("f"));
        auto space = co_await world.disk.space("/");
        EXPECT_LT(space->free_octets, 8192u);  // an open file keeps its space
        file.reset();
        space = co_await world.disk.space("/");
        EXPECT_GE(space->free_octets, 8192u);
        EXPECT_EQ(space->total_octets, 4 * 4096u);
        EXPECT_TRUE(co_await write(*other, 0, std::string(12288, 'b')));
    });
    EXPECT_EQ(machine.content("g"), std::string(12288, 'b'));
}

TEST(SimDisk, AReadOnlyDiskRefusesEachChangeAndReads) {
    Machine machine(7);
    machine.run([&](World& world) -> Task<void> {
        auto file = co_await durable(world, "text");
        machine.host.disk_faults().read_only = true;
        EXPECT_EQ((co_await write(*file, 0, "x")).error().kind, Kind::ReadOnly);
        EXPECT_EQ((co_await file->truncate(0)).error().kind, Kind::ReadOnly);
        EXPECT_EQ((co_await world.disk.rename("f", "g")).error().kind, Kind::ReadOnly);
        EXPECT_EQ((co_await world.disk.remove("f")).error().kind, Kind::ReadOnly);
        EXPECT_EQ((co_await world.disk.open("n", OpenMode::Create)).error().kind, Kind::ReadOnly);
        std::string into(4, '?');
        EXPECT_EQ(*co_await file->read_at(0, into), 4u);
        EXPECT_EQ(into, "text");
    });
}

TEST(SimDisk, RotFlipsBitsOnThePlatters) {
    Machine machine(7);
    machine.run(
        [](World& world) -> Task<void> { (void)co_await durable(world, std::string(1000, 'a')); });
    EXPECT_TRUE(machine.host.disk().rot("f", 500, 10, 1));
    EXPECT_FALSE(machine.host.disk().rot("none", 0, 1, 1));
    std::string left = machine.content("f");
    EXPECT_EQ(std::count(left.begin(), left.end(), 'a'), 999);
    EXPECT_NE(left.substr(500, 10), std::string(10, 'a'));
    machine.host.power_loss();
    EXPECT_EQ(machine.content("f"), left);
}

TEST(SimDisk, ALockEndsWithItsHolderOrItsProcess) {
    Machine machine(7);
    machine.run([](World& world) -> Task<void> {
        auto lock = co_await world.disk.lock("lock");
        EXPECT_TRUE(lock.has_value());
        EXPECT_EQ((co_await world.disk.lock("lock")).error().kind, Kind::Locked);
        lock->reset();
        EXPECT_TRUE((co_await world.disk.lock("lock")).has_value());
    });
    machine.host.spawn(0, [](World& world) -> Task<void> {
        auto lock = co_await world.disk.lock("lock");
        EXPECT_TRUE(lock.has_value());
        co_await world.clock.sleep_for(1h);
    });
    machine.sim.run_for(1s);
    machine.host.kill();
    machine.run([](World& world) -> Task<void> {
        EXPECT_TRUE((co_await world.disk.lock("lock")).has_value());
    });
}

}  // namespace
}  // namespace postrider::sim
