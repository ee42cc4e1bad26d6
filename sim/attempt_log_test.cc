// sim/attempt_log_test.cc: what was tried is found again, and no disk of any day disturbs mail.

#include "daemon/attempt_log.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using daemon::AttemptLog;
using daemon::AttemptLogOptions;
using daemon::AttemptStory;
using world::World;
using Numbers = std::vector<uint32_t>;

constexpr std::string_view kFolder = "/spool/attempts";

// A host on which nothing but the log of attempts runs.
struct Scene {
    explicit Scene(uint64_t seed = 1, uint64_t octets_max = 8 << 20)
        : sim(seed),
          host(sim.add_host("mx", {*world::IpAddress::parse("192.0.2.1")})),
          options{.directory = std::string(kFolder), .octets_max = octets_max} {
        boot();
    }

    void boot() {
        stopped = stop_wanted = false;
        host.boot([this](World& world) -> Task<void> {
            AttemptLog attempts(world, options);
            attempts.start();
            log = &attempts;
            while (!stop_wanted) co_await world.clock.sleep_for(10ms);
            co_await attempts.close(Deadline::after(world.clock.now(), 10s));
            stopped = true;
            while (true) co_await world.clock.sleep_for(1h);
        });
        EXPECT_TRUE(sim.run_until([&] { return log != nullptr; }, 1min));
    }
    void kill() {
        log = nullptr;
        host.kill();
    }
    void power_loss() {
        log = nullptr;
        host.power_loss();
    }
    void stop() {
        stop_wanted = true;
        EXPECT_TRUE(sim.run_until([&] { return stopped; }, 1min));
        kill();
    }

    // `count` attempts of message `id`, numbered from `from`; each has some `octets`.
    void add(uint64_t id, uint32_t from, uint32_t count = 1, std::size_t octets = 100) {
        bool done = false;
        host.spawn(0, [&](World&) -> Task<void> {
            std::string dialogue(octets, 'd');
            for (uint32_t i = 0; i < count; i++) {
                log->add({id}, {.number = from + i, .site = "far.test", .dialogue = dialogue});
            }
            done = true;
            co_return;
        });
        EXPECT_TRUE(sim.run_until([&] { return done; }, 1min));
    }

    AttemptStory of(uint64_t id) {
        std::optional<AttemptStory> story;
        host.spawn(0,
                   [&](World&) -> Task<void> { story.emplace(co_await log->of(MessageId{id})); });
        EXPECT_TRUE(sim.run_until([&] { return story.has_value(); }, 5min));
        return std::move(*story);
    }
    Numbers numbers(uint64_t id) {
        Numbers found;
        for (const auto& record : of(id).attempts) found.push_back(record.number);
        return found;
    }

    std::vector<std::string> files() {
        std::vector<std::string> paths;
        auto found = host.disk().files().find_directory(kFolder);
        if (!found) return paths;
        for (const auto& [name, inode] : (*found)->names) {
            paths.push_back(fmt::format("{}/{}", kFolder, name));
        }
        return paths;
    }
    uint64_t octets_on_disk() {
        uint64_t total = 0;
        for (const std::string& path : files()) {
            total += host.disk().files().visible_text(path).value_or("").size();
        }
        return total;
    }
    int64_t count(Event event) const {
        return std::ranges::count_if(host.log_lines(),
                                     [&](const LogLine& line) { return line.event == event; });
    }

    Simulation sim;
    Host& host;
    AttemptLogOptions options;
    AttemptLog* log = nullptr;
    bool stop_wanted = false, stopped = false;
};

TEST(AttemptLog, AnAttemptIsFoundAtOnceAndAfterAStop) {
    Scene scene;
    scene.add(1, 1);
    scene.add(2, 1);
    scene.add(1, 2);
    EXPECT_EQ(scene.numbers(1), (Numbers{1, 2}));
    scene.stop();
    scene.boot();
    EXPECT_EQ(scene.numbers(1), (Numbers{1, 2}));
    EXPECT_EQ(scene.numbers(2), Numbers{1});
    EXPECT_EQ(scene.numbers(3), Numbers{});
    scene.add(1, 3);
    EXPECT_EQ(scene.numbers(1), (Numbers{1, 2, 3}));
}

