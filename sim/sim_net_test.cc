// sim/sim_net_test.cc: streams that are cut, slowed, broken and half open.

#include "sim/sim_net.h"

#include <gtest/gtest.h>

#include <set>

#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using world::Endpoint;
using world::IpAddress;
using world::IpEndpoint;
using world::Listener;
using world::Stream;
using world::UnixEndpoint;
using world::World;
using Kind = world::NetError::Kind;

IpAddress address(std::string_view text) { return *IpAddress::parse(text); }
const IpEndpoint kServer{address("192.0.2.1"), 25};

Deadline in(World& world, Duration duration) {
    return Deadline::after(world.clock.now(), duration);
}

Task<bool> send(Stream& stream, std::string text, Deadline deadline) {
    std::string_view pieces[] = {text};
    co_return (co_await stream.write(pieces, deadline)).has_value();
}

// Everything up to the end of the stream; "!" and the kind of the error where it broke.
Task<std::string> read_all(Stream& stream, Deadline deadline, std::size_t most = SIZE_MAX) {
    std::string all;
    char part[1000];
    while (all.size() < most) {
        auto got = co_await stream.read(part, deadline);
        if (!got) co_return all + "!" + std::to_string(int(got.error().kind));
        if (*got == 0) break;
        all.append(part, *got);
    }
    co_return all;
}

std::string broken(Kind kind) { return "!" + std::to_string(int(kind)); }

using StreamPointer = std::unique_ptr<Stream>;
using Work = std::function<Task<void>(World&, StreamPointer)>;

// Two hosts: each accepted or made connection is given to a function.
struct Pair {
    explicit Pair(uint64_t seed)
        : sim(seed),
          server(sim.add_host("server", {kServer.address}, 2)),
          client(sim.add_host("client", {address("192.0.2.2")})) {}

    void serve(const Work& work) {
        server.boot([work](World& world) -> Task<void> {
            auto listener = world.net.listen(kServer, {});
            EXPECT_TRUE(listener.has_value());
            for (;;) {
                auto stream = co_await (*listener)->accept();
                if (!stream) co_return;
                world.executor.spawn(work(world, std::move(*stream)));
            }
        });
        sim.run_for(1ms);
    }

    // The client's main task: connects and works.
    void call(const Work& work) {
        client.boot([this, work](World& world) -> Task<void> {
            auto stream = co_await world.net.connect(kServer, std::nullopt, in(world, 10s));
            EXPECT_TRUE(stream || connect_may_fail) << stream.error().message;
            if (stream) co_await work(world, std::move(*stream));
        });
    }

    bool client_ends(Duration limit = 1h) {
        return sim.run_until([&] { return client.main_ended(); }, limit);
    }

    bool connect_may_fail = false;
    Simulation sim;
    Host& server;
    Host& client;
};

Task<void> echo(World& world, StreamPointer stream) {
    char part[700];
    for (;;) {
        auto got = co_await stream->read(part, in(world, 1h));
        if (!got || *got == 0) break;
        if (!co_await send(*stream, std::string(part, *got), in(world, 1h))) break;
    }
    stream->shut_write();
}

std::string long_text() {
    std::string text;
    for (int i = 0; i < 30'000; i++) text += std::to_string(i) + ",";
    return text;
}

TEST(SimNet, OctetsArriveInOrderHoweverTheyAreCut) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        Pair pair(seed);
        pair.sim.net().faults.segment_max = seed % 2 ? 1460 : 100 * seed;
        pair.serve(echo);
        std::string text = long_text();
        std::string back;
        pair.call([&](World& world, StreamPointer stream) -> Task<void> {
            world.executor.spawn([](Stream& s, const std::string& t, Deadline d) -> Task<void> {
                EXPECT_TRUE(co_await send(s, t, d));
                s.shut_write();  // reading goes on
            }(*stream, text, in(world, 1h)));
            back = co_await read_all(*stream, in(world, 1h));
        });
        ASSERT_TRUE(pair.client_ends());
        ASSERT_TRUE(back == text) << "seed " << seed;
    }
}

TEST(SimNet, SegmentsOfOneOctetCutAtEachOctet) {
    Pair pair(1);
    pair.sim.net().faults.segment_max = 1;
    pair.serve([](World& world, StreamPointer stream) -> Task<void> {
        co_await world.clock.sleep_for(1s);  // until the client waits
        EXPECT_TRUE(co_await send(*stream, "220 hello\r\n", in(world, 1min)));
    });
    std::set<std::size_t> sizes;
    std::string all;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        char part[100];
        for (;;) {
            auto got = co_await stream->read(part, in(world, 1min));
            if (!got || *got == 0) break;
            sizes.insert(*got);
            all.append(part, *got);
        }
    });
    ASSERT_TRUE(pair.client_ends());
    EXPECT_EQ(all, "220 hello\r\n");
    EXPECT_TRUE(sizes.contains(1));
}

