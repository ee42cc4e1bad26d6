// queue/testing.h: short words for the queue's tests.
//
// Threads: one test's.

#pragma once

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "queue/scheduler.h"

namespace postrider::queue::testing_words {

using Verdict = RecipientResult::Verdict;
using Outcome = Settlement::Outcome;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr Monotonic kStart{1'000'000'000'000};

inline Monotonic at(Duration since_start) { return kStart + since_start; }

// A scheduler with a clock that the test turns.
struct Bench {
    explicit Bench(Options options = {}) : queue(std::move(options)) {}

    Scheduler queue;
    Monotonic now = kStart;
    uint64_t last_id = 0;

    Handle add(std::string_view site, std::string_view sender = "s", int priority = 0,
               std::vector<uint32_t> recipients = {0}) {
        return queue.add({.message = {++last_id << 8},
                          .recipients = recipients,
                          .site = site,
                          .sender = sender,
                          .priority = priority,
                          .due = now},
                         now);
    }
    std::optional<Job> job() {
        Decision decision = queue.next(now);
        if (auto* job = std::get_if<Job>(&decision)) return std::move(*job);
        return std::nullopt;
    }
    // All that can be started now.
    std::vector<Job> jobs() {
        std::vector<Job> all;
        while (auto one = job()) all.push_back(std::move(*one));
        return all;
    }
    Settlement done(const Job& job, Verdict verdict, FailureKind kind = FailureKind::Other) {
        std::vector<RecipientResult> results;
        results.reserve(job.recipients.size());
        for (uint32_t recipient : job.recipients) {
            results.push_back({.recipient = recipient, .verdict = verdict, .kind = kind});
        }
        return queue.done(job.handle, results, now);
    }
    // The next decision when it is time to sleep.
    std::optional<Monotonic> sleep() {
        Decision decision = queue.next(now);
        if (auto* until = std::get_if<SleepUntil>(&decision)) return until->at;
        return std::nullopt;
    }
    SiteView site(std::string_view key) const {
        SiteView found;
        queue.visit_sites(
            [&](const SiteView& view) {
                if (view.site == key) found = view;
            },
            now);
        return found;
    }
};

inline Options plain() {
    Options options;
    for (SiteOptions* site : {&options.remote, &options.local}) {
        for (RetryRow& row : site->schedule) row.jitter_percent = 0;
        site->suspension.jitter_percent = 0;
    }
    return options;
}

}  // namespace postrider::queue::testing_words
