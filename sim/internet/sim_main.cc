// The simulator as a program: scenarios from their files, many seeds, and what they showed.

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <mutex>
#include <random>
#include <thread>

#include "daemon/config_values.h"
#include "sim/internet/run.h"
#include "sim/internet/shrink.h"

namespace postrider::sim {
namespace {

namespace fs = std::filesystem;

constexpr int kShrinkRunsMax = 60;

struct Arguments {
    std::vector<std::string> scenarios;
    std::string folder = POSTRIDER_SOURCE_DIR "/sim/scenarios";
    uint64_t seed = 1;
    uint64_t seeds = 1;
    double minutes = 0;
    int jobs = 1;
    bool soak = false;
    bool fresh = false;
    bool list = false;
    bool situations = false;
    bool all_situations = false;
    bool no_switches = false;
    bool no_shrink = false;
    bool keep_going = false;
};

// One run that is to be made.
struct Job {
    const Scenario* scenario;
    uint64_t seed;
};

Scenario load(const fs::path& path) {
    std::ifstream file(path);
    std::string text{std::istreambuf_iterator<char>(file), {}};
    if (!file) throw CLI::ValidationError("scenario", "cannot be read: " + path.string());
    auto scenario = Scenario::parse(text, path.stem().string());
    if (!scenario) throw CLI::ValidationError("scenario", scenario.error().message);
    return std::move(*scenario);
}

std::vector<Scenario> load_all(const Arguments& arguments) {
    std::vector<Scenario> out;
    for (const std::string& name : arguments.scenarios) {
        bool is_path = name.ends_with(".toml");
        out.push_back(
            load(is_path ? fs::path(name) : fs::path(arguments.folder) / (name + ".toml")));
    }
    if (!out.empty()) return out;
    std::vector<fs::path> paths;
    for (const auto& entry : fs::directory_iterator(arguments.folder)) {
        if (entry.path().extension() == ".toml") paths.push_back(entry.path());
    }
    std::ranges::sort(paths);
    for (const fs::path& path : paths) {
        Scenario scenario = load(path);
        if (!scenario.expects_violations) out.push_back(std::move(scenario));
    }
    return out;
}

class Program {
public:
    Program(const Arguments& arguments, std::vector<Scenario>& scenarios)
        : arguments_(arguments), begun_(std::chrono::steady_clock::now()) {
        uint64_t rounds = arguments.seeds;
        for (Scenario& scenario : scenarios) {
            if (arguments.soak) {
                scenario.length = scenario.soak_length;
                rounds = std::max<uint64_t>(rounds, uint64_t(scenario.soak_runs));
            }
            if (arguments.minutes > 0) {
                scenario.length = Duration(int64_t(arguments.minutes * 60e9));
            }
        }
        for (uint64_t round = 0; round < rounds; round++) {
            for (const Scenario& scenario : scenarios) {
                if (arguments.soak && round >= uint64_t(scenario.soak_runs) * arguments.seeds)
                    continue;
                jobs_.push_back({&scenario, arguments.seed + round});
            }
        }
        // The longest first, so that at the end no processor waits for one of them.
        if (arguments.soak) {
            std::ranges::stable_sort(jobs_, std::greater{},
                                     [](const Job& job) { return job.scenario->length; });
        }
        results_.resize(jobs_.size());
    }

    int run_all() {
        std::vector<std::jthread> threads;
        for (int i = 1; i < arguments_.jobs; i++) threads.emplace_back([this] { work(); });
        work();
        threads.clear();
        Summary total;
        for (std::size_t i = 0; i < results_.size() && i < next_; i++) total.add(results_[i]);
        double seconds = elapsed();
        fmt::print("\n{} runs in {:.0f} s, {:.0f} times as fast as the clock\n{}", done_, seconds,
                   double(total.length.count()) / 1e9 / seconds, total.table());
        bool complete = tell_situations(total);
        bool as_expected = failed_ ? failed_->scenario->expects_violations
                                   : std::ranges::none_of(jobs_, [](const Job& job) {
                                         return job.scenario->expects_violations;
                                     });
        if (failed_ && !as_expected) tell_failure(*failed_);
        return as_expected && complete ? 0 : 1;
    }

private:
    double elapsed() const {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
    }

    void work() {
        while (true) {
            std::size_t number = 0;
            {
                std::scoped_lock lock(mutex_);
                if (next_ == jobs_.size() || (failed_ && !arguments_.keep_going)) return;
                number = next_++;
            }
            const Job& job = jobs_[number];
            auto begun = std::chrono::steady_clock::now();
            Summary sum = run(*job.scenario, options_of(job));
            std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun;
            std::scoped_lock lock(mutex_);
            done_++;
            fmt::print(
                "{:>4}/{} {:<18} seed {:<20} {:>8} messages {:>5} crashes {:>8} virtual "
                "{:>6.1f} s hash {:016x}{}\n",
                done_, jobs_.size(), job.scenario->name, job.seed, sum.accepted, sum.crashes.all,
                daemon::duration_text(sum.length - sum.length % std::chrono::seconds(1)),
                took.count(), sum.trace_hash, sum.violations_count > 0 ? "  PROMISE BROKEN" : "");
            for (const std::string& violation : sum.violations)
                fmt::print("       {}\n", violation);
            std::fflush(stdout);
            if (sum.violations_count > 0 && !failed_) failed_ = job;
            results_[number] = std::move(sum);
        }
    }

