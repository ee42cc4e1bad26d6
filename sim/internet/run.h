// sim/internet/run.h: one run of a scenario from one seed, and what it showed.
//
// Mail flows and accidents happen; every rest_every the accidents end, clients pause, and when the
// queues are empty everything is held against what was promised (reckoning.h). Then it goes on.
//
// Promise: the same scenario, seed and program give the same Summary, trace hash included, in any
// process and build. (Test: sim.builds_do_the_same.)
//
// Threads: one; a run per thread.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/situation.h"
#include "sim/internet/faults.h"
#include "sim/internet/reckoning.h"
#include "sim/internet/scenario.h"

namespace postrider::sim {

struct RunOptions {
    uint64_t seed = 1;
    bool switches = true;  // rare ways are taken on purpose (base/situation.h)
    // Called after each rest with the virtual time that has passed; may be empty.
    std::function<void(Duration)> progress;
};

struct Summary {
    int hosts = 0;
    Duration length{};  // virtual
    uint64_t accepted = 0;
    uint64_t refused_for_now = 0;
    uint64_t repeated_by_clients = 0;
    CrashCounts crashes;
    std::array<uint64_t, kFaultKinds> faults{};
    Totals totals;
    uint64_t rests = 0;
    uint64_t looks = 0;
    std::size_t memory_peak = 0;
    uint64_t disk_peak = 0;
    std::size_t queue_peak = 0;
    uint64_t events = 0;
    uint64_t trace_hash = 0;
    uint64_t violations_count = 0;
    std::vector<std::string> violations;              // the first of them
    std::array<uint64_t, kSituationCount> reached{};  // how often
    std::array<uint64_t, kSwitchCount> forced{};

    void add(const Summary& other);  // for totals over runs
    std::string table() const;       // in plain words
};

Summary run(const Scenario& scenario, const RunOptions& options);

}  // namespace postrider::sim
