#include "sim/internet/run.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/config_values.h"
#include "sim/internet/watch.h"

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

// Connections that are still open when all is said go away within this time.
constexpr Duration kLastConnections = 1h;

// Some switches are on in a run, and then act now and then; rarely while everything comes to rest,
// or a letter that one server says no to again and again is not gone when that should end.
class Watcher : public SituationWatcher {
public:
    Watcher(uint64_t seed, bool switches, Summary& sum)
        : random_(seed, /*label=*/0x517), sum_(sum) {
        for (bool& on : on_) on = random_.chance(250) && switches;
        situation_watcher = this;
    }
    Watcher(const Watcher&) = delete;
    Watcher& operator=(const Watcher&) = delete;
    ~Watcher() { situation_watcher = nullptr; }

    void reached(Situation situation) override { sum_.reached[std::size_t(situation)]++; }
    bool forced(Switch which) override {
        if (!on_[std::size_t(which)] || !random_.chance(resting_ ? 5 : 100)) return false;
        sum_.forced[std::size_t(which)]++;
        return true;
    }
    void set_resting(bool resting) { resting_ = resting; }

private:
    SeededRandom random_;
    Summary& sum_;
    std::array<bool, kSwitchCount> on_{};
    bool resting_ = false;
};

class Run {
public:
    Run(const Scenario& scenario, const RunOptions& options)
        : how_(scenario),
          options_(options),
          watcher_(options.seed, options.switches, sum_),
          net_(scenario, options.seed),
          faults_(scenario, net_),
          reckoning_(net_),
          watch_(net_) {}

    Summary run() {
        net_.boot_all();
        watch_.start();
        for (Duration lived{}; lived < how_.length && is_well();) {
            net_.set_mailing(true);
            watcher_.set_resting(false);
            faults_.start();
            Duration part = std::min(how_.rest_every, how_.length - lived);
            Monotonic end = net_.sim.now() + part;
            lived += part;
            net_.sim.run_until([&] { return net_.sim.now() >= end || !is_well(); },
                               end - net_.sim.now());
            rest();
            if (options_.progress) options_.progress(Duration(net_.sim.now().ns));
        }
        sum_up();
        return std::move(sum_);
    }

private:
    bool is_well() const { return net_.ledger.violations_count() == 0; }

    // Everything comes to rest and is looked at.
    void rest() {
        net_.set_mailing(false);
        watcher_.set_resting(true);
        faults_.stop();
        net_.boot_all();
        if (!is_well()) return;
        Monotonic end = net_.sim.now() + how_.rest_max;
        bool done = net_.sim.run_until([&] { return net_.clients_idle(); }, how_.rest_max);
        if (!done) {
            std::string last;
            for (const auto& [words, count] : net_.ledger.refusals) {
                last += fmt::format(" {} times {};", count, words);
            }
            for (auto& server : net_.servers) {
                last += fmt::format(
                    " {} is {}{}{};", server->host().name(), server->host().is_up() ? "up" : "down",
                    server->is_open() ? ", open" : "", server->has_stopped() ? ", stopped" : "");
            }
            return net_.ledger.violation("clients do not get rid of their letters:" + last);
        }
        // What one server has delivered, another may have to deliver.
        for (bool empty = false; !empty;) {
            uint64_t before = net_.ledger.accepted;
            for (auto& server : net_.servers) {
                if (!server->run_until_empty(std::max(end - net_.sim.now(), Duration(1ms))))
                    return net_.ledger.violation(server->host().name() + "'s queue is not empty:" +
                                                 waiting(*server) + unfinished(*server));
            }
            empty = net_.clients_idle() && net_.ledger.accepted == before && all_empty();
        }
        // Everybody says good-bye; who was mute for long has been given up by then.
        auto alone = [&] { return net_.sim.net().open_connections() == 0; };
        if (!net_.sim.run_until(alone, kLastConnections)) {
            return net_.ledger.violation("connections stay open although nothing is left to say: " +
                                         net_.sim.net().describe_connections());
        }
        reckoning_.run();
        sum_.rests++;
    }

    // The first of what its log has not seen the end of.
    std::string unfinished(RiverHost& server) {
        int number = net_.server_at(world::IpEndpoint{server.host().addresses().front(), 25});
        const auto& live = net_.ledger.books[std::size_t(number)].live;
        if (live.empty()) return "; the log says that nothing is left";
        auto stats = server.ask_spool();
        std::string out = fmt::format("; {} in the spool, {} without an end",
                                      stats ? stats->live_messages : 0, live.size());
        for (const auto& [id, recipients] : live) {
            std::string all = story(server.host(), id);
            out +=
                fmt::format("\n       {}: {} recipients; its last lines:{}", id.text(), recipients,
                            all.substr(all.size() - std::min<std::size_t>(all.size(), 1000)));
            if (out.size() > 5000) break;
        }
        return out;
    }

    // The first of what waits, with its story.
    static std::string waiting(RiverHost& server) {
        if (!server.is_open()) return " it is not open";
        std::string out;
        int count = 0;
        server.river().dispatcher().scheduler().scan(
            0, 1'000'000, {}, {}, [&](const queue::EntryView& entry) {
                if (++count > 2) return;
                out += fmt::format("\n       {} for {}, {} attempts{}", entry.message.text(),
                                   entry.site, entry.attempts, story(server.host(), entry.message));
            });
        return fmt::format(" {} entries{}", count, out);
    }

