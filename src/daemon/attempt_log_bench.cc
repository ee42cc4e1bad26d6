// daemon/attempt_log_bench.cc: what remembering an attempt costs a message on its path.
//
// Nothing is written here: add() only appends to a buffer, and what follows once a second is the
// same for one attempt and for thousands.

#include "daemon/attempt_log.h"

#include <benchmark/benchmark.h>

#include <array>

namespace postrider::daemon {
namespace {

Envelope envelope_of_one() {
    Envelope envelope;
    Variant variant{.reverse_path = {*Mailbox::parse("someone@sender.example")}, .prefix = {}};
    variant.recipients.push_back({.mailbox = *Mailbox::parse("somebody@recipient.example"),
                                  .original = {},
                                  .notify = {},
                                  .orcpt = {}});
    envelope.variants.push_back(std::move(variant));
    return envelope;
}

void append(benchmark::State& state) {
    Envelope envelope = envelope_of_one();
    std::string dialogue(static_cast<std::size_t>(state.range(0)), 'd');
    std::array<RecipientResult, 1> results{
        RecipientResult{.verdict = RecipientResult::Verdict::Delivered, .status = {2, 0, 0}}};
    std::string group;
    group.reserve(AttemptLog::kGroupOctets * 2);
    uint64_t id = 0;
    for (auto _ : state) {
        if (group.size() >= AttemptLog::kGroupOctets) group.clear();
        append_attempt(group, {++id},
                       {.at = {1'700'000'000'000'000},
                        .number = 1,
                        .site = "local",
                        .envelope = &envelope,
                        .results = results,
                        .dialogue = dialogue});
        benchmark::DoNotOptimize(group.data());
    }
    std::string one;
    append_attempt(one, {1}, {.envelope = &envelope, .results = results, .dialogue = dialogue});
    state.counters["octets"] = static_cast<double>(one.size());
}
BENCHMARK(append)->Arg(0)->Arg(1000);

// What a question reads through, from memory.
void scan(benchmark::State& state) {
    std::string file;
    std::string dialogue(1000, 'd');
    for (uint64_t id = 0; file.size() < 8 * 1024 * 1024; id++) {
        append_attempt(file, {id}, {.number = 1, .site = "far.test", .dialogue = dialogue});
    }
    for (auto _ : state) {
        AttemptStory story;
        benchmark::DoNotOptimize(scan_attempts(file, FilePart::End, {0}, story));
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * file.size()));
}
BENCHMARK(scan);

}  // namespace
}  // namespace postrider::daemon
