// The spool's bad days, one by one: rot, a newer version, a second process, moving out of old
// segments, messages that cannot be read. Those of its disk: spool_failing_disk_test.cc.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "sim/spool_machine.h"
#include "spool/patient_file.h"
#include "spool/record.h"

namespace postrider::sim {
namespace {

TEST(SpoolBadDays, ACleanStopIsToldFromACrash) {
    Machine machine;
    machine.with_spool([](world::World&, Spool& spool, Recovered& found) -> Task<void> {
        EXPECT_TRUE(found.report.clean_stop);
        co_await store(spool, message(256));
    });
    machine.with_spool(
        [](world::World&, Spool& spool, Recovered& found) -> Task<void> {
            EXPECT_TRUE(found.report.clean_stop);
            EXPECT_EQ(found.report.live_messages, 1u);
            EXPECT_EQ(found.report.highest_id, MessageId{256});
            co_await store(spool, outcome(256));
        },
        false);
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_FALSE(found.report.clean_stop);
        EXPECT_EQ(found.report.live_messages, 0u);
        co_return;
    });
}

TEST(SpoolBadDays, ASecondOpenIsRefused) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool&, Recovered&) -> Task<void> {
        Recovered other;
        auto second = co_await open_whole(world, machine.options, other);
        EXPECT_FALSE(second);
        if (!second) {
            EXPECT_EQ(second.error().kind, Kind::Locked);
            EXPECT_EQ(second.error().message, "/spool is in use by another process");
        }
    });
}

TEST(SpoolBadDays, ANewerVersionIsRefusedWithBothNumbers) {
    Machine machine;
    machine.run([&](world::World& world) -> Task<void> {
        (void)co_await world.disk.make_directories("/spool/segments");
        auto file =
            co_await world.disk.open("/spool/segments/00000001.log", world::OpenMode::CreateNew);
        std::string header = spool::encode(spool::SegmentHeader{7, {1, 2}, 128 * 1024});
        std::string_view piece = header;
        (void)co_await (*file)->write_at(0, std::span(&piece, 1));
        Recovered found;
        auto opened = co_await open_whole(world, machine.options, found);
        EXPECT_FALSE(opened);
        if (opened) co_return;
        EXPECT_EQ(opened.error().kind, Kind::NewerVersion);
        EXPECT_EQ(opened.error().message,
                  "/spool/segments/00000001.log has format version 7, this program knows versions "
                  "up to 1");
    });
}

TEST(SpoolBadDays, RotBeforeTheEndIsToldAsDamage) {
    Machine machine;
    machine.with_spool(
        [](world::World& world, Spool& spool, Recovered&) -> Task<void> {
            for (uint64_t id = 256; id < 266; ++id) co_await store(spool, message(id, 1000));
            co_await world.clock.sleep_for(1s);  // a Mark is written
        },
        false);
    // The second message's record: the first one is 1.2 KiB behind the header page.
    ASSERT_TRUE(machine.host.disk().rot("/spool/segments/00000001.log", 4096 + 1700, 100, 3));
    machine.with_spool(
        [&](world::World& world, Spool&, Recovered& found) -> Task<void> {
            EXPECT_EQ(found.report.live_messages, 9u);
            EXPECT_EQ(found.report.damage.size(), 1u);
            if (found.report.damage.empty()) co_return;
            auto kept = co_await world.disk.info(found.report.damage[0].kept_as);
            EXPECT_TRUE(kept);
            EXPECT_EQ(kept->size, found.report.damage[0].octets);
        },
        false);
    EXPECT_EQ(machine.host.log_count(LogLevel::Error), 1u);
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.report.live_messages, 9u);
        EXPECT_EQ(found.report.damage.size(), 0u) << "told once";
        co_return;
    });
}

