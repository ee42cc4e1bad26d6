// world/real/spawner_test.cc: what only real programs can show: nothing of theirs lives on.

#include "world/real/spawner.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>

#include "world/real/real_world.h"

namespace postrider::world::real {
namespace {

using namespace std::chrono_literals;

TEST(Spawner, ARequestIsReadAsItWasWritten) {
    SpawnRequest request{{"/bin/a", "", "b c"}, {"A=1", "B="}, "/tmp"};
    auto packet = encode_request(request);
    ASSERT_TRUE(packet);
    EXPECT_EQ(decode_request(*packet), request);
    for (std::size_t cut = 0; cut < packet->size(); cut++) {
        EXPECT_FALSE(decode_request(packet->substr(0, cut))) << cut;
    }
    EXPECT_FALSE(decode_request(*packet + "x"));
}

// A program that starts another one in its group, writes that one's number to a file and hangs or
// ends.
class GroupTest : public testing::Test {
protected:
    GroupTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "prXXXXXX").string();
        EXPECT_TRUE(::mkdtemp(pattern.data()));
        directory_ = pattern;
    }
    ~GroupTest() override { std::filesystem::remove_all(directory_); }

    ProcessRequest request(std::string rest) const {
        return {.arguments = {"/bin/sh", "-c",
                              "sleep 1000 & echo $! > " + directory_ + "/child; " + rest},
                .environment = {"PATH=/usr/bin:/bin"}};
    }
    pid_t child() const {
        pid_t pid = 0;
        std::ifstream(directory_ + "/child") >> pid;
        return pid;
    }
    // Dead, or a zombie whose new parent has not looked yet.
    static bool is_dead(pid_t pid) {
        std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
        std::string number, name, state;
        return !(file >> number >> name >> state) || state == "Z";
    }

    std::string directory_;
    NoLog log_;
};

Task<Result<std::string_view>> no_input() { co_return std::string_view(); }

TEST_F(GroupTest, TheWholeGroupDiesAtTheDeadlineAndWithItsLeader) {
    for (std::string rest : {"sleep 1000", "exit 3"}) {
        RealWorld real({.shards = 1, .workers = 1}, log_);
        ASSERT_TRUE(real.fork_spawner());
        World world = real.world();
        auto body = [&]() -> Task<void> {
            ProcessRequest wanted = request(rest);
            // Long enough for the shell to have written the file.
            wanted.deadline = Deadline::after(world.clock.now(), rest == "exit 3" ? 60s : 2s);
            ProcessEnd end = co_await world.process.run(std::move(wanted), no_input);
            EXPECT_EQ(end.kind,
                      rest == "exit 3" ? ProcessEnd::Kind::Exited : ProcessEnd::Kind::TimedOut);
            for (int i = 0; i < 1000 && !is_dead(child()); i++) {
                co_await world.clock.sleep_for(10ms);
            }
            EXPECT_GT(child(), 0);
            EXPECT_TRUE(is_dead(child()));
            real.stop();
        };
        real.executor().post_to(0, [&] { world.executor.spawn(body()); });
        real.run();
    }
}

TEST_F(GroupTest, WithoutASpawnerNothingIsStartedAndADeadOneIsNoticed) {
    RealWorld real({.shards = 1, .workers = 1}, log_);
    World world = real.world();
    auto body = [&]() -> Task<void> {
        ProcessEnd end = co_await world.process.run(request("exit 0"), no_input);
        EXPECT_EQ(end.kind, ProcessEnd::Kind::NotStarted);
        real.stop();
    };
    real.executor().post_to(0, [&] { world.executor.spawn(body()); });
    real.run();

    RealWorld second({.shards = 1, .workers = 1}, log_);
    ASSERT_TRUE(second.fork_spawner());
    World other = second.world();
    auto after_death = [&]() -> Task<void> {
        ::kill(second.process().spawner_pid(), SIGKILL);
        siginfo_t info{};
        ::waitid(P_PID, static_cast<id_t>(second.process().spawner_pid()), &info,
                 WEXITED | WNOWAIT);
        ProcessRequest wanted = request("exit 0");
        wanted.deadline = Deadline::after(other.clock.now(), 60s);
        ProcessEnd end = co_await other.process.run(std::move(wanted), no_input);
        EXPECT_EQ(end.kind, ProcessEnd::Kind::NotStarted);
        EXPECT_NE(end.message, "");
        second.stop();
    };
    second.executor().post_to(0, [&] { other.executor.spawn(after_death()); });
    second.run();
}

TEST_F(GroupTest, WhatRunsDiesWithTheServer) {
    {
        RealWorld real({.shards = 1, .workers = 1}, log_);
        ASSERT_TRUE(real.fork_spawner());
        World world = real.world();
        auto run = [&]() -> Task<void> {
            ProcessRequest wanted = request("sleep 1000");
            wanted.deadline = Deadline::never();
            (void)co_await world.process.run(std::move(wanted), no_input);
        };
        auto wait = [&]() -> Task<void> {
            for (int i = 0; i < 1000 && child() == 0; i++) co_await world.clock.sleep_for(10ms);
            real.stop();
        };
        real.executor().post_to(0, [&] {
            world.executor.spawn(run());
            world.executor.spawn(wait());
        });
        real.run();
    }
    ASSERT_GT(child(), 0);
    // Readable when it has died; not to be had when it is gone already.
    Fd death(static_cast<int>(::syscall(SYS_pidfd_open, child(), 0)));
    if (!death) return;
    pollfd poll{death.get(), POLLIN, 0};
    EXPECT_EQ(::poll(&poll, 1, 60'000), 1);
}

}  // namespace
}  // namespace postrider::world::real
