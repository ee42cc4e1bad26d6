// world/real/real_world_bench.cc: what the door costs: posts, journeys to a worker, timers, and one
// line each way over loopback; and the memory of an idle connection.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <array>

#include "world/real/real_world.h"

namespace postrider::world::real {
namespace {

template <typename Body>
void run(int shards, Body body) {
    NoLog log;
    RealWorld real({.shards = shards, .workers = 2}, log);
    World world = real.world();
    auto task = [&]() -> Task<void> {
        co_await body(world);
        real.stop();
    };
    real.executor().post_to(0, [&] { real.executor().spawn(task()); });
    real.run();
}

void post_to_own_shard(benchmark::State& state) {
    run(1, [&](World& world) -> Task<void> {
        for (auto _ : state) co_await world.executor.switch_to(0);
    });
}
BENCHMARK(post_to_own_shard);

void post_to_other_shard_and_back(benchmark::State& state) {
    run(2, [&](World& world) -> Task<void> {
        for (auto _ : state) {
            co_await world.executor.switch_to(1);
            co_await world.executor.switch_to(0);
        }
    });
}
BENCHMARK(post_to_other_shard_and_back)->UseRealTime();

void post_burst_to_other_shard(benchmark::State& state) {
    run(2, [&](World& world) -> Task<void> {
        uint64_t sum = 0;
        for (auto _ : state) world.executor.post_to(1, [&sum] { sum++; });
        co_await world.executor.switch_to(1);
        co_await world.executor.switch_to(0);
        if (sum != static_cast<uint64_t>(state.iterations()))
            state.SkipWithError("posts were lost");
    });
}
BENCHMARK(post_burst_to_other_shard)->UseRealTime();

void worker_and_back(benchmark::State& state) {
    run(1, [&](World& world) -> Task<void> {
        auto nothing = []() -> Task<void> { co_return; };
        for (auto _ : state) co_await world.worker.run(nothing());
    });
}
BENCHMARK(worker_and_back)->UseRealTime();

void timer_set_and_cancelled(benchmark::State& state) {
    run(1, [&](World& world) -> Task<void> {
        for (auto _ : state) {
            auto timer = world.clock.call_at(world.clock.now() + std::chrono::minutes(5), [] {});
            benchmark::DoNotOptimize(timer);
        }
        co_return;
    });
}
BENCHMARK(timer_set_and_cancelled);

struct Pair {
    std::unique_ptr<Stream> client;
    std::unique_ptr<Stream> server;
};

Task<Pair> connected(World& world, Listener& listener) {
    auto client = co_await world.net.connect(listener.local(), {}, Deadline::never());
    auto server = co_await listener.accept();
    co_return Pair{std::move(*client), std::move(*server)};
}

// A line and its echo: two writes, two waits and two reads, each with a deadline.
void line_there_and_back(benchmark::State& state) {
    run(1, [&](World& world) -> Task<void> {
        auto listener = world.net.listen(IpEndpoint{*IpAddress::parse("127.0.0.1"), 0}, {});
        Pair pair = co_await connected(world, **listener);
        auto later = [&] { return Deadline::after(world.clock.now(), std::chrono::minutes(5)); };
        std::string_view pieces[] = {"NOOP\r\n"};
        auto echo = [&]() -> Task<void> {
            std::array<char, 512> into;
            while (true) {
                if (!co_await pair.server->wait_readable(later())) co_return;
                auto got = co_await pair.server->read(into, later());
                if (!got || *got == 0) co_return;
                if (!co_await pair.server->write(pieces, later())) co_return;
            }
        };
        world.executor.spawn(echo());
        std::array<char, 512> into;
        for (auto _ : state) {
            (void)co_await pair.client->write(pieces, later());
            (void)co_await pair.client->read(into, later());
        }
        pair.server->close();
        co_await world.executor.switch_to(0);
    });
}
BENCHMARK(line_there_and_back)->UseRealTime();

// Heap octets of an accepted stream, and what is added while its session waits in wait_readable()
// with a deadline (coroutine frames, the reactor's state, the timer).
void memory_of_an_idle_stream(benchmark::State& state) {
    constexpr std::size_t kStreams = 400;
    run(1, [&](World& world) -> Task<void> {
        auto listener = world.net.listen(IpEndpoint{*IpAddress::parse("127.0.0.1"), 0}, {});
        std::vector<std::unique_ptr<Stream>> clients;
        std::vector<std::unique_ptr<Stream>> servers;
        servers.reserve(kStreams);
        while (clients.size() < kStreams) {
            auto to = (*listener)->local();
            clients.push_back(*co_await world.net.connect(to, {}, Deadline::never()));
        }
        auto used = [] { return static_cast<double>(::mallinfo2().uordblks) / kStreams; };
        double before = used();
        while (servers.size() < kStreams) servers.push_back(*co_await (*listener)->accept());
        state.counters["stream"] = used() - before;
        auto idle = [&](Stream& stream) -> Task<void> {
            auto later = Deadline::after(world.clock.now(), std::chrono::minutes(5));
            (void)co_await stream.wait_readable(later);
        };
        before = used();
        for (auto& server : servers) world.executor.spawn(idle(*server));
        co_await world.executor.switch_to(0);
        state.counters["waiting"] = used() - before;
        for (auto& server : servers) server->close();
        co_await world.executor.switch_to(0);
        for (auto _ : state) {
        }
    });
}
BENCHMARK(memory_of_an_idle_stream)->Iterations(1);

}  // namespace
}  // namespace postrider::world::real
