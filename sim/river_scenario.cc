#include "sim/river_scenario.h"

#include <fmt/format.h>

#include "sim/mailbox_check.h"
#include "sim/river_host.h"

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

constexpr uint64_t kDaysBeforeCheck = 10;
constexpr Duration kSentWithin = 1min;  // what clients have in hand, without accidents
constexpr Duration kEmptyWithin = 24h;  // the queue: some may wait for their next attempt

class Run {
public:
    explicit Run(const RiverScenario& how)
        : how_(how), sim_(how.seed), river_(sim_, river_config()), client_(sim_, how.clients) {
        sim_.net().faults.latency_max = 3ms;
        sim_.net().faults.reset_per_million_segments = 100;
        river_.host().disk_faults().forget_sync = how.forget_sync;
        river_.host().disk_faults().forget_directory_sync = how.forget_directory_sync;
    }

    RiverSummary run() {
        client_.start();
        while (sum_.losses < how_.losses && sum_.violations_count == 0) {
            client_.resume();
            for (uint64_t i = 0; i < kDaysBeforeCheck && sum_.losses < how_.losses; i++) {
                if (!boot()) break;
                end_day();
            }
            check();
        }
        sum_.accepted = client_.book().accepted;
        sum_.repeated = client_.book().repeated;
        sum_.refused = client_.book().refused_for_now;
        sum_.delivered = check_.copies();
        sum_.reports = check_.reports();
        sum_.set_aside = set_aside_.size();
        sum_.events = sim_.events();
        sum_.trace_hash = sim_.trace_hash();
        return std::move(sum_);
    }

private:
    bool boot() {
        river_.boot();
        sim_.run_until([&] { return river_.is_open() || river_.host().main_ended(); }, 10min);
        if (river_.is_open()) return true;
        violation("the river does not open: " + river_.open_error());
        return false;
    }

    void end_day() {
        SeededRandom& random = sim_.random();
        sim_.run_for(random.between(Duration(0ms), how_.life_max));
        if (random.chance(how_.clock_jumps_per_1000)) {
            river_.host().jump_wall(random.between(Duration(0h), Duration(4h)) - 2h);
            sim_.run_for(random.between(Duration(0ms), how_.life_max));
        }
        if (random.chance(how_.suspensions_per_1000)) {
            river_.host().suspend(
                random.between(Duration(1ms), Duration(10s)),
                random.below(2) == 0 ? SuspendedClock::Stops : SuspendedClock::GoesOn);
            sim_.run_for(random.between(Duration(0ms), Duration(12s)));
        }
        DiskFaults& disk = river_.host().disk_faults();
        if (random.chance(how_.failing_syncs_per_1000)) {
            disk.fail_next_syncs = static_cast<uint32_t>(1 + random.below(4));
            disk.fail_next_writes = static_cast<uint32_t>(random.below(2));
            sim_.run_for(random.between(Duration(0ms), how_.life_max));
        }
        disk.fail_next_syncs = disk.fail_next_writes = 0;
        if (random.chance(how_.stops_per_1000)) {
            stop();
        } else if (random.chance(how_.kills_per_1000)) {
            river_.kill();
        } else {
            river_.power_loss();
        }
        sum_.losses++;
        read_log();
        sim_.run_for(random.between(Duration(1ms), Duration(50ms)));
    }

    void stop() {
        river_.stop(30s);
        sim_.run_until([&] { return river_.host().main_ended(); }, 5min);
        if (!river_.has_stopped()) violation("the river does not stop");
        river_.kill();  // the process ends
    }

    // What the operator was told.
    void read_log() {
        for (const LogLine& line : river_.host().log_lines()) {
            if (line.at < log_read_until_) continue;
            if (line.event == Event::MessagePoisonous) {
                std::size_t at = line.text.find("id=") + 3;
                auto id = MessageId::parse(line.text.substr(at, MessageId::kTextOctets));
                if (id) set_aside_.insert(*id);
            } else if (line.event == Event::SpoolDamage || line.event == Event::MessageSetAside) {
                if (sum_.damage++ == 0) violation("damage: " + line.text);
            }
        }
        log_read_until_ = sim_.now();
    }

    // Lets everything come to rest, and looks.
    void check() {
        client_.pause();
        if (!river_.host().is_up() && !boot()) return;
        bool rests = sim_.run_until([&] { return client_.is_idle(); }, kSentWithin);
        if (!rests) violation("clients do not get rid of their messages");
        if (!river_.run_until_empty(kEmptyWithin)) violation("the queue does not become empty");
        read_log();
        check_.run(river_.host().disk().files(), client_.book(), set_aside_);
        for (const std::string& fault : check_.faults()) violation(fault);
        for (const std::string& fault : client_.book().faults) violation("client: " + fault);
        river_.power_loss();
    }

    void violation(std::string text) {
        sum_.violations_count++;
        if (sum_.violations.size() < 20) sum_.violations.push_back(std::move(text));
    }

    const RiverScenario how_;
    Simulation sim_;
    RiverHost river_;
    MailClient client_;
    MailboxCheck check_;
    std::set<MessageId> set_aside_;
    Monotonic log_read_until_{};
    RiverSummary sum_;
};

}  // namespace

std::string RiverSummary::text() const {
    return fmt::format(
        "losses {}, accepted {}, delivered {}, reports {}, repeated {}, refused for now {}, "
        "set aside {}, damage {}, violations {}, trace {:016x}",
        losses, accepted, delivered, reports, repeated, refused, set_aside, damage,
        violations_count, trace_hash);
}

RiverSummary run_river(const RiverScenario& scenario) { return Run(scenario).run(); }

}  // namespace postrider::sim
