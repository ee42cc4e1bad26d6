// The simulated Internet itself: its scenarios can be read and written, a run repeats, its checkers
// see what they are there to see, and a failing run is made smaller.

#include "sim/internet/run.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "sim/internet/shrink.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

const fs::path kFolder = fs::path(POSTRIDER_SOURCE_DIR) / "sim" / "scenarios";

std::vector<fs::path> all_scenarios() {
    std::vector<fs::path> out;
    for (const auto& entry : fs::directory_iterator(kFolder)) out.push_back(entry.path());
    std::ranges::sort(out);
    return out;
}

std::string text_of(const fs::path& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), {}};
}

Scenario scenario(const std::string& name) {
    auto parsed = Scenario::parse(text_of(kFolder / (name + ".toml")), name);
    EXPECT_TRUE(parsed) << (parsed ? "" : parsed.error().message);
    return parsed ? *parsed : Scenario{};
}

std::string mistake_in(std::string_view text) {
    auto parsed = Scenario::parse(text, "x");
    return parsed ? "none" : parsed.error().message;
}

TEST(Scenario, EachFileIsReadAndWrittenBack) {
    auto paths = all_scenarios();
    EXPECT_GE(paths.size(), 19u);
    for (const fs::path& path : paths) {
        SCOPED_TRACE(path.string());
        auto parsed = Scenario::parse(text_of(path), path.stem().string());
        ASSERT_TRUE(parsed) << parsed.error().message;
        EXPECT_FALSE(parsed->about.empty());
        auto again = Scenario::parse(parsed->text(), parsed->name);
        ASSERT_TRUE(again) << again.error().message;
        EXPECT_EQ(again->text(), parsed->text());
        EXPECT_EQ(again->faults.size(), parsed->faults.size());
    }
}

TEST(Scenario, AMistakeIsToldWithItsKey) {
    constexpr std::string_view kMail = "[mail]\nto = {mailbox = 1}\n";
    EXPECT_EQ(mistake_in(kMail), "none");
    EXPECT_EQ(mistake_in("length = \"10m\"\n"), "x: mail: is missing");
    EXPECT_EQ(mistake_in(std::string("lenght = \"10m\"\n") + std::string(kMail)),
              "x: lenght: no such key");
    EXPECT_EQ(mistake_in("[mail]\nsessions = 0\nto = {mailbox = 1}\n"),
              "x: mail.sessions: a number from 1 to 1000 is wanted");
    EXPECT_EQ(mistake_in("[mail]\nto = {mailbox = 1, moon = 2}\n"), "x: mail.to.moon: no such key");
    EXPECT_EQ(mistake_in(std::string(kMail) + "[[fault]]\nkind = \"flood\"\n"),
              "x: fault.kind: no such fault: flood");
    EXPECT_EQ(mistake_in(std::string(kMail) + "[[foreign]]\nname=\"a\"\nmanners=[\"kind\"]\n"),
              "x: foreign.manners: no such manner: kind");
    EXPECT_TRUE(mistake_in("[mail\n").starts_with("x:1: ")) << mistake_in("[mail\n");
}

TEST(Run, ASeedRepeatsARunBitByBit) {
    Scenario how = scenario("rough-days");
    how.length = 8s;
    how.rest_every = 4s;
    how.mail.sessions = std::min(how.mail.sessions, 20);
    Summary first = run(how, {.seed = 11});
    Summary second = run(how, {.seed = 11});
    EXPECT_GT(first.accepted, 50u);
    EXPECT_EQ(first.trace_hash, second.trace_hash);
    EXPECT_EQ(first.table(), second.table());
    EXPECT_EQ(first.reached, second.reached);
    EXPECT_NE(run(how, {.seed = 12}).trace_hash, first.trace_hash);
}

// Each scenario keeps its promises, for a moment only: the long ones are run in a release build.
class Scenarios : public testing::TestWithParam<std::string> {};

TEST_P(Scenarios, KeepsItsPromises) {
    Scenario how = scenario(GetParam());
    if (how.expects_violations) return;  // see below
    how.length = std::min<Duration>(how.length / 4, 30min);
    how.rest_every = std::min(how.rest_every, how.length);
    how.mail.sessions = std::min(how.mail.sessions, 20);
    Summary sum = run(how, {.seed = 3});
    EXPECT_GT(sum.totals.checked, 5u);
    EXPECT_GT(sum.rests, 0u);
    EXPECT_EQ(sum.violations_count, 0u);
    for (const std::string& violation : sum.violations) ADD_FAILURE() << violation;
}

std::vector<std::string> names() {
    std::vector<std::string> out;
    for (const fs::path& path : all_scenarios()) out.push_back(path.stem().string());
    return out;
}

INSTANTIATE_TEST_SUITE_P(Files, Scenarios, testing::ValuesIn(names()), [](const auto& info) {
    std::string name = info.param;
    std::ranges::replace(name, '-', '_');
    return name;
});

TEST(Run, ADiskThatForgetsIsCaught) {
    for (const char* name : {"without-sync", "without-directory-sync"}) {
        uint64_t caught = 0;
        for (uint64_t seed = 1; seed <= 3 && caught == 0; seed++) {
            caught = run(scenario(name), {.seed = seed}).violations_count;
        }
        EXPECT_GT(caught, 0u) << name;
    }
}

TEST(Run, ACrashCountsOnlyWithUnsyncedRecordsAndMailInFlight) {
    Scenario how = scenario("power-loss");
    how.length = 6s;
    Summary busy = run(how, {.seed = 1});
    EXPECT_GT(busy.crashes.counting, 0u);
    EXPECT_LT(busy.crashes.counting, busy.crashes.all);
    EXPECT_GT(busy.crashes.in_flight, busy.crashes.counting);
    how.mail.per_hour = 1;  // there is no mail in so short a time
    Summary idle = run(how, {.seed = 1});
    EXPECT_GT(idle.crashes.all, 0u);
    EXPECT_EQ(idle.crashes.counting, 0u);
}

TEST(Shrink, AFailingRunBecomesSmallerAndStillFails) {
    Scenario how = scenario("without-sync");
    how.foreign.push_back({.name = "slow", .count = 3, .manners = {"slow"}});
    how.faults.push_back({.kind = FaultKind::Reset, .every = 2s});
    int told = 0;
    Shrunk small = shrink(how, {.seed = 1}, 25, [&](const std::string&) { told++; });
    EXPECT_GT(small.summary.violations_count, 0u);
    EXPECT_LT(small.scenario.length, how.length);
    EXPECT_LT(small.scenario.foreign.size() + small.scenario.faults.size(),
              how.foreign.size() + how.faults.size());
    EXPECT_GT(told, 0);
    EXPECT_LE(small.runs, 25);
    // What is printed for people repeats it.
    auto printed = Scenario::parse(small.scenario.text(), "again");
    ASSERT_TRUE(printed) << printed.error().message;
    EXPECT_EQ(run(*printed, {.seed = 1}).trace_hash, small.summary.trace_hash);
}

}  // namespace
}  // namespace postrider::sim
