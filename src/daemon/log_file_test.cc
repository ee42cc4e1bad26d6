// daemon/log_file_test.cc: lines arrive whole and in order, and losses are told.

#include "daemon/log_file.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <condition_variable>
#include <map>
#include <mutex>
#include <sstream>
#include <thread>

namespace postrider::daemon {
namespace {

class FixedClock : public world::Clock {
public:
    Monotonic now() const override { return {}; }
    Wall wall() const override { return {}; }
    std::unique_ptr<world::Timer> call_at(Monotonic, std::move_only_function<void()>) override {
        return nullptr;
    }
};

// A disk that can be told to hang or to fail.
struct TestDisk {
    std::mutex mutex;
    std::condition_variable changed;
    std::string text;
    bool hangs = false;
    bool fails = false;
    bool reopen_fails = false;
    bool entered = false;  // somebody hangs in write()

    LineSink sink() {
        return {.write = [this](std::string_view lines) -> Status<> {
                    std::unique_lock lock(mutex);
                    entered = true;
                    changed.notify_all();
                    changed.wait(lock, [&] { return !hangs; });
                    if (fails) return fail("disk is full");
                    text += lines;
                    changed.notify_all();
                    return {};
                },
                .reopen = [this]() -> Status<> {
                    std::lock_guard lock(mutex);
                    changed.notify_all();
                    if (reopen_fails) return fail("no such folder");
                    text += "REOPENED\n";
                    return {};
                }};
    }
    void wait_entered() {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return entered; });
    }
    void set(bool& what, bool value) {
        std::lock_guard lock(mutex);
        what = value;
        changed.notify_all();
    }
};

void say(Log& log, std::string_view id) { log.write(Event::Delivered, {{"id", id}}); }

// Only what tells lines apart: ids, and events other than Delivered.
std::string short_text(const std::string& text) {
    std::istringstream lines(text);
    std::string out;
    for (std::string line; std::getline(lines, line);) {
        std::size_t at = line.find(" event=");
        std::string rest = at == line.npos ? line : line.substr(at + 7);
        out += (rest.starts_with("Delivered id=") ? rest.substr(13) : rest) + '\n';
    }
    return out;
}

TEST(LogFile, LinesBeforeStartAreWrittenAtOnce) {
    TestDisk disk;
    FixedClock clock;
    LogFile log({}, disk.sink(), clock);
    say(log, "1");
    EXPECT_EQ(short_text(disk.text), "1\n");
    log.reopen();
    say(log, "2");
    EXPECT_EQ(short_text(disk.text), "1\nREOPENED\n2\n");
}

TEST(LogFile, LinesBelowTheLevelAreLeftOut) {
    TestDisk disk;
    FixedClock clock;
    LogFile log({.level = LogLevel::Warning}, disk.sink(), clock);
    say(log, "1");
    log.set_level(LogLevel::Info);
    say(log, "2");
    EXPECT_EQ(short_text(disk.text), "2\n");
}

TEST(LogFile, StopWritesWhatIsWaitingAndLaterLinesStillArrive) {
    TestDisk disk;
    FixedClock clock;
    LogFile log({}, disk.sink(), clock);
    log.start();
    std::string want;
    for (int i = 0; i < 1000; ++i) {
        say(log, std::to_string(i));
        want += std::to_string(i) + '\n';
    }
    log.stop();
    say(log, "last");
    EXPECT_EQ(short_text(disk.text), want + "last\n");
    EXPECT_EQ(log.dropped(), 0u);
}

TEST(LogFile, DestructorWritesWhatIsWaiting) {
    TestDisk disk;
    FixedClock clock;
    {
        LogFile log({}, disk.sink(), clock);
        log.start();
        say(log, "1");
    }
    EXPECT_EQ(short_text(disk.text), "1\n");
}

TEST(LogFile, LinesOfEachThreadArriveWholeAndInTheirOrder) {
    constexpr int kThreads = 4;
    constexpr int kLines = 2000;
    TestDisk disk;
    FixedClock clock;
    {
        LogFile log({}, disk.sink(), clock);
        log.start();
        std::vector<std::thread> threads;
        threads.reserve(kThreads);
        for (int t = 0; t < kThreads; ++t) {
            threads.emplace_back([&log, t] {
                for (int i = 0; i < kLines; ++i) say(log, fmt::format("{}.{}", t, i));
            });
        }
        for (std::thread& thread : threads) thread.join();
    }
    std::istringstream lines(short_text(disk.text));
    std::map<int, int> next;
    for (std::string line; std::getline(lines, line);) {
        std::size_t dot = line.find('.');
        ASSERT_NE(dot, line.npos) << line;
        int thread = std::stoi(line.substr(0, dot));
        ASSERT_EQ(std::stoi(line.substr(dot + 1)), next[thread]++) << line;
    }
    ASSERT_EQ(next.size(), static_cast<std::size_t>(kThreads));
    for (auto [thread, count] : next) EXPECT_EQ(count, kLines) << thread;
}

TEST(LogFile, HangingDiskDoesNotHoldWritersAndLossIsCountedAndTold) {
    TestDisk disk;
    FixedClock clock;
    disk.hangs = true;
    // A line of `say` with one digit has 73 octets: room for two of them.
    LogFile log({.buffer_octets_max = 150}, disk.sink(), clock);
    log.start();
    say(log, "1");
    disk.wait_entered();  // the thread hangs with line 1, the buffer is empty
    for (std::string_view id : {"2", "3", "4", "5"}) say(log, id);
    EXPECT_EQ(log.dropped(), 2u);
    disk.set(disk.hangs, false);
    log.stop();
    EXPECT_EQ(short_text(disk.text), "1\n2\n3\nLogLinesDropped count=2\n");
}

TEST(LogFile, LinesThatTheDiskRefusedAreToldWhenItTakesThemAgain) {
    TestDisk disk;
    FixedClock clock;
    LogFile log({}, disk.sink(), clock);
    disk.fails = true;
    say(log, "1");
    say(log, "2");
    EXPECT_EQ(log.dropped(), 2u);
    disk.fails = false;
    say(log, "3");
    say(log, "4");
    EXPECT_EQ(short_text(disk.text), "3\nLogLinesDropped count=2\n4\n");
}

TEST(LogFile, ReopenComesAfterTheLinesBeforeIt) {
    TestDisk disk;
    FixedClock clock;
    disk.hangs = true;
    LogFile log({}, disk.sink(), clock);
    log.start();
    say(log, "1");
    disk.wait_entered();
    say(log, "2");
    log.reopen();
    disk.set(disk.hangs, false);
    log.stop();
    EXPECT_EQ(short_text(disk.text), "1\n2\nREOPENED\n");
}

TEST(LogFile, FailedReopenIsToldInTheOldFile) {
    TestDisk disk;
    FixedClock clock;
    disk.reopen_fails = true;
    LogFile log({}, disk.sink(), clock);
    log.reopen();
    say(log, "1");
    EXPECT_EQ(short_text(disk.text), "LogReopenFailed reason=\"no such folder\"\n1\n");
}

}  // namespace
}  // namespace postrider::daemon
