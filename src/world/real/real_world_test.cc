// world/real/real_world_test.cc: what only the real world has: signals, threads, stop(), and the
// system's sockets with their files. What every world promises is in tests/contract.

#include "world/real/real_world.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "world/real/socket.h"
#include "world/real/socket_address.h"
#include "world/signal.h"

namespace postrider::world::real {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;

class RealWorldTest : public testing::Test {
protected:
    RealWorldTest() {
        std::string pattern = (std::filesystem::temp_directory_path() / "prXXXXXX").string();
        directory_ = ::mkdtemp(pattern.data());
    }
    ~RealWorldTest() override { std::filesystem::remove_all(directory_); }

    // Runs body(real, world) on shard 0; the body, or what it started, calls real.stop().
    template <typename Body>
    void run(RealOptions options, Body body) {
        NoLog log;
        RealWorld real(std::move(options), log);
        World world = real.world();
        auto task = [&]() -> Task<void> { co_await body(real, world); };
        real.executor().post_to(0, [&] { real.executor().spawn(task()); });
        real.run();
    }
    template <typename Body>
    void run_to_its_end(Body body) {
        run({.shards = 1, .workers = 2}, [&](RealWorld& real, World& world) -> Task<void> {
            co_await body(real, world);
            real.stop();
        });
    }

    std::string path(const std::string& name) const { return directory_ + "/" + name; }
    Endpoint unix_at(const std::string& name) const { return UnixEndpoint{path(name)}; }
    static Endpoint loopback() { return IpEndpoint{*IpAddress::parse("127.0.0.1"), 0}; }
    static Deadline patience() { return Deadline::after(monotonic_now(), 60s); }

    std::string directory_;
};

// A bound Unix socket; its file stays when the descriptor is gone, as after a SIGKILL.
Fd raw_unix_socket(const Endpoint& at) {
    auto address = socket_address(at);
    Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(fd.get(), address->get(), address->size), 0);
    return fd;
}

mode_t mode_of(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 ? info.st_mode & 07777 : 0;
}

template <typename T>
std::optional<NetError::Kind> kind(const Result<T, NetError>& result) {
    if (result) return std::nullopt;
    return result.error().kind;
}

TEST_F(RealWorldTest, ASocketFileLeftByADeadProcessIsReplaced) {
    raw_unix_socket(unix_at("s")).reset();
    ASSERT_TRUE(std::filesystem::exists(path("s")));
    RealNet net;
    EXPECT_TRUE(net.listen(unix_at("s"), {}).has_value());
}

TEST_F(RealWorldTest, AFileThatIsNoSocketIsNotReplaced) {
    std::ofstream(path("s")) << "precious";
    RealNet net;
    EXPECT_EQ(kind(net.listen(unix_at("s"), {})), NetError::Kind::AddressInUse);
    EXPECT_EQ(std::filesystem::file_size(path("s")), 8u);
}

TEST_F(RealWorldTest, AUnixSocketHasTheModeThatWasAsked) {
    RealNet net;
    auto closed = net.listen(unix_at("closed"), {});
    auto open = net.listen(unix_at("open"), {.unix_mode = 0660});
    EXPECT_EQ(mode_of(path("closed")), 0600u);
    EXPECT_EQ(mode_of(path("open")), 0660u);
}

TEST_F(RealWorldTest, TheLastListenerRemovesTheSocketsFile) {
    RealNet net;
    auto first = net.listen(unix_at("s"), {});
    ASSERT_TRUE(first);
    auto second = net.share(**first);
    ASSERT_TRUE(second);
    (*first)->close();
    EXPECT_TRUE(std::filesystem::exists(path("s")));
    second->reset();
    EXPECT_FALSE(std::filesystem::exists(path("s")));
}

TEST_F(RealWorldTest, ASocketFileOfSomebodyElseIsNotRemoved) {
    RealNet net;
    auto listener = net.listen(unix_at("s"), {});
    ASSERT_TRUE(listener);
    std::filesystem::rename(path("s"), path("old"));
    Fd other = raw_unix_socket(unix_at("s"));
    listener->reset();
    EXPECT_TRUE(std::filesystem::exists(path("s")));
}

TEST_F(RealWorldTest, AUnixPathThatDoesNotFitIsAnError) {
    RealNet net;
    EXPECT_EQ(kind(net.listen(unix_at(std::string(120, 'x')), {})), NetError::Kind::Other);
    EXPECT_EQ(kind(net.listen(UnixEndpoint{}, {})), NetError::Kind::Other);
}

