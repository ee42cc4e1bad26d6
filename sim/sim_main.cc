// The simulator as a program: many seeds of the whole river under losses of power.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <chrono>

#include "sim/river_scenario.h"

namespace postrider::sim {
namespace {

int main_of(int argc, char** argv) {
    CLI::App app{"The whole river in a simulated world, from one seed."};
    RiverScenario scenario;
    uint64_t seeds = 20;
    double minutes = 0;
    bool expect_violations = false;
    bool rough = false;
    app.add_option("--seed", scenario.seed, "the first seed")->capture_default_str();
    app.add_option("--seeds", seeds, "how many seeds, one after the other")->capture_default_str();
    app.add_option("--losses", scenario.losses, "losses of power for each seed")
        ->capture_default_str();
    app.add_option("--minutes", minutes, "begin no further seed after so many minutes (0: all)");
    app.add_flag("--rough", rough,
                 "kills, stops, clock jumps, suspensions and failing syncs as well");
    app.add_flag("--forget-sync", scenario.forget_sync,
                 "the disk's sync does nothing, to see that this is caught");
    app.add_flag("--forget-directory-sync", scenario.forget_directory_sync, "the same for names");
    app.add_flag("--expect-violations", expect_violations,
                 "exit 0 if there are violations, 1 if there are none");
    CLI11_PARSE(app, argc, argv);
    if (rough) {
        scenario.kills_per_1000 = 300;
        scenario.stops_per_1000 = 200;
        scenario.clock_jumps_per_1000 = 200;
        scenario.suspensions_per_1000 = 100;
        scenario.failing_syncs_per_1000 = 300;
    }

    auto begun = std::chrono::steady_clock::now();
    RiverSummary total;
    uint64_t first = scenario.seed;
    uint64_t done = 0;
    for (; done < seeds; done++) {
        std::chrono::duration<double> taken = std::chrono::steady_clock::now() - begun;
        if (minutes > 0 && taken.count() > minutes * 60) break;
        scenario.seed = first + done;
        RiverSummary sum = run_river(scenario);
        fmt::print("seed {}: {}\n", scenario.seed, sum.text());
        for (const std::string& violation : sum.violations) fmt::print("  {}\n", violation);
        if (sum.violations_count > 0)
            fmt::print("  to repeat it: --seed {} --seeds 1\n", scenario.seed);
        std::fflush(stdout);
        total.losses += sum.losses;
        total.accepted += sum.accepted;
        total.delivered += sum.delivered;
        total.reports += sum.reports;
        total.repeated += sum.repeated;
        total.refused += sum.refused;
        total.set_aside += sum.set_aside;
        total.violations_count += sum.violations_count;
        total.trace_hash ^= sum.trace_hash * (2 * done + 1);
        if (sum.violations_count > 0) {
            done++;
            break;
        }
    }
    fmt::print("total of {} seeds: {}\n", done, total.text());
    return (total.violations_count > 0) == expect_violations ? 0 : 1;
}

}  // namespace
}  // namespace postrider::sim

int main(int argc, char** argv) { return postrider::sim::main_of(argc, argv); }