// It is told once; afterwards its place in the log may be written over.
TEST(SpoolBadDays, TheCopyOfWhatIsDamagedOutlivesALossOfPower) {
    const std::string log = "/spool/segments/00000001.log";
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Machine machine(seed);
        auto live = [&](auto work) {
            machine.host.boot([&machine, work](world::World& world) -> Task<void> {
                Recovered found;
                auto spool = co_await open_whole(world, machine.options, found);
                EXPECT_TRUE(spool);
                if (spool) co_await work(world, **spool, found);
                if (spool) machine.kept.push_back(*std::move(spool));
            });
            EXPECT_TRUE(machine.sim.run_until([&] { return machine.host.main_ended(); }, 1h));
            machine.host.power_loss();
        };
        auto read = [](world::World& world, std::string path, uint64_t offset,
                       uint64_t size) -> Task<std::string> {
            auto file = co_await world.disk.open(path, world::OpenMode::Read);
            EXPECT_TRUE(file) << path;
            if (!file) co_return "";
            std::string out(size, '\0');
            auto got = co_await (*file)->read_at(offset, out);
            out.resize(got ? *got : 0);
            co_return out;
        };
        live([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
            for (uint64_t id = 256; id < 260; ++id) co_await store(spool, message(id, 1000));
            co_await world.clock.sleep_for(1s);
        });
        ASSERT_TRUE(machine.host.disk().rot(log, 4096 + 1700, 100, 3));
        spool::Damage damage;
        std::string want;
        live([&](world::World& world, Spool&, Recovered& found) -> Task<void> {
            EXPECT_EQ(found.report.damage.size(), 1u);
            if (found.report.damage.empty()) co_return;
            damage = found.report.damage[0];
            want = co_await read(world, log, damage.offset, damage.octets);
        });
        live([&](world::World& world, Spool&, Recovered& found) -> Task<void> {
            EXPECT_EQ(found.report.damage.size(), 0u);
            EXPECT_EQ(co_await read(world, damage.kept_as, 0, damage.octets), want);
            std::string words = damage.kept_as.substr(0, damage.kept_as.rfind('.')) + ".txt";
            EXPECT_TRUE((co_await read(world, words, 0, 1000)).starts_with("from: " + log));
        });
    }
}

TEST(SpoolBadDays, AReadRefusedForAMomentAtTheStartSetsNothingAside) {
    Machine machine;
    machine.with_spool([](world::World&, Spool& spool, Recovered&) -> Task<void> {
        for (uint64_t id = 256; id < 260; ++id) co_await store(spool, message(id, 1000));
    });
    machine.host.disk_faults().fail_next_reads = 20;
    Monotonic begun = machine.sim.now();
    machine.with_spool([&](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.report.live_messages, 4u);
        EXPECT_TRUE(found.report.damage.empty());
        EXPECT_GE(machine.sim.now() - begun, 20 * spool::kReadPause) << "it gives the disk time";
        co_return;
    });
}

TEST(SpoolBadDays, AMessageOnABrokenSectorIsSetAsideAfterAnHour) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        for (uint64_t id = 256; id < 266; ++id) co_await store(spool, message(id, 1000));
        EXPECT_TRUE(machine.host.disk().break_sector("/spool/segments/00000001.log", 4096 + 1700));
        auto read = co_await spool.read(MessageId{257});
        EXPECT_FALSE(read);
        if (!read)
            EXPECT_EQ(read.error().kind, spool::SpoolError::Kind::DiskFailing) << "it may pass";
        co_await world.clock.sleep_for(61min);
        read = co_await spool.read(MessageId{257});
        EXPECT_FALSE(read);
        if (!read) EXPECT_EQ(read.error().kind, spool::SpoolError::Kind::Damaged);
        EXPECT_EQ((co_await spool.stats()).live_messages, 9u);
    });
}

TEST(SpoolBadDays, ADamagedHeaderDoesNotHideItsRecords) {
    Machine machine;
    machine.with_spool([](world::World&, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256));
    });
    ASSERT_TRUE(machine.host.disk().rot("/spool/segments/00000001.log", 0, 60, 1));
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.report.live_messages, 1u);
        EXPECT_EQ(found.report.damage.size(), 1u);
        co_return;
    });
}