    bool all_empty() {
        return std::ranges::all_of(net_.servers, [](const auto& server) {
            return server->is_open() &&
                   server->river().dispatcher().scheduler().totals().entries == 0;
        });
    }

    void sum_up() {
        sum_.hosts = net_.server_count() + int(net_.foreign.size()) + int(net_.clients.size()) +
                     int(net_.outside.size());
        sum_.length = Duration(net_.sim.now().ns);
        sum_.accepted = net_.ledger.accepted;
        sum_.refused_for_now = net_.ledger.refused_for_now;
        sum_.repeated_by_clients = net_.ledger.repeated_by_clients;
        sum_.crashes = faults_.crashes();
        sum_.faults = faults_.counts();
        sum_.totals = reckoning_.totals();
        sum_.looks = watch_.looks();
        sum_.memory_peak = watch_.memory_peak();
        sum_.disk_peak = watch_.disk_peak();
        sum_.queue_peak = watch_.queue_peak();
        sum_.events = net_.sim.events();
        sum_.trace_hash = net_.sim.trace_hash();
        sum_.violations_count = net_.ledger.violations_count();
        sum_.violations = net_.ledger.violations();
    }

    const Scenario& how_;
    const RunOptions& options_;
    Summary sum_;
    Watcher watcher_;
    Internet net_;
    Faults faults_;
    Reckoning reckoning_;
    Watch watch_;
};

std::string days(Duration duration) {
    double hours = double(duration.count()) / 3.6e12;
    return hours < 48 ? daemon::duration_text(duration - duration % Duration(1s))
                      : fmt::format("{:.1f} days", hours / 24);
}

}  // namespace

void Summary::add(const Summary& other) {
    hosts = std::max(hosts, other.hosts);
    length += other.length;
    accepted += other.accepted;
    refused_for_now += other.refused_for_now;
    repeated_by_clients += other.repeated_by_clients;
    crashes.all += other.crashes.all;
    crashes.counting += other.crashes.counting;
    crashes.in_flight += other.crashes.in_flight;
    for (std::size_t i = 0; i < faults.size(); i++) faults[i] += other.faults[i];
    totals.copies += other.totals.copies;
    totals.repeats += other.totals.repeats;
    totals.reports += other.totals.reports;
    totals.delay_notices += other.totals.delay_notices;
    totals.silent += other.totals.silent;
    totals.set_aside += other.totals.set_aside;
    totals.excused += other.totals.excused;
    totals.checked += other.totals.checked;
    rests += other.rests;
    looks += other.looks;
    memory_peak = std::max(memory_peak, other.memory_peak);
    disk_peak = std::max(disk_peak, other.disk_peak);
    queue_peak = std::max(queue_peak, other.queue_peak);
    events += other.events;
    trace_hash = (trace_hash ^ other.trace_hash) * 0x9FB21C651E98DF25u;
    violations_count += other.violations_count;
    for (const std::string& violation : other.violations) violations.push_back(violation);
    for (std::size_t i = 0; i < reached.size(); i++) reached[i] += other.reached[i];
    for (std::size_t i = 0; i < forced.size(); i++) forced[i] += other.forced[i];
}

std::string Summary::table() const {
    std::string accidents;
    for (int kind = 0; kind < kFaultKinds; kind++) {
        if (faults[std::size_t(kind)] == 0) continue;
        accidents += fmt::format("{}{} {}", accidents.empty() ? "" : ", ",
                                 faults[std::size_t(kind)], word(FaultKind(kind)));
    }
    uint64_t mean = crashes.counting > 0 ? crashes.in_flight / crashes.counting : 0;
    std::string out;
    auto row = [&](std::string_view name, std::string text) {
        out += fmt::format("  {:<18}{}\n", name, text);
    };
    row("hosts", fmt::format("{}", hosts));
    row("virtual time", days(length));
    row("messages", fmt::format("{} accepted, {} put off, {} sent again as no reply came", accepted,
                                refused_for_now, repeated_by_clients));
    row("crashes", fmt::format("{}, of which {} with unsynced records and mail in flight: {} "
                               "messages on average",
                               crashes.all, crashes.counting, mean));
    row("accidents", accidents.empty() ? "none" : accidents);
    row("outcomes", fmt::format("{} copies arrived, {} failures reported, {} failed with nobody "
                                "to tell, {} set aside",
                                totals.copies, totals.reports, totals.silent, totals.set_aside));
    row("late", fmt::format("{} delay notices", totals.delay_notices));
    row("duplicates", fmt::format("{}, each explained by an accident", totals.repeats));
    row("told losses", fmt::format("{} (bit rot, old backups)", totals.excused));
    row("promises", fmt::format("{} recipients held against their outcome at {} rests, {} looks "
                                "at running servers",
                                totals.checked, rests, looks));
    row("peaks", fmt::format("queue {} entries, memory account {} KiB, spool {} KiB", queue_peak,
                             memory_peak / 1024, disk_peak / 1024));
    row("events", fmt::format("{}, hash {:016x}", events, trace_hash));
    row("violations", fmt::format("{}", violations_count));
    return out;
}

Summary run(const Scenario& scenario, const RunOptions& options) {
    return Run(scenario, options).run();
}

}  // namespace postrider::sim