TEST_F(RealWorldTest, AnInheritedListenerIsAdopted) {
    run_to_its_end([&](RealWorld& real, World& world) -> Task<void> {
        auto address = socket_address(loopback());
        Fd raw(::socket(AF_INET, SOCK_STREAM, 0));
        EXPECT_EQ(::bind(raw.get(), address->get(), address->size), 0);
        EXPECT_FALSE(real.adopt_listener(::dup(raw.get()))) << "it does not listen yet";
        EXPECT_EQ(::listen(raw.get(), 5), 0);
        int number = raw.get();
        auto listener = real.adopt_listener(raw.release());
        EXPECT_TRUE(listener.has_value());
        EXPECT_EQ(::fcntl(number, F_GETFD), FD_CLOEXEC);
        auto client = co_await world.net.connect((*listener)->local(), {}, patience());
        EXPECT_TRUE(client.has_value());
        EXPECT_TRUE((co_await (*listener)->accept()).has_value());
    });
}

TEST_F(RealWorldTest, WhatIsNoSocketIsNotAdopted) {
    RealNet net;
    EXPECT_FALSE(net.adopt_listener(::open("/dev/null", O_RDONLY)));
    EXPECT_FALSE(net.adopt_listener(-1));
}

TEST_F(RealWorldTest, MappedPeersOfADualSocketAreIpv4) {
    run_to_its_end([&](RealWorld& real, World& world) -> Task<void> {
        Fd raw(::socket(AF_INET6, SOCK_STREAM, 0));
        int off = 0;
        auto any = socket_address(IpEndpoint{*IpAddress::parse("::"), 0});
        if (!raw || ::setsockopt(raw.get(), IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0 ||
            ::bind(raw.get(), any->get(), any->size) != 0) {
            std::puts("no IPv6 here");
            co_return;
        }
        EXPECT_EQ(::listen(raw.get(), 5), 0);
        auto listener = real.adopt_listener(raw.release());
        EXPECT_TRUE(listener.has_value());
        IpEndpoint to{*IpAddress::parse("127.0.0.1"),
                      std::get<IpEndpoint>((*listener)->local()).port};
        auto client = co_await world.net.connect(to, {}, patience());
        EXPECT_TRUE(client.has_value());
        auto server = co_await (*listener)->accept();
        EXPECT_TRUE(server.has_value());
        EXPECT_EQ((*server)->peer(), (*client)->local());
        EXPECT_EQ((*server)->local(), Endpoint(to));
    });
}

TEST_F(RealWorldTest, Ipv6ListenersLeaveIpv4Alone) {
    RealNet net;
    auto v6 = net.listen(IpEndpoint{*IpAddress::parse("::"), 0}, {});
    if (!v6) GTEST_SKIP() << "no IPv6 here";
    uint16_t port = std::get<IpEndpoint>((*v6)->local()).port;
    EXPECT_TRUE(net.listen(IpEndpoint{*IpAddress::parse("0.0.0.0"), port}, {}).has_value());
}

TEST_F(RealWorldTest, WithoutDescriptorsAcceptSaysTooManyOpenAndRecovers) {
    run_to_its_end([&](RealWorld&, World& world) -> Task<void> {
        auto listener = world.net.listen(loopback(), {});
        rlimit before{};
        ::getrlimit(RLIMIT_NOFILE, &before);
        // First without the limit: a sanitizer needs descriptors when it sees a class anew.
        for (bool limited : {false, true}) {
            auto client = co_await world.net.connect((*listener)->local(), {}, patience());
            EXPECT_TRUE(client.has_value());
            rlimit limit = before;
            if (limited) limit.rlim_cur = 3;
            EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &limit), 0);
            auto stream = co_await (*listener)->accept();
            auto file = co_await world.disk.open(path("file"), OpenMode::Create);
            EXPECT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
            EXPECT_EQ(stream.has_value(), !limited);
            EXPECT_EQ(file.has_value(), !limited);
            if (!limited) continue;
            EXPECT_EQ(kind(stream), NetError::Kind::TooManyOpen);
            EXPECT_EQ(file.error().kind, DiskError::Kind::TooManyOpen);
            EXPECT_TRUE((co_await (*listener)->accept()).has_value());
        }
    });
}