TEST(SimNet, AReaderThatDoesNotReadStopsTheWriter) {
    Pair pair(1);
    std::string received;
    pair.serve([&](World& world, StreamPointer stream) -> Task<void> {
        co_await world.clock.sleep_for(1min);
        received = co_await read_all(*stream, in(world, 1min));
    });
    std::string text(1'000'000, 'x');
    bool first = true, second = false;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        first = co_await send(*stream, text, in(world, 10s));
        second = co_await send(*stream, "end", in(world, 5min));
        stream->close();  // what was written is still sent
    });
    ASSERT_TRUE(pair.client_ends());
    pair.sim.run_for(10min);
    EXPECT_FALSE(first);  // its deadline passed
    EXPECT_TRUE(second);
    EXPECT_LE(received.size(), 140'000u);
    EXPECT_TRUE(received.ends_with("xend"));
}

TEST(SimNet, ADeadlineEndsAReadAndTheStreamStaysUsable) {
    Pair pair(1);
    pair.serve(echo);
    pair.call([](World& world, StreamPointer stream) -> Task<void> {
        char part[10];
        Monotonic start = world.clock.now();
        auto nothing = co_await stream->read(part, in(world, 2s));
        EXPECT_EQ(nothing.error().kind, Kind::TimedOut);
        EXPECT_GE(world.clock.now(), start + 2s);
        EXPECT_EQ((co_await stream->wait_readable(in(world, 1s))).error().kind, Kind::TimedOut);
        EXPECT_TRUE(co_await send(*stream, "x", in(world, 1s)));
        EXPECT_TRUE((co_await stream->wait_readable(in(world, 1s))).has_value());
        EXPECT_EQ(*co_await stream->read(part, in(world, 1s)), 1u);
    });
    ASSERT_TRUE(pair.client_ends());
}

TEST(SimNet, CloseWakesWhoWaitsWithClosed) {
    Pair pair(1);
    pair.serve(echo);
    pair.call([](World& world, StreamPointer stream) -> Task<void> {
        world.executor.spawn([](World& w, Stream& s) -> Task<void> {
            co_await w.clock.sleep_for(1s);
            s.close();
        }(world, *stream));
        char part[10];
        EXPECT_EQ((co_await stream->read(part, in(world, 1min))).error().kind, Kind::Closed);
        EXPECT_FALSE(co_await send(*stream, "x", in(world, 1s)));
    });
    ASSERT_TRUE(pair.client_ends());
}

struct Refusal {
    const char* name;
    Endpoint to;
    Kind want;
};

TEST(SimNet, AConnectSaysWhyItFailed) {
    const Refusal cases[] = {
        {"NobodyListens", IpEndpoint{kServer.address, 26}, Kind::Refused},
        {"NoSuchHost", IpEndpoint{address("198.51.100.9"), 25}, Kind::Unreachable},
        {"NoAddressOfThatFamily", IpEndpoint{address("2001:db8::1"), 25}, Kind::Unreachable},
        {"BlackHole", IpEndpoint{address("203.0.113.1"), 25}, Kind::TimedOut},
        {"PoweredOff", IpEndpoint{address("192.0.2.3"), 25}, Kind::TimedOut},
        {"NoSuchUnixSocket", UnixEndpoint{"/run/none"}, Kind::Refused},
    };
    for (const Refusal& c : cases) {
        Pair pair(1);
        (void)pair.sim.add_host("off", {address("192.0.2.3")});
        pair.sim.net().black_hole(address("203.0.113.1"));
        pair.serve(echo);
        std::optional<Kind> got;
        pair.client.boot([&](World& world) -> Task<void> {
            auto stream = co_await world.net.connect(c.to, std::nullopt, in(world, 30s));
            if (!stream) got = stream.error().kind;
        });
        ASSERT_TRUE(pair.client_ends()) << c.name;
        EXPECT_EQ(got, c.want) << c.name;
    }
}

TEST(SimNet, AConnectWithoutADeadlineGivesUpByItself) {
    Pair pair(1);
    pair.sim.net().black_hole(kServer.address);
    std::optional<Kind> got;
    pair.client.boot([&](World& world) -> Task<void> {
        auto stream = co_await world.net.connect(kServer, std::nullopt, Deadline::never());
        if (!stream) got = stream.error().kind;
    });
    ASSERT_TRUE(pair.client_ends(3min));
    EXPECT_EQ(got, Kind::TimedOut);
}

