#include "sim/internet/shrink.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/config_values.h"

namespace postrider::sim {

namespace {

class Shrinker {
public:
    Shrinker(const Scenario& scenario, const RunOptions& options, int runs_max,
             const std::function<void(const std::string&)>& tell)
        : options_(options), runs_max_(runs_max), tell_(tell) {
        options_.progress = nullptr;
        best_.scenario = scenario;
    }

    Shrunk shrink() {
        best_.summary = run(best_.scenario, options_);
        best_.runs = 1;
        // What happened after the promise was broken is not needed.
        cut_time();
        for (bool smaller = true; smaller && best_.runs < runs_max_;) {
            smaller = drop_faults();
            smaller |= drop_foreign();
            smaller |= drop_goals();
            smaller |= simplify();
            smaller |= cut_time();
        }
        return std::move(best_);
    }

private:
    // Keeps the candidate if it still breaks a promise.
    bool accept(Scenario candidate, const std::string& what) {
        if (best_.runs >= runs_max_) return false;
        best_.runs++;
        Summary summary = run(candidate, options_);
        if (summary.violations_count == 0) return false;
        best_.scenario = std::move(candidate);
        best_.summary = std::move(summary);
        if (tell_) tell_(what);
        return true;
    }

    bool cut_time() {
        bool any = false;
        for (int percent : {10, 30, 60, 90}) {
            Scenario candidate = best_.scenario;
            Duration length = candidate.length / 100 * percent;
            // Times that can be written down.
            candidate.length = length - length % std::chrono::milliseconds(1);
            if (candidate.length < std::chrono::milliseconds(1)) continue;
            if (accept(candidate, "only " + daemon::duration_text(candidate.length))) {
                any = true;
                break;
            }
        }
        return any;
    }

    bool drop_faults() {
        bool any = false;
        for (std::size_t i = best_.scenario.faults.size(); i-- > 0;) {
            Scenario candidate = best_.scenario;
            std::string what = fmt::format("without {}", word(candidate.faults[i].kind));
            candidate.faults.erase(candidate.faults.begin() + int64_t(i));
            any |= accept(std::move(candidate), what);
        }
        return any;
    }

    bool drop_foreign() {
        bool any = false;
        for (std::size_t i = best_.scenario.foreign.size(); i-- > 0;) {
            Scenario candidate = best_.scenario;
            std::string name = candidate.foreign[i].name;
            candidate.foreign.erase(candidate.foreign.begin() + int64_t(i));
            if (accept(candidate, "without the hosts " + name)) {
                any = true;
                continue;
            }
            candidate = best_.scenario;
            ForeignPlan& plan = candidate.foreign[i];
            if (plan.manners.empty() && plan.count == 1) continue;
            plan.manners.clear();
            plan.count = 1;
            any |= accept(std::move(candidate), "only one polite host " + name);
        }
        return any;
    }

    bool drop_goals() {
        bool any = false;
        for (uint32_t goal = 0; goal < kGoals; goal++) {
            Scenario candidate = best_.scenario;
            if (std::exchange(candidate.mail.shares[goal], 0) == 0) continue;
            if (std::ranges::all_of(candidate.mail.shares, [](uint32_t n) { return n == 0; }))
                continue;
            any |= accept(std::move(candidate), fmt::format("no mail to {}", word(Goal(goal))));
        }
        return any;
    }

    bool simplify() {
        bool any = false;
        auto change = [&](auto& best, auto Scenario::* plan, auto member, auto value,
                          const std::string& what) {
            if ((best.*plan).*member == value) return;
            Scenario candidate = best;
            (candidate.*plan).*member = value;
            any |= accept(std::move(candidate), what);
        };
        Scenario& best = best_.scenario;
        change(best, &Scenario::postriders, &PostriderPlan::count, 1, "one server");
        change(best, &Scenario::postriders, &PostriderPlan::shards, 1, "one shard");
        change(best, &Scenario::mail, &MailPlan::recipients_max, 1, "one recipient each");
        change(best, &Scenario::mail, &MailPlan::large_per_1000, 0u, "no large letters");
        change(best, &Scenario::mail, &MailPlan::null_per_1000, 0u, "no null senders");
        if (best.mail.sessions > 1) {
            change(best, &Scenario::mail, &MailPlan::sessions, best.mail.sessions / 2,
                   "half the sessions");
        }
        return any;
    }

    RunOptions options_;
    const int runs_max_;
    const std::function<void(const std::string&)>& tell_;
    Shrunk best_;
};

}  // namespace

Shrunk shrink(const Scenario& scenario, const RunOptions& options, int runs_max,
              const std::function<void(const std::string&)>& tell) {
    return Shrinker(scenario, options, runs_max, tell).shrink();
}

}  // namespace postrider::sim
