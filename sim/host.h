// sim/host.h: one simulated machine with one program on it.
//
// The problem: production code must run on a machine that dies at any moment, and come up again on
// what its disk really kept. A Host has the doors of world::World (clock, executor with shards,
// worker, net, disk, random, log), can be booted with a main task, killed, cut from power,
// suspended, and booted again on the same disk.
//
// Promise
//   1. After kill() or power_loss() no task of that life runs again: its queued work is dropped
//      first, then its tasks are destroyed, the youngest first, so that what the main task owns
//      outlives the tasks that use it. Doors called by destructors meanwhile do nothing.
//   2. kill() (SIGKILL) leaves the disk as the program saw it, and the system ends its connections;
//      power_loss() leaves what sim_disk.h says, and the other hosts hear nothing more.
//   3. Called while the host itself runs, both take effect when the running work returns.
//
// Time: Clock::now() is the host's own and starts anew after power_loss(), not after kill();
// wall() starts at a date drawn from the seed, equal for all hosts until jump_wall().
//
// Threads: one.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/task.h"
#include "base/time.h"
#include "sim/sim_disk.h"
#include "sim/sim_process.h"
#include "sim/sim_tls.h"
#include "world/world.h"

namespace postrider::sim {

class Simulation;
class EventLoop;
struct HostState;

struct LogLine {
    Monotonic at;  // the simulation's clock
    Event event;
    std::string text;  // key=value fields, separated by spaces
};

// Whether the monotonic clock stands still while the machine is suspended (Linux) or goes on.
enum class SuspendedClock : uint8_t {
    Stops,
    GoesOn
};

class Host {
public:
    using Main = std::move_only_function<Task<void>(world::World&)>;

    ~Host();
    Host(const Host&) = delete;
    Host& operator=(const Host&) = delete;

    const std::string& name() const;
    const std::vector<world::IpAddress>& addresses() const;

    // Starts a life with `main` on shard 0. `main` itself (its captures) lives as long as that
    // life. REQUIRES: !is_up().
    void boot(Main main);

    // Starts a further task of this life on `shard`. REQUIRES: is_up().
    void spawn(world::ShardId shard, Main work);

    void kill();        // the program dies, the system lives on
    void power_loss();  // the machine stops at once

    bool is_up() const;
    bool main_ended() const;  // the main task of the last boot() returned
    uint64_t lives() const;   // number of boots

    // Nothing of this host runs for `duration`; the wall clock goes on.
    void suspend(Duration duration, SuspendedClock monotonic = SuspendedClock::Stops);
    void jump_wall(Duration by);  // forwards or backwards

    // For test code beside the host; doors may be used from its tasks only.
    world::World& world();
    SimDisk& disk();            // faults, and a look at the platters
    SimProcess& process();      // its programs
    SimTls& tls();              // what becomes of its handshakes
    DiskFaults& disk_faults();  // = disk().faults

    // The newest kLogLinesMax lines of all lives.
    static constexpr std::size_t kLogLinesMax = 10'000;
    const std::deque<LogLine>& log_lines() const;
    // Calls `hear` with each line as it is written.
    void watch_log(std::function<void(const LogLine&)> hear);
    uint64_t log_count(LogLevel level) const;  // since the first boot

    HostState& state() { return *state_; }  // for the other parts of the simulator

private:
    friend class Simulation;
    explicit Host(std::unique_ptr<HostState> state);

    std::unique_ptr<HostState> state_;
};

}  // namespace postrider::sim
