// queue/queue_bench.cc: octets for a waiting entry and time for a decision, with a million entries.
//
// Memory is what the program's allocator gave out, counted by replacing operator new here.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <cstdlib>
#include <new>
#include <string>

#include "queue/scheduler.h"

namespace {
std::size_t allocated = 0;
}

void* operator new(std::size_t size) {
    void* memory = std::malloc(size);
    if (!memory) std::abort();
    allocated += malloc_usable_size(memory) + sizeof(std::size_t);
    return memory;
}
void operator delete(void* memory) noexcept {
    if (!memory) return;
    allocated -= malloc_usable_size(memory) + sizeof(std::size_t);
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept { operator delete(memory); }

namespace postrider::queue {
namespace {

constexpr int kEntries = 1'000'000;

std::string site_name(int number) { return "mx:host" + std::to_string(number) + ".example.org"; }

void fill(Scheduler& queue, int sites, Duration due_in, Monotonic now) {
    std::vector<uint32_t> one{0};
    for (int i = 0; i < kEntries; i++) {
        queue.add({.message = {static_cast<uint64_t>(i + 1) << 8},
                   .recipients = one,
                   .site = site_name(i % sites),
                   .sender = "sender" + std::to_string(i % 1000),
                   .due = now + due_in + Duration(i)},
                  now);
    }
}

// Octets for each of a million entries that wait for their time, or for their site.
void BM_MemoryPerEntry(benchmark::State& state) {
    int sites = static_cast<int>(state.range(0));
    Duration due_in = state.range(1) == 0 ? Duration(std::chrono::hours(1)) : Duration(-kEntries);
    double octets = 0;
    for (auto _ : state) {
        std::size_t before = allocated;
        Scheduler queue{Options{}};
        fill(queue, sites, due_in, {});
        octets = static_cast<double>(allocated - before) / kEntries;
    }
    state.counters["octets_per_entry"] = octets;
}
BENCHMARK(BM_MemoryPerEntry)
    ->ArgNames({"sites", "ready"})
    ->ArgsProduct({{1, 1000, 100'000}, {0, 1}})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

// One job given out and ended, with a million others waiting.
void BM_NextAndDone(benchmark::State& state) {
    Scheduler queue{Options{}};
    Monotonic now{};
    fill(queue, static_cast<int>(state.range(0)), Duration(-kEntries), now);
    std::vector<RecipientResult> results(1);
    std::vector<uint32_t> one{0};
    uint64_t id = uint64_t{kEntries} << 9;
    int i = 0;
    for (auto _ : state) {
        now = now + Duration(1000);
        Decision decision = queue.next(now);
        if (auto* job = std::get_if<Job>(&decision)) {
            results[0] = {.recipient = 0, .verdict = RecipientResult::Verdict::Relayed};
            queue.done(job->handle, results, now);
            // Another takes its place.
            queue.add({.message = {++id},
                       .recipients = one,
                       .site = site_name(i++ % static_cast<int>(state.range(0))),
                       .sender = "s",
                       .due = now},
                      now);
        }
    }
}
BENCHMARK(BM_NextAndDone)->ArgName("sites")->Arg(1)->Arg(1000)->Arg(100'000);

// One failed attempt of an entry, with a million others waiting.
void BM_NextAndDefer(benchmark::State& state) {
    Scheduler queue{Options{}};
    Monotonic now{};
    fill(queue, static_cast<int>(state.range(0)), Duration(-kEntries), now);
    std::vector<RecipientResult> results(1);
    for (auto _ : state) {
        now = now + Duration(1000);
        Decision decision = queue.next(now);
        if (auto* job = std::get_if<Job>(&decision)) {
            results[0] = {.recipient = 0, .kind = FailureKind::Mailbox};
            queue.done(job->handle, results, now);
        }
    }
}
BENCHMARK(BM_NextAndDefer)
    ->ArgName("sites")
    ->Arg(1)
    ->Arg(1000)
    ->Arg(100'000)
    ->Iterations(kEntries / 2);

}  // namespace
}  // namespace postrider::queue