TEST(SpoolBadDays, AMessageThatRottedIsSetAside) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256, 20'000));
        co_await store(spool, message(257, 20'000));
        EXPECT_TRUE(machine.host.disk().rot("/spool/segments/00000001.log", 14'000, 1000, 1));
        auto read = co_await spool.read({256});
        EXPECT_FALSE(read);
        if (read) co_return;
        EXPECT_EQ(read.error().kind, Kind::Damaged);
        EXPECT_TRUE(co_await spool.read({257}));
        auto again = co_await spool.read({256});
        EXPECT_FALSE(again);
        if (again) co_return;
        EXPECT_EQ(again.error().kind, Kind::NotFound);
        EXPECT_TRUE(co_await world.disk.info("/spool/damaged/" + MessageId{256}.text() + ".bytes"));
    });
}

TEST(SpoolBadDays, AMessageThatRottedIsLiveUntilItsEndIsWritten) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256, 20'000));
        EXPECT_TRUE(machine.host.disk().rot("/spool/segments/00000001.log", 14'000, 1000, 1));
        machine.host.disk_faults().fail_every_sync = true;
        auto read = co_await spool.read({256});
        EXPECT_FALSE(read);
        if (!read) EXPECT_EQ(read.error().kind, Kind::DiskFailing) << "to be asked for again";
        EXPECT_EQ((co_await spool.stats()).live_messages, 1u);
        machine.host.disk_faults().fail_every_sync = false;
        co_await world.clock.sleep_for(3min);
        EXPECT_EQ((co_await spool.stats()).live_messages, 0u);
        auto again = co_await spool.read({256});
        EXPECT_FALSE(again);
        if (!again) EXPECT_EQ(again.error().kind, Kind::NotFound);
    });
}

TEST(SpoolBadDays, ALargeMessageWhoseFileIsGoneIsSetAside) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256, 400'000));
        EXPECT_TRUE(co_await spool.read({256}));
        (void)co_await world.disk.remove("/spool/large/" + MessageId{256}.text());
        auto read = co_await spool.read({256});
        EXPECT_FALSE(read);
        if (!read) EXPECT_EQ(read.error().kind, Kind::Damaged);
    });
}

// Its outcome comes at any moment while the large message is set aside.
TEST(SpoolBadDays, AMessageMayHaveItsEndWhileItIsSetAside) {
    int ended_first = 0;
    for (int moment = 0; moment < 60; moment++) {
        Machine machine(static_cast<uint64_t>(moment) + 1);
        machine.host.disk_faults().sync_max = 200us;
        machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
            co_await store(spool, message(256, 400'000));
            bool ended = false;
            auto end_it = [](Spool& in, bool& done) -> Task<void> {
                co_await store(in, outcome(256, RecipientState::Removed));
                done = true;
            };
            auto timer = world.clock.call_at(world.clock.now() + moment * 20us,
                                             [&] { world.executor.spawn(end_it(spool, ended)); });
            EXPECT_TRUE(co_await spool.set_aside({256}, "it is poisonous"));
            if (ended) ended_first++;
            while (!ended) co_await world.clock.sleep_for(1ms);
            EXPECT_EQ((co_await spool.stats()).live_messages, 0u);
        });
        machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
            EXPECT_EQ(found.report.live_messages, 0u);
            EXPECT_TRUE(found.report.large_missing.empty());
            co_return;
        });
    }
    EXPECT_GT(ended_first, 5);
    EXPECT_LT(ended_first, 55);
}

