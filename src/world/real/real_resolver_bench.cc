// What an answer costs that is known already: from our cache, and from libunbound's behind it.
// "localhost" is a name that libunbound answers from its own data.

#include <benchmark/benchmark.h>

#include "world/real/real_world.h"

namespace {

using namespace postrider;
using namespace postrider::world;

void ask_again(benchmark::State& state, std::size_t cache_entries_max) {
    NoLog log;
    real::RealWorld real(
        {.workers = 1,
         .resolver = {.trust_anchor_file = "", .cache_entries_max = cache_entries_max}},
        log);
    World world = real.world();
    auto task = [&]() -> Task<void> {
        dns::Question question{*dns::Name::parse("localhost"), dns::Type::A};
        for (auto _ : state) {
            auto deadline = Deadline::after(world.clock.now(), std::chrono::seconds(10));
            dns::Answer answer = co_await world.resolver.query(question, deadline);
            if (answer.records.empty()) state.SkipWithError("no answer");
        }
        real.stop();
    };
    real.executor().post_to(0, [&] { real.executor().spawn(task()); });
    real.run();
}

void known_to_us(benchmark::State& state) { ask_again(state, 1000); }
void known_to_libunbound(benchmark::State& state) { ask_again(state, 0); }

BENCHMARK(known_to_us)->MeasureProcessCPUTime()->UseRealTime();
BENCHMARK(known_to_libunbound)->MeasureProcessCPUTime()->UseRealTime();

}  // namespace