TEST_F(RealWorldTest, ALingeringCloseDoesNotLastForEver) {
    run_to_its_end([&](RealWorld&, World& world) -> Task<void> {
        auto listener = world.net.listen(loopback(), {});
        auto client = co_await world.net.connect((*listener)->local(), {}, patience());
        auto server = co_await (*listener)->accept();
        std::string text(100'000, 'x');
        std::string_view pieces[] = {text};
        EXPECT_TRUE((co_await (*server)->write(pieces, patience())).has_value());
        server->reset();
        // The client never ends: it talks until it is cut off.
        Status<NetError> wrote;
        std::size_t octets = 0;
        while (wrote && octets < 200 * kLingerOctetsMax) {
            wrote = co_await (*client)->write(pieces, patience());
            octets += text.size();
        }
        EXPECT_EQ(kind(wrote), NetError::Kind::Reset);
    });
}

// Accepts on both shards and answers with the number of the shard.
class TwoDoors {
public:
    TwoDoors(World& world, Listener& listener) : world_(world), listener_(listener) {
        for (ShardId shard : {0, 1}) {
            world.executor.post_to(shard, [this] { world_.executor.spawn(serve()); });
        }
    }

    // Which shard takes a client that comes now.
    Task<int> who_answers() {
        auto client = co_await world_.net.connect(listener_.local(), {}, patience());
        EXPECT_TRUE(client);
        if (!client) co_return -1;
        char answer = 0;
        auto got = co_await (*client)->read(std::span(&answer, 1), patience());
        EXPECT_TRUE(got && *got == 1);
        co_return answer - '0';
    }

    // Whether the first shard takes some clients in a row, in good time.
    Task<bool> the_first_has_time() {
        int in_a_row = 0;
        for (int i = 0; i < 4000 && in_a_row < 20; i++) {
            in_a_row = co_await who_answers() == 0 ? in_a_row + 1 : 0;
            co_await world_.clock.sleep_for(5ms);
        }
        co_return in_a_row == 20;
    }

private:
    static Deadline patience() { return Deadline::after(monotonic_now(), 60s); }

    Task<void> serve() {
        auto shared = world_.net.share(listener_);
        EXPECT_TRUE(shared);
        while (shared) {
            auto stream = co_await (*shared)->accept();
            if (!stream) break;
            std::string text = std::to_string(world_.executor.current_shard());
            std::array<std::string_view, 1> pieces{text};
            EXPECT_TRUE(co_await (*stream)->write(pieces, patience()));
        }
    }

    World& world_;
    Listener& listener_;
};

TEST_F(RealWorldTest, ClientsComeToTheFirstShardAsLongAsItHasTime) {
    run({.shards = 2, .workers = 1}, [&](RealWorld& real, World& world) -> Task<void> {
        auto listener = world.net.listen(loopback(), {});
        EXPECT_TRUE(listener);
        TwoDoors doors(world, **listener);
        EXPECT_TRUE(co_await doors.the_first_has_time());
        // Busy all the time, but for moments in which clients may be asked.
        bool busy = true;
        std::move_only_function<void()> work = [&] {
            Monotonic until = monotonic_now() + 2ms;
            while (monotonic_now() < until) {
            }
            if (busy) world.executor.post_to(0, [&] { work(); });
        };
        work();
        bool second = false;
        for (int i = 0; i < 2000 && !second; i++) second = co_await doors.who_answers() == 1;
        EXPECT_TRUE(second) << "the second shard helps";
        busy = false;
        EXPECT_TRUE(co_await doors.the_first_has_time()) << "it is not needed any more";
        real.stop();
    });
}

TEST_F(RealWorldTest, AWriteLetsThoseComeFirstWhoHaveSomethingElseToDo) {
    run_to_its_end([&](RealWorld& real, World& world) -> Task<void> {
        auto listener = *world.net.listen(unix_at("s"), {});
        auto client = *co_await world.net.connect(unix_at("s"), std::nullopt, patience());
        auto server = *co_await listener->accept();
        std::vector<std::string> order;
        Signal done(world.executor, world.clock);
        auto write = [&](std::string_view name) -> Task<void> {
            std::array<std::string_view, 1> pieces{"x"};
            EXPECT_TRUE((co_await server->write(pieces, patience())).has_value());
            order.emplace_back(name);
            done.notify_all();
        };
        auto other = [&]() -> Task<void> {
            order.emplace_back("other");
            co_return;
        };
        real.executor().spawn(write("written"));
        real.executor().spawn(other());
        while (order.size() < 2) co_await done.wait(patience());
        EXPECT_THAT(order, ElementsAre("other", "written"));
    });
}

TEST_F(RealWorldTest, SignalsAreCalledOnShardZero) {
    run({.shards = 2, .workers = 1}, [&](RealWorld& real, World& world) -> Task<void> {
        int calls = 0;
        auto watch = real.on_signal(SIGUSR1, [&real, &world, calls]() mutable {
            EXPECT_EQ(world.executor.current_shard(), 0);
            if (++calls == 2) return real.stop();
            ::raise(SIGUSR1);
        });
        EXPECT_TRUE(watch.has_value());
        EXPECT_FALSE(real.on_signal(SIGKILL, [] {}).has_value());
        ::raise(SIGUSR1);
        co_return;
    });
}

struct Note {
    std::vector<int>& notes;
    int number;
    ~Note() { notes.push_back(number); }
};

TEST_F(RealWorldTest, StopDestroysUnfinishedTasksTheYoungestFirst) {
    std::vector<int> notes;
    run({.shards = 1, .workers = 2}, [&](RealWorld& real, World& world) -> Task<void> {
        auto listener = world.net.listen(loopback(), {});
        std::unique_ptr<Stream> accepted;
        Signal never(world.executor, world.clock);
        auto sleeping = [&]() -> Task<void> {
            Note note{notes, 1};
            co_await world.clock.sleep_for(1h);
        };
        auto accepting = [&]() -> Task<void> {
            Note note{notes, 2};
            auto stream = co_await (*listener)->accept();
            if (stream) accepted = std::move(*stream);
        };
        auto waiting = [&]() -> Task<void> {
            Note note{notes, 3};
            (void)co_await never.wait(patience());
        };
        auto reading = [&]() -> Task<void> {
            Note note{notes, 4};
            auto client = co_await world.net.connect((*listener)->local(), {}, patience());
            std::array<char, 10> into;
            (void)co_await (*client)->read(into, patience());
        };
        auto working = [&]() -> Task<void> {
            Note note{notes, 5};
            for (int i = 0; i < 1'000'000; i++) {
                co_await world.executor.switch_to(0);
                (void)co_await world.disk.info("/");
            }
        };
        world.executor.spawn(sleeping());
        world.executor.spawn(accepting());
        world.executor.spawn(waiting());
        world.executor.spawn(reading());
        world.executor.spawn(working());
        co_await world.clock.sleep_for(5ms);
        world.executor.post_to(0, [&real] { real.stop(); });
        co_await world.clock.sleep_for(1h);
    });
    // The one that accepted has ended by itself.
    EXPECT_THAT(notes, ElementsAre(2, 5, 4, 3, 1));
}

TEST_F(RealWorldTest, NothingRunsAfterStop) {
    std::atomic<bool> ran = false;
    run({.shards = 2, .workers = 1}, [&](RealWorld& real, World& world) -> Task<void> {
        real.stop();
        world.executor.post_to(0, [&] { ran = true; });
        co_return;
    });
    EXPECT_FALSE(ran);
}

TEST_F(RealWorldTest, StopComesFromAnyThread) {
    run({.shards = 3, .workers = 2}, [&](RealWorld& real, World& world) -> Task<void> {
        world.executor.post_to(2, [&real] { real.stop(); });
        co_await world.clock.sleep_for(1h);
    });
}

TEST_F(RealWorldTest, NoThreadIsMadeBeforeRun) {
    NoLog log;
    RealWorld real({.shards = 4, .workers = 8}, log);
    auto listener = real.world().net.listen(loopback(), {});
    EXPECT_TRUE(real.on_signal(SIGUSR2, [] {}).has_value());
    auto tasks = std::filesystem::directory_iterator("/proc/self/task");
    std::size_t with = static_cast<std::size_t>(std::distance(begin(tasks), end(tasks)));
    // A sanitizer may have a thread of its own; ours would be twelve.
    EXPECT_LE(with, 2u);
    real.executor().post_to(0, [&] { real.stop(); });
    real.run();
}

}  // namespace
}  // namespace postrider::world::real