TEST(SpoolBadDays, ALargeMessagesRotIsSeenByItsReader) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256, 400'000));
        std::string path = "/spool/large/" + MessageId{256}.text();
        EXPECT_TRUE(machine.host.disk().rot(path, 200'000, 1, 1));
        auto read = co_await spool.read({256});
        EXPECT_TRUE(read);
        if (!read) co_return;
        auto reader = spool::open_content(**read, world.disk);
        std::string part(1000, '\0');
        EXPECT_TRUE(co_await reader->read(0, part));
        EXPECT_FALSE(co_await reader->read(200'500, part)) << "the block with the wrong octet";
        EXPECT_TRUE(co_await reader->read(300'000, part));
    });
}

TEST(SpoolBadDays, WhatDoesNotFitIntoARecordIsRefused) {
    Machine machine;
    machine.with_spool([&](world::World&, Spool& spool, Recovered&) -> Task<void> {
        auto wide = co_await spool.commit(message(256, 100'000), Deadline::never());
        EXPECT_FALSE(wide);
        if (!wide) EXPECT_EQ(wide.error().kind, Kind::TooLarge);
    });
}

TEST(SpoolBadDays, AnOldMessageDoesNotKeepTheLogFromBeingUsedAgain) {
    Machine machine;
    machine.with_spool([&](world::World&, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256, 5'000));  // stays
        for (uint64_t id = 257; id < 557; ++id) {
            co_await store(spool, message(id, 20'000));
            co_await store(spool, outcome(id));
        }
        auto stats = co_await spool.stats();
        EXPECT_GT(stats.moved_messages, 0u);
        EXPECT_LT(stats.segments, 14u) << "6 MB went through segments of 128 KiB";
        EXPECT_TRUE(co_await spool.read({256}));
    });
}

TEST(SpoolBadDays, TheHighestIdIsKnownAlsoWhenItsRecordIsGone) {
    Machine machine;
    machine.with_spool([](world::World&, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(1'000'000));
        co_await store(spool, outcome(1'000'000));
        // Lower ones, as a clock that was set back gives them, until the log has gone round.
        for (uint64_t id = 1; id <= 200; id++) {
            co_await store(spool, message(id, 20'000));
            co_await store(spool, outcome(id));
        }
    });
    machine.with_spool([](world::World&, Spool&, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.report.highest_id, MessageId{1'000'000});
        co_return;
    });
}

TEST(SpoolBadDays, ManyWhoWaitShareOneSync) {
    Machine machine;
    machine.with_spool([&](world::World& world, Spool& spool, Recovered&) -> Task<void> {
        auto before = co_await spool.stats();
        for (uint64_t id = 256; id < 306; ++id) {
            world.executor.post_to(static_cast<int>(id % 2), [&world, &spool, id] {
                world.executor.spawn(store(spool, message(id)));
            });
        }
        co_await world.clock.sleep_for(1s);
        auto after = co_await spool.stats();
        EXPECT_EQ(after.commits - before.commits, 50u);
        EXPECT_LE(after.groups - before.groups, 5u);
    });
}

TEST(SpoolBadDays, AttemptsThatNeverEndedAreCounted) {
    Machine machine;
    for (int life = 0; life < 3; ++life) {
        machine.with_spool(
            [&](world::World& world, Spool& spool, Recovered& found) -> Task<void> {
                if (life == 0) co_await store(spool, message(256));
                if (life > 0) {
                    EXPECT_EQ(found.messages.size(), 1u);
                    EXPECT_EQ(found.messages[0].unfinished_attempts, life);
                }
                auto noted =
                    co_await spool.note_attempt({256}, Deadline::after(world.clock.now(), 1min));
                EXPECT_TRUE(noted);
            },
            false);
    }
}

TEST(SpoolBadDays, CheckTellsWhatIsThereAndChangesNothing) {
    Machine machine;
    machine.with_spool([](world::World&, Spool& spool, Recovered&) -> Task<void> {
        co_await store(spool, message(256));
        co_await store(spool, message(257, 300'000));
        co_await store(spool, outcome(256));
    });
    machine.run([](world::World& world) -> Task<void> {
        auto file = co_await world.disk.open("/spool/large/left", world::OpenMode::CreateNew);
        EXPECT_TRUE(file);
        auto report = co_await spool::check(world, "/spool");
        EXPECT_TRUE(report) << report.error().message;
        if (!report) co_return;
        EXPECT_EQ(report->live_messages, 1u);
        EXPECT_EQ(report->waiting_recipients, 1u);
        EXPECT_EQ(report->large_files, 1u);
        EXPECT_EQ(report->large_unreferenced, std::vector<std::string>{"left"});
        EXPECT_TRUE(report->clean_stop);
        EXPECT_TRUE(co_await world.disk.info("/spool/large/left"));
        EXPECT_FALSE(co_await spool::check(world, "/elsewhere"));
    });
}

TEST(SpoolBadDays, DeferralsAreRememberedWhenThereWasTime) {
    Machine machine;
    machine.with_spool(
        [](world::World& world, Spool& spool, Recovered&) -> Task<void> {
            co_await store(spool, message(256));
            spool.record_lazily(
                {{256}, 0, RecipientState::Waiting, {4, 4, 1}, "no answer", 3, {1234}, {}});
            co_await world.clock.sleep_for(1s);
        },
        false);
    machine.with_spool([](world::World&, Spool& spool, Recovered& found) -> Task<void> {
        EXPECT_EQ(found.messages.size(), 1u);
        if (found.messages.empty()) co_return;
        auto read = co_await spool.read(found.messages[0].id);
        EXPECT_TRUE(read) << read.error().message;
        if (!read) co_return;
        const spool::Standing& standing = (*read)->recipients[0];
        EXPECT_EQ(standing.attempts, 3u);
        EXPECT_EQ(standing.next_attempt, Wall{1234});
        EXPECT_EQ(standing.reason, "no answer");
    });
}

}  // namespace
}  // namespace postrider::sim