TEST(SimNet, APartitionHoldsSegmentsUntilItHeals) {
    Pair pair(1);
    pair.serve(echo);
    std::string back;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        co_await world.clock.sleep_for(10s);
        EXPECT_TRUE(co_await send(*stream, "through", in(world, 1s)));
        stream->shut_write();
        back = co_await read_all(*stream, in(world, 10min));
    });
    pair.sim.run_for(5s);
    pair.sim.net().cut(pair.server, pair.client);
    pair.sim.run_for(1min);
    EXPECT_FALSE(pair.client.main_ended());
    pair.sim.net().heal(pair.server, pair.client);
    ASSERT_TRUE(pair.client_ends(1min));
    EXPECT_EQ(back, "through");
}

TEST(SimNet, APartitionThatStaysBreaksTheSideThatSends) {
    Pair pair(1);
    pair.serve(echo);
    std::string back;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        co_await world.clock.sleep_for(10s);
        EXPECT_TRUE(co_await send(*stream, "lost", in(world, 1s)));
        back = co_await read_all(*stream, in(world, 1h));
    });
    pair.sim.run_for(5s);
    pair.sim.net().cut(pair.server, pair.client);
    ASSERT_TRUE(pair.client_ends());
    EXPECT_EQ(back, broken(Kind::Reset));
}

TEST(SimNet, ALossOfPowerIsSilentUntilTheHostIsBackAndResets) {
    Pair pair(1);
    pair.serve(echo);
    std::string first, second;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        co_await world.clock.sleep_for(10s);
        (void)co_await send(*stream, "hello?", in(world, 1s));
        first = co_await read_all(*stream, in(world, 1min));
        second = co_await read_all(*stream, in(world, 10min));
    });
    pair.sim.run_for(5s);
    pair.server.power_loss();
    pair.sim.run_for(2min);
    EXPECT_EQ(first, broken(Kind::TimedOut));
    EXPECT_FALSE(pair.client.main_ended());
    pair.serve(echo);
    ASSERT_TRUE(pair.client_ends(1min));
    EXPECT_EQ(second, broken(Kind::Reset));
}

TEST(SimNet, AResetThatDoesNotGetThroughIsSentAgain) {
    Pair pair(1);
    pair.sim.net().faults.latency_min = pair.sim.net().faults.latency_max = 1s;
    pair.serve(echo);
    std::string heard;
    bool said = false;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        co_await world.clock.sleep_for(10s);
        (void)co_await send(*stream, "hello?", in(world, 1s));
        said = true;
        heard = co_await read_all(*stream, in(world, 10min));
    });
    pair.sim.run_for(8s);
    pair.server.power_loss();
    pair.serve(echo);
    ASSERT_TRUE(pair.sim.run_until([&] { return said; }, 1min));
    pair.sim.run_for(1500ms);  // it has arrived, and its answer is on the way
    pair.sim.net().cut(pair.server, pair.client);
    pair.sim.run_for(5s);
    pair.sim.net().heal(pair.server, pair.client);
    ASSERT_TRUE(pair.client_ends(1min));
    EXPECT_EQ(heard, broken(Kind::Reset));
}

TEST(SimNet, AKilledProgramsConnectionsEndAndItsPortRefuses) {
    Pair pair(1);
    pair.serve([](World& world, StreamPointer stream) -> Task<void> {
        (void)co_await send(*stream, "220 ", in(world, 1s));
        co_await world.clock.sleep_for(1h);
    });
    std::string heard;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        heard = co_await read_all(*stream, in(world, 1min));
        co_await world.clock.sleep_for(1s);
        auto again = co_await world.net.connect(kServer, std::nullopt, in(world, 10s));
        EXPECT_EQ(again.error().kind, Kind::Refused);
        EXPECT_TRUE(co_await send(*stream, "x", in(world, 1s)));  // nobody knows yet
        co_await world.clock.sleep_for(1s);
        EXPECT_FALSE(co_await send(*stream, "x", in(world, 1s)));
    });
    pair.sim.run_for(5s);
    pair.server.kill();
    ASSERT_TRUE(pair.client_ends());
    EXPECT_EQ(heard, "220 ");
}

TEST(SimNet, AResetLeavesWhatHadArrived) {
    Pair pair(1);
    pair.serve([](World& world, StreamPointer stream) -> Task<void> {
        (void)co_await send(*stream, "arrived", in(world, 1s));
        co_await world.clock.sleep_for(1h);
    });
    std::string heard;
    pair.call([&](World& world, StreamPointer stream) -> Task<void> {
        co_await world.clock.sleep_for(10s);
        heard = co_await read_all(*stream, in(world, 1min));
    });
    pair.sim.run_for(5s);
    pair.sim.net().reset_between(pair.server, pair.client);
    ASSERT_TRUE(pair.client_ends());
    EXPECT_EQ(heard, "arrived" + broken(Kind::Reset));
    EXPECT_EQ(pair.sim.net().open_connections(), 0u);
}

