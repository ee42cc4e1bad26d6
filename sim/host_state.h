// sim/host_state.h: the inside of a simulated host, for the parts of the simulator.
//
// Holds what a life of the host needs (its tasks, its clock's zero, whether it runs) and the doors.
// Disk and net reach the loop and the clock through it. Rooms and tests see Host only.
//
// Threads: one.

#pragma once

#include <array>
#include <coroutine>
#include <cstdint>
#include <deque>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "sim/event_loop.h"
#include "sim/host.h"
#include "sim/host_doors.h"
#include "sim/sim_disk.h"
#include "sim/sim_net.h"
#include "sim/sim_process.h"
#include "sim/sim_resolver.h"
#include "sim/sim_tls.h"
#include "world/world.h"

namespace postrider::sim {

// A spawned task: unlinks and destroys itself when the task ends, and is destroyed from outside
// when the host dies.
struct RootTask {
    struct promise_type;
};

struct HostState {
    HostState(EventLoop& the_loop, Network& network, Dns& dns, Wall the_epoch, uint64_t seed,
              int number, std::string the_name, std::vector<world::IpAddress> the_addresses,
              int shards);
    ~HostState();
    HostState(const HostState&) = delete;
    HostState& operator=(const HostState&) = delete;

    EventLoop& loop;
    Network& network;
    const Wall epoch;
    const int index;  // the order in which hosts were added
    const std::string name;
    const std::vector<world::IpAddress> addresses;
    std::vector<PlaceId> places;  // one per shard

    bool is_powered = false;  // the machine; its system answers the net
    bool is_up = false;       // the program
    bool is_suspended = false;
    bool main_ended = false;
    uint64_t lives = 0;
    int64_t clock_zero_ns = 0;  // the loop's time at which the host's clock showed 0
    Duration wall_jump{};
    std::list<Host::Main> mains;  // their captures live as long as this life
    RootTask::promise_type* youngest = nullptr;

    SeededRandom random;
    SimClock clock;
    SimExecutor executor;
    SimWorker worker;
    SimRandom system_random;
    SimLog log;
    SimDisk disk;
    SimNet net;
    SimResolver resolver;
    SimProcess process;
    SimTls tls;
    world::World world;

    // The host's own time, and a moment of it in the loop's time.
    Monotonic now() const { return {loop.now().ns - clock_zero_ns}; }
    Wall wall() const { return epoch + Duration(loop.now().ns) + wall_jump; }
    Monotonic to_loop(Monotonic moment) const;

    // Runs `work` at `place` when the host's clock shows `moment`, also across a suspension.
    void at(Monotonic moment, PlaceId place, EventLoop::Work work,
            std::shared_ptr<Cancellation> cancellation);

    // The shard and place whose work runs now; the first ones when another's runs.
    world::ShardId current_shard() const;
    PlaceId current_place() const { return places[std::size_t(current_shard())]; }
    bool owns(PlaceId place) const { return place >= places.front() && place <= places.back(); }

    void boot(Host::Main main);
    void start(world::ShardId shard, Task<void> task);  // a root task, soon
    enum class Death : uint8_t {
        Kill,
        PowerLoss
    };
    void die(Death death);  // when the running work has returned
    void suspend(Duration duration, SuspendedClock monotonic);

private:
    void die_now(Death death);
    void destroy_tasks();
};

// Waits for `duration` of the loop's time, then goes on at the same place.
struct Pause {
    HostState& host;
    Duration duration;

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) {
        host.loop.at(host.loop.now() + duration, host.current_place(),
                     [waiting] { waiting.resume(); });
    }
    void await_resume() const {}
};

// One coroutine waits here until notify() or its deadline. The point must outlive the wait.
class WaitPoint {
public:
    WaitPoint() = default;
    WaitPoint(const WaitPoint&) = delete;
    WaitPoint& operator=(const WaitPoint&) = delete;

    class Waiter {
    public:
        Waiter(WaitPoint& point, HostState& host, Deadline deadline)
            : point_(point), host_(host), deadline_(deadline) {}
        Waiter(const Waiter&) = delete;
        Waiter& operator=(const Waiter&) = delete;
        ~Waiter();

        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> waiting);
        bool await_resume() const { return notified_; }  // false: the deadline passed

    private:
        friend class WaitPoint;
        WaitPoint& point_;
        HostState& host_;
        Deadline deadline_;
        PlaceId place_ = kOutside;
        std::coroutine_handle<> waiting_;
        std::shared_ptr<Cancellation> timer_;
        bool notified_ = false;
    };

    Waiter wait(HostState& host, Deadline deadline) { return {*this, host, deadline}; }
    bool has_waiter() const { return waiter_ != nullptr; }
    void notify();  // nothing is remembered when nobody waits

private:
    Waiter* waiter_ = nullptr;
};

}  // namespace postrider::sim