    RunOptions options_of(const Job& job) const {
        return {.seed = job.seed, .switches = !arguments_.no_switches, .progress = {}};
    }

    // Which rare moments were seen. False: one is missing and all are wanted.
    bool tell_situations(const Summary& total) const {
        std::size_t count = 0;
        std::string missing, list;
        for (std::size_t i = 0; i < kSituationCount; i++) {
            if (total.reached[i] > 0) count++;
            auto line = fmt::format("  {:>10}  {:<32}{}\n", total.reached[i], kSituations[i].name,
                                    kSituations[i].text);
            (total.reached[i] > 0 ? list : missing) += line;
        }
        for (std::size_t i = 0; i < kSwitchCount; i++) {
            list += fmt::format("  {:>10}  {:<32}{} (forced)\n", total.forced[i], kSwitches[i].name,
                                kSwitches[i].text);
        }
        fmt::print("  {:<18}{} of {} reached\n", "situations", count, kSituationCount);
        if (arguments_.situations) fmt::print("{}", list);
        if (!missing.empty() && (arguments_.situations || arguments_.all_situations)) {
            fmt::print("never reached:\n{}", missing);
        }
        return missing.empty() || !arguments_.all_situations;
    }

    void tell_failure(const Job& job) const {
        Scenario scenario = *job.scenario;
        fmt::print("\nA promise was broken. To see it again:\n  {}\n",
                   command(scenario.name, job.seed, scenario.length));
        if (arguments_.no_shrink) return;
        fmt::print("Looking for a smaller run that breaks it (at most {} runs) ...\n",
                   kShrinkRunsMax);
        std::fflush(stdout);
        Shrunk small =
            shrink(scenario, options_of(job), kShrinkRunsMax, [](const std::string& what) {
                fmt::print("  still broken: {}\n", what);
                std::fflush(stdout);
            });
        fs::path folder = fs::path(POSTRIDER_SOURCE_DIR) / "build" / "sim";
        fs::create_directories(folder);
        fs::path path = folder / fmt::format("{}-{}.toml", scenario.name, job.seed);
        std::ofstream(path) << small.scenario.text();
        fmt::print("After {} runs, the smallest: {} messages, {} crashes, {} virtual.\n  {}\n",
                   small.runs, small.summary.accepted, small.summary.crashes.all,
                   daemon::duration_text(small.scenario.length),
                   command(path.string(), job.seed, small.scenario.length));
        for (const std::string& violation : small.summary.violations) {
            fmt::print("  {}\n", violation);
        }
    }

    std::string command(const std::string& scenario, uint64_t seed, Duration length) const {
        return fmt::format("./dev sim --scenario {} --seed {} --minutes {}{}", scenario, seed,
                           double(length.count()) / 60e9,
                           arguments_.no_switches ? " --no-switches" : "");
    }

    const Arguments& arguments_;
    const std::chrono::steady_clock::time_point begun_;
    std::vector<Job> jobs_;
    std::vector<Summary> results_;
    std::mutex mutex_;
    std::size_t next_ = 0;
    std::size_t done_ = 0;
    std::optional<Job> failed_;
};

int main_of(int argc, char** argv) {
    CLI::App app{
        "Postriders, other people's hosts and their bad days, in virtual time, from one "
        "seed.\nWithout arguments: every scenario once."};
    Arguments arguments;
    app.add_option("--scenario", arguments.scenarios,
                   "a name in sim/scenarios, or a path that ends in .toml; may be repeated");
    app.add_option("--seed", arguments.seed, "the first seed")->capture_default_str();
    app.add_option("--seeds", arguments.seeds, "how many seeds of each")->capture_default_str();
    app.add_option("--minutes", arguments.minutes, "of virtual time, instead of the scenario's");
    app.add_option("--jobs", arguments.jobs, "runs at the same time")
        ->capture_default_str()
        ->check(CLI::Range(1, 64));
    app.add_flag("--soak", arguments.soak, "the long forms, as often as each scenario asks for");
    app.add_flag("--fresh", arguments.fresh, "a seed that nobody has drawn yet");
    app.add_flag("--list", arguments.list, "the scenarios, a line each");
    app.add_flag("--situations", arguments.situations, "which rare moments were reached");
    app.add_flag("--all-situations", arguments.all_situations, "and fail if one was not");
    app.add_flag("--no-switches", arguments.no_switches, "take no rare way on purpose");
    app.add_flag("--no-shrink", arguments.no_shrink, "do not look for a smaller failing run");
    app.add_flag("--keep-going", arguments.keep_going,
                 "make all runs, also after a broken promise");
    try {
        app.parse(argc, argv);
        std::vector<Scenario> scenarios = load_all(arguments);
        if (arguments.list) {
            for (const Scenario& scenario : scenarios) {
                fmt::print("{:<18}{}\n", scenario.name, scenario.about);
            }
            return 0;
        }
        if (arguments.fresh) {
            arguments.seed = std::random_device{}();
            fmt::print("fresh seed {}\n", arguments.seed);
        }
        return Program(arguments, scenarios).run_all();
    } catch (const CLI::Error& error) {
        return app.exit(error);
    }
}

}  // namespace
}  // namespace postrider::sim

int main(int argc, char** argv) { return postrider::sim::main_of(argc, argv); }