TEST(SimNet, DrawnResetsBreakSomeConnections) {
    int whole = 0, reset = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        Pair pair(seed);
        pair.sim.net().faults.reset_per_million_segments = 20'000;
        pair.serve([](World& world, StreamPointer stream) -> Task<void> {
            (void)co_await send(*stream, std::string(50'000, 'x'), in(world, 1min));
        });
        std::string heard;
        pair.call([&](World& world, StreamPointer stream) -> Task<void> {
            heard = co_await read_all(*stream, in(world, 1min));
        });
        ASSERT_TRUE(pair.client_ends());
        (heard.ends_with(broken(Kind::Reset)) ? reset : whole)++;
    }
    EXPECT_GT(whole, 3);
    EXPECT_GT(reset, 3);
}

TEST(SimNet, ListenersAreSharedByShardsAndPortsAreTakenOnce) {
    Pair pair(1);
    std::set<int> shards;
    Endpoint where;
    pair.server.boot([&](World& world) -> Task<void> {
        auto listener = world.net.listen(IpEndpoint{{}, 0}, {});
        where = (*listener)->local();
        EXPECT_EQ(world.net.listen(where, {}).error().kind, Kind::AddressInUse);
        auto take = [](World& w, std::unique_ptr<Listener> own, std::set<int>& seen) -> Task<void> {
            for (;;) {
                auto stream = co_await own->accept();
                if (!stream) co_return;
                seen.insert(w.executor.current_shard());
            }
        };
        auto on_other = [](World& w, Listener& shared, auto work,
                           std::set<int>& seen) -> Task<void> {
            co_await w.executor.switch_to(1);
            co_await work(w, std::move(*w.net.share(shared)), seen);
        };
        world.executor.spawn(on_other(world, **listener, take, shards));
        co_await take(world, std::move(*world.net.share(**listener)), shards);
    });
    pair.sim.run_for(1s);
    pair.client.boot([&](World& world) -> Task<void> {
        uint16_t port = std::get<IpEndpoint>(where).port;
        EXPECT_GT(port, 1024);
        for (int i = 0; i < 30; i++) {
            auto stream = co_await world.net.connect(IpEndpoint{kServer.address, port},
                                                     std::nullopt, in(world, 5s));
            EXPECT_TRUE(stream.has_value());
            char part[1];
            EXPECT_EQ(*co_await (*stream)->read(part, in(world, 5s)), 0u);
        }
    });
    ASSERT_TRUE(pair.client_ends());
    EXPECT_EQ(shards, (std::set<int>{0, 1}));
}

TEST(SimNet, UnixSocketsStayWithinTheHost) {
    Pair pair(1);
    Endpoint path = UnixEndpoint{"/run/admin"};
    std::string heard;
    pair.server.boot([&](World& world) -> Task<void> {
        auto listener = world.net.listen(path, {});
        world.executor.spawn([](World& w, Endpoint to, std::string& text) -> Task<void> {
            auto stream = co_await w.net.connect(to, std::nullopt, in(w, 1s));
            EXPECT_TRUE(co_await send(**stream, "status", in(w, 1s)));
            (*stream)->shut_write();
            text = co_await read_all(**stream, in(w, 1s));
        }(world, path, heard));
        auto stream = co_await (*listener)->accept();
        EXPECT_EQ((*stream)->local(), path);
        co_await echo(world, std::move(*stream));
        (*listener)->close();
        EXPECT_EQ((co_await (*listener)->accept()).error().kind, Kind::Closed);
    });
    std::optional<Kind> elsewhere;
    pair.client.boot([&](World& world) -> Task<void> {
        auto stream = co_await world.net.connect(path, std::nullopt, in(world, 1s));
        if (!stream) elsewhere = stream.error().kind;
    });
    pair.sim.run_for(1min);
    EXPECT_EQ(heard, "status");
    EXPECT_EQ(elsewhere, Kind::Refused);
}

TEST(SimNet, DeathsAtAnyMomentLeaveNoConnection) {
    for (uint64_t seed = 1; seed <= 100; seed++) {
        Pair pair(seed);
        pair.connect_may_fail = true;
        pair.serve(echo);
        pair.call([](World& world, StreamPointer stream) -> Task<void> {
            for (;;) {
                if (!co_await send(*stream, std::string(3000, 'x'), in(world, 1s))) co_return;
                char part[5000];
                auto got = co_await stream->read(part, in(world, 1s));
                if (!got) co_return;
            }
        });
        pair.sim.run_for(Duration(int64_t(pair.sim.random().below(500'000'000))));
        if (seed % 2) {
            pair.server.power_loss();
        } else {
            pair.server.kill();
        }
        pair.sim.run_for(10s);
        if (seed % 3) pair.client.kill();
        pair.serve(echo);
        pair.sim.run_for(1h);
        EXPECT_EQ(pair.sim.net().open_connections(), 0u) << "seed " << seed;
    }
}

}  // namespace
}  // namespace postrider::sim
