// sim/dmarc_rows_test.cc: the rows that reports will be made of, over a disk that fills and fails.

#include "daemon/dmarc_rows.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using daemon::DmarcRows;
using daemon::DmarcRowsOptions;

constexpr const char* kFolder = "/data/dmarc";
constexpr Wall kNoon{1'799'841'600'000'000};  // 13 January 2027, 12:00 UTC
constexpr auto kDay = 24h;

struct Scene {
    explicit Scene(uint64_t octets_max = 1 << 20)
        : host(sim.add_host("mx", {*world::IpAddress::parse("192.0.2.1")})),
          options{.directory = kFolder, .octets_max = octets_max} {
        boot();
    }

    void boot() {
        host.boot([this](world::World& world) -> Task<void> {
            DmarcRows one(world, options);
            rows = &one;
            while (true) co_await world.clock.sleep_for(1h);
        });
        EXPECT_TRUE(sim.run_until([&] { return rows != nullptr; }, 1min));
    }
    void power_loss() {
        rows = nullptr;
        host.power_loss();
        boot();
    }

    void add(Wall at, const std::string& line) {
        host.spawn(0, [this, at, line](world::World&) -> Task<void> {
            rows->add(at, line + "\n");
            co_return;
        });
        sim.run_for(3s);
    }

    std::string day(const std::string& name) {
        return host.disk()
            .files()
            .visible_text(fmt::format("{}/{}.jsonl", kFolder, name))
            .value_or("none");
    }
    int64_t told() const {
        return std::ranges::count(host.log_lines(), Event::DmarcRowsNotWritten, &LogLine::event);
    }

    Simulation sim{5};
    Host& host;
    DmarcRowsOptions options;
    DmarcRows* rows = nullptr;
};

TEST(DmarcRows, EachDayHasAFileAndSurvivesALossOfPower) {
    Scene scene;
    scene.add(kNoon, "a");
    scene.add(kNoon, "c");
    scene.add(kNoon + kDay, "b");
    scene.power_loss();
    EXPECT_EQ(scene.day("20270113"), "a\nc\n");
    EXPECT_EQ(scene.day("20270114"), "b\n");
    scene.add(kNoon, "d");
    EXPECT_EQ(scene.day("20270113"), "a\nc\n\nd\n") << "fenced off from what may be torn";
}

TEST(DmarcRows, OldestDaysGoFirstAndThenNewRowsAreNotTaken) {
    Scene scene(100);
    scene.add(kNoon, std::string(59, 'a'));
    scene.add(kNoon + kDay, std::string(59, 'b'));
    EXPECT_EQ(scene.day("20270113"), "none");
    EXPECT_EQ(scene.day("20270114").size(), 60u);
    EXPECT_EQ(scene.told(), 0);
    scene.add(kNoon + kDay, std::string(59, 'c'));
    EXPECT_EQ(scene.day("20270114").size(), 60u);
    EXPECT_EQ(scene.told(), 1);
}

TEST(DmarcRows, AFailingDiskIsToldOnceAndWhatWaitedIsWrittenLater) {
    Scene scene;
    scene.host.disk_faults().read_only = true;
    scene.add(kNoon, "a");
    scene.add(kNoon, "b");
    EXPECT_EQ(scene.told(), 1);
    scene.host.disk_faults().read_only = false;
    scene.sim.run_for(5s);
    EXPECT_EQ(scene.day("20270113"), "a\nb\n");
}

// A busy server fills in a tenth of a second what may wait in memory.
TEST(DmarcRows, ABurstThatFillsTheMemoryForItIsWrittenBeforeItsTime) {
    Scene scene(100 << 20);
    constexpr std::size_t kRows = 4000;
    std::string row(1000, 'x');
    ASSERT_GT(kRows * row.size(), 3 * DmarcRows::kWaitingOctetsMax);
    scene.host.spawn(0, [&](world::World& world) -> Task<void> {
        for (std::size_t i = 0; i < kRows; i++) {
            scene.rows->add(kNoon, row + "\n");
            if (i % 100 == 0) co_await world.clock.sleep_for(10ms);
        }
    });
    scene.sim.run_for(5s);
    EXPECT_EQ(scene.day("20270113").size(), kRows * (row.size() + 1));
    EXPECT_EQ(scene.told(), 0);
}

TEST(DmarcRows, NothingIsKeptWhenNothingMayBe) {
    Scene scene(0);
    scene.add(kNoon, "a");
    EXPECT_EQ(scene.day("20270113"), "none");
}

}  // namespace
}  // namespace postrider::sim
