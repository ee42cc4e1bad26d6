// sim/internet/shrink.h: from a run that broke a promise to a smaller one that still does.
//
// Tries, one after the other, what makes the story shorter: less time, fewer faults, fewer foreign
// hosts and manners, fewer servers, sessions and recipients. What still breaks a promise is kept.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "sim/internet/run.h"

namespace postrider::sim {

struct Shrunk {
    Scenario scenario;  // breaks a promise with the same seed
    Summary summary;    // of its run
    int runs = 0;
};

// REQUIRES: a run of `scenario` from `seed` breaks a promise. Runs at most `runs_max` others.
// `tell`: one line about each success; may be empty.
Shrunk shrink(const Scenario& scenario, const RunOptions& options, int runs_max,
              const std::function<void(const std::string&)>& tell);

}  // namespace postrider::sim