TEST(AttemptLog, AKillLosesOnlyWhatIsYoungerThanASecond) {
    Scene scene;
    scene.add(1, 1);
    scene.sim.run_for(1100ms);
    scene.add(1, 2);
    scene.kill();
    scene.boot();
    EXPECT_EQ(scene.numbers(1), Numbers{1});
    scene.add(1, 3);
    scene.sim.run_for(1100ms);
    scene.kill();
    scene.boot();
    EXPECT_EQ(scene.numbers(1), (Numbers{1, 3}));
    EXPECT_EQ(scene.files().size(), 1u) << "a restart goes on in the file that is there";
}

TEST(AttemptLog, AfterALossOfPowerItGoesOnAndMakesUpNothing) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        Scene scene(seed);
        Numbers before;
        for (uint32_t life = 0; life < 4; life++) {
            scene.add(1, life * 10 + 1, 3, 3000);
            scene.sim.run_for(Duration(scene.sim.random().below(3'000'000'000)));
            scene.power_loss();
            scene.boot();
            Numbers now = scene.numbers(1);
            EXPECT_TRUE(std::ranges::is_sorted(now)) << "seed " << seed;
            EXPECT_LE(now.size(), 3 * (life + 1)) << "seed " << seed;
        }
        scene.add(1, 99);
        scene.stop();
        scene.boot();
        Numbers last = scene.numbers(1);
        ASSERT_FALSE(last.empty()) << "seed " << seed;
        EXPECT_EQ(last.back(), 99u) << "seed " << seed;
        EXPECT_EQ(scene.count(Event::AttemptsNotWritten), 0);
    }
}

TEST(AttemptLog, TheOldestAreForgottenAtTheLimit) {
    Scene scene(1, 1 << 20);
    for (uint64_t id = 1; id <= 3000; id++) {
        scene.add(id, 1, 1, 2000);
        if (id % 100 != 0) continue;
        scene.sim.run_for(200ms);
        EXPECT_LE(scene.octets_on_disk(), 1u << 20);
    }
    scene.sim.run_for(2s);
    EXPECT_GT(scene.octets_on_disk(), (1u << 20) / 2);
    EXPECT_LE(scene.files().size(), AttemptLog::kFiles + 1);
    EXPECT_EQ(scene.numbers(1), Numbers{});
    EXPECT_EQ(scene.numbers(3000), Numbers{1});
    EXPECT_EQ(scene.numbers(2800), Numbers{1});
}

TEST(AttemptLog, ASmallerLimitCountsAtOnceAndZeroLeavesNothingOnDisk) {
    Scene scene(1, 8 << 20);
    for (uint64_t id = 1; id <= 2000; id++) scene.add(id, 1, 1, 2000);
    scene.sim.run_for(3s);
    EXPECT_GT(scene.octets_on_disk(), 3u << 20);
    auto limit = [&](uint64_t octets_max) {
        scene.options.octets_max = octets_max;
        scene.host.spawn(0, [&](World&) -> Task<void> {
            scene.log->reconfigure(scene.options);
            co_return;
        });
        scene.sim.run_for(1s);
    };
    limit(2 << 20);
    EXPECT_LE(scene.octets_on_disk(), 2u << 20);
    EXPECT_EQ(scene.numbers(2000), Numbers{1});
    limit(0);
    EXPECT_EQ(scene.octets_on_disk(), 0u);
    scene.add(5000, 1);
    scene.sim.run_for(10s);
    EXPECT_EQ(scene.octets_on_disk(), 0u);
    EXPECT_EQ(scene.numbers(5000), Numbers{1}) << "kept in memory";
    limit(8 << 20);
    EXPECT_GT(scene.octets_on_disk(), 0u);
}

TEST(AttemptLog, AFullDiskIsToldOnceAndWhatWaitedIsWrittenWhenThereIsSpace) {
    Scene scene;
    scene.add(1, 1);
    scene.sim.run_for(2s);
    scene.host.disk_faults().capacity = 4096;
    for (uint32_t i = 2; i <= 10; i++) {
        scene.add(1, i, 1, 3000);
        scene.sim.run_for(1min);
    }
    EXPECT_EQ(scene.count(Event::AttemptsNotWritten), 1);
    EXPECT_EQ(scene.numbers(1).size(), 10u) << "found in memory meanwhile";
    scene.host.disk_faults().capacity = 1 << 30;
    scene.sim.run_for(1min);
    EXPECT_EQ(scene.count(Event::AttemptsWrittenAgain), 1);
    scene.kill();
    scene.boot();
    EXPECT_EQ(scene.numbers(1).size(), 10u);
}

TEST(AttemptLog, TheReserveOfTheSpoolIsLeftAlone) {
    Scene scene;
    scene.stop();
    scene.options.min_free_octets = 1 << 20;
    scene.host.disk_faults().capacity = 1 << 20;
    scene.boot();
    scene.add(1, 1);
    scene.sim.run_for(2s);
    EXPECT_EQ(scene.octets_on_disk(), 0u);
    EXPECT_EQ(scene.count(Event::AttemptsNotWritten), 1);
    EXPECT_EQ(scene.numbers(1), Numbers{1});
}

TEST(AttemptLog, MemoryIsBoundedWhileTheDiskFails) {
    Scene scene;
    scene.sim.run_for(1s);
    scene.host.disk_faults().read_only = true;
    for (uint64_t id = 1; id <= 300; id++) {
        scene.add(id, 1, 10, 10'000);
        EXPECT_LE(scene.log->waiting_octets(), AttemptLog::kWaitingOctetsMax);
    }
    EXPECT_EQ(scene.numbers(1), Numbers{});
    EXPECT_EQ(scene.numbers(300).size(), 10u);
    EXPECT_EQ(scene.count(Event::AttemptsNotWritten), 1);
    scene.stop();
}

TEST(AttemptLog, FailedWritesAndReadsAreNeverAnError) {
    Scene scene;
    for (uint32_t i = 1; i <= 10; i++) {
        scene.add(1, i);
        scene.host.disk_faults().fail_next_writes = i % 2;
        scene.sim.run_for(40s);
    }
    scene.host.disk_faults().fail_next_reads = 1;
    EXPECT_TRUE(scene.numbers(1).empty()) << "the file cannot be read now";
    EXPECT_EQ(scene.numbers(1).size(), 10u);
}

TEST(AttemptLog, WhatADiskChangedIsSkipped) {
    Scene scene;
    for (uint32_t i = 1; i <= 10; i++) scene.add(1, i, 1, 1000);
    scene.stop();
    ASSERT_EQ(scene.files().size(), 1u);
    FileSystem& files = scene.host.disk().files();
    files.sync(**files.find(scene.files()[0]), files.mark());  // the system has written it
    ASSERT_TRUE(scene.host.disk().rot(scene.files()[0], 5000, 100, 3));
    scene.boot();
    Numbers found = scene.numbers(1);
    EXPECT_GE(found.size(), 8u);
    EXPECT_LT(found.size(), 10u);
    EXPECT_EQ(found.front(), 1u);
    EXPECT_EQ(found.back(), 10u);
    scene.add(1, 11);
    EXPECT_EQ(scene.numbers(1).back(), 11u);
}

TEST(AttemptLog, QuestionsAtOnceAreAllAnswered) {
    Scene scene;
    for (uint64_t id = 1; id <= 50; id++) scene.add(id, uint32_t(id), 1, 3000);
    scene.stop();
    scene.boot();
    int answered = 0;
    for (uint64_t id = 1; id <= 50; id++) {
        scene.host.spawn(0, [&scene, &answered, id](World&) -> Task<void> {
            AttemptStory story = co_await scene.log->of(MessageId{id});
            EXPECT_EQ(story.attempts.size(), 1u);
            answered++;
        });
    }
    EXPECT_TRUE(scene.sim.run_until([&] { return answered == 50; }, 1min));
}

// A disk that counts.
class CountingDisk : public world::Disk {
public:
    explicit CountingDisk(world::Disk& disk) : disk_(disk) {}
    int operations = 0;

    Task<world::DiskResult<std::unique_ptr<world::File>>> open(std::string path,
                                                               world::OpenMode mode) override {
        operations++;
        auto opened = co_await disk_.open(std::move(path), mode);
        if (!opened) co_return std::unexpected(opened.error());
        co_return std::make_unique<CountingFile>(*this, std::move(*opened));
    }
    Task<world::DiskStatus> rename(std::string from, std::string to) override {
        operations++;
        return disk_.rename(std::move(from), std::move(to));
    }
    Task<world::DiskStatus> link(std::string from, std::string to) override {
        operations++;
        return disk_.link(std::move(from), std::move(to));
    }
    Task<world::DiskStatus> remove(std::string path) override {
        operations++;
        return disk_.remove(std::move(path));
    }
    Task<world::DiskStatus> make_directories(std::string path) override {
        operations++;
        return disk_.make_directories(std::move(path));
    }
    Task<world::DiskResult<std::vector<world::DirectoryEntry>>> list(std::string path) override {
        operations++;
        return disk_.list(std::move(path));
    }
    Task<world::DiskResult<world::FileInfo>> info(std::string path) override {
        operations++;
        return disk_.info(std::move(path));
    }
    Task<world::DiskStatus> sync_directory(std::string path) override {
        operations++;
        return disk_.sync_directory(std::move(path));
    }
    Task<world::DiskResult<world::SpaceInfo>> space(std::string path) override {
        operations++;
        return disk_.space(std::move(path));
    }
    Task<world::DiskResult<std::unique_ptr<world::DiskLock>>> lock(std::string path) override {
        return disk_.lock(std::move(path));
    }

private:
    class CountingFile : public world::File {
    public:
        CountingFile(CountingDisk& disk, std::unique_ptr<world::File> file)
            : disk_(disk), file_(std::move(file)) {}
        Task<world::DiskResult<std::size_t>> read_at(uint64_t at, std::span<char> into) override {
            disk_.operations++;
            return file_->read_at(at, into);
        }
        Task<world::DiskStatus> write_at(uint64_t at,
                                         std::span<const std::string_view> pieces) override {
            disk_.operations++;
            return file_->write_at(at, pieces);
        }
        Task<world::DiskStatus> sync() override {
            ADD_FAILURE() << "attempts are never synced";
            return file_->sync();
        }
        Task<world::DiskResult<uint64_t>> size() override { return file_->size(); }
        Task<world::DiskStatus> truncate(uint64_t size) override { return file_->truncate(size); }
        Task<world::DiskStatus> allocate(uint64_t size) override { return file_->allocate(size); }
        void bypass_cache() override { file_->bypass_cache(); }

    private:
        CountingDisk& disk_;
        std::unique_ptr<world::File> file_;
    };

    world::Disk& disk_;
};

TEST(AttemptLog, ManyAttemptsAreFewOperationsOfTheDiskAndNoneIsASync) {
    Simulation sim(1);
    Host& host = sim.add_host("mx", {*world::IpAddress::parse("192.0.2.1")});
    bool done = false;
    host.boot([&](World& world) -> Task<void> {
        CountingDisk disk(world.disk);
        World counted{world.clock,  world.random, world.net,      disk,          world.executor,
                      world.worker, world.log,    world.resolver, world.process, world.tls};
        AttemptLog attempts(counted, {.directory = std::string(kFolder), .octets_max = 64 << 20});
        attempts.start();
        co_await world.clock.sleep_for(100ms);
        int before = disk.operations;
        for (uint32_t i = 1; i <= 10'000; i++) {
            attempts.add({i}, {.number = i, .site = "local"});
            // 1000 attempts in a second, for ten seconds.
            if (i % 10 == 0) co_await world.clock.sleep_for(10ms);
        }
        co_await attempts.close(Deadline::after(world.clock.now(), 1min));
        EXPECT_LE(disk.operations - before, 40) << "a question for space and a write each second";
        EXPECT_GT(disk.operations, before);
        done = true;
    });
    EXPECT_TRUE(sim.run_until([&] { return done; }, 1h));
}

}  // namespace
}  // namespace postrider::sim
