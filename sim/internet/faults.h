// sim/internet/faults.h: what goes wrong, when, and for how long: the faults of a scenario, drawn
// from the seed.
//
// Each accident is told to the ledger with its beginning and end, so that what follows from it can
// be explained, and nothing else.
//
// A crash *counts* when it had something to destroy: records that were not synced, and messages
// that were accepted and not finished.
//
// Threads: one.

#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "sim/internet/internet.h"

namespace postrider::sim {

struct CrashCounts {
    uint64_t all = 0;        // kills and losses of power
    uint64_t counting = 0;   // see above
    uint64_t in_flight = 0;  // messages, summed over the counting ones
};

class Faults {
public:
    // REQUIRES: scenario and net outlive this.
    Faults(const Scenario& scenario, Internet& net);

    // From now on accidents happen, or no more begin.
    void start();
    // Ends every accident that goes on: links heal, disks have space, machines come back. The
    // caller then boots the servers.
    void stop();

    const std::array<uint64_t, kFaultKinds>& counts() const { return counts_; }
    const CrashCounts& crashes() const { return crashes_; }

private:
    void schedule(const FaultPlan& plan);
    void happen(const FaultPlan& plan);
    void happen_to_disk(const FaultPlan& plan, int server, Duration lasts);
    void happen_to_net(const FaultPlan& plan, int server, Duration lasts);
    void happen_to_foreign(const FaultPlan& plan, Duration lasts);
    void happen_to_dns(const FaultPlan& plan, Duration lasts);

    void crash_soon(int server, FaultKind kind, Duration lasts, int looks);
    void crash(int server, FaultKind kind);
    void stop_in_order(int server, Duration patience);
    void end_stopped(int server, uint64_t life, Duration patience);
    void come_back(int server, Duration after);
    void crash_loop(int server, int times);
    void rot(int server);
    void back_up(int server);
    void restore(int server);

    // `undo` after `lasts`, or at stop(); without one it cannot end sooner.
    void last_for(FaultKind kind, const Host* a, const Host* b, Duration lasts,
                  std::function<void()> undo);
    void undo(uint64_t number);
    bool is_going(FaultKind kind, const Host* a) const;
    bool has_unsynced_records(int server);
    Host& host(int server) { return net_.servers[std::size_t(server)]->host(); }

    struct Going {
        std::size_t disturbance;
        std::function<void()> undo;
    };
    struct Copy {
        Monotonic at;
        std::map<std::string, std::string> files;  // of the spool
    };

    const Scenario& how_;
    Internet& net_;
    SeededRandom random_;
    bool on_ = false;
    uint64_t turn_ = 0;  // schedules of earlier turns are over
    uint64_t next_number_ = 1;
    std::map<uint64_t, Going> going_;
    std::map<int, Copy> backups_;  // by server
    std::array<uint64_t, kFaultKinds> counts_{};
    CrashCounts crashes_;
};

}  // namespace postrider::sim
