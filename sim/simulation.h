// sim/simulation.h: one virtual Internet of several hosts, on one thread, from one seed.
//
// The problem: bugs between shards, disks and peers show once in a million runs of real time. Here
// the same rooms run over a clock that jumps, disks that forget and tears, and a net that cuts; the
// seed decides every choice, so that a failure is repeated by its seed.
//
//     Simulation sim(seed);
//     Host& mx = sim.add_host("mx.example", {*IpAddress::parse("192.0.2.1")}, /*shards=*/2);
//     mx.boot([](world::World& world) -> Task<void> { co_await serve(world); });
//     sim.run_for(10s);
//     mx.power_loss();
//     mx.boot(...);                       // the same disk
//     EXPECT_TRUE(sim.run_until([&] { return mx.main_ended(); }, 1min));
//
// Promise: the same seed, program and calls give the same trace_hash(), in any process.
// (Test: ARunIsRepeatedBitByBit.)
//
// Threads: one. A Simulation may live in each of several threads.

#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "sim/event_loop.h"
#include "sim/host.h"
#include "sim/seeded_random.h"
#include "sim/sim_net.h"
#include "sim/sim_resolver.h"
#include "world/net.h"

namespace postrider::sim {

class Simulation {
public:
    explicit Simulation(uint64_t seed);
    ~Simulation();
    Simulation(const Simulation&) = delete;
    Simulation& operator=(const Simulation&) = delete;

    // A host that is down, with an empty disk. REQUIRES: no other host has one of the addresses;
    // 1 <= shards <= 64.
    Host& add_host(std::string name, std::vector<world::IpAddress> addresses, int shards = 1);

    // Lets virtual time pass.
    void run_for(Duration duration);

    // Runs until `done()` holds (asked before each event) or `limit` has passed; says whether it
    // holds.
    bool run_until(const std::function<bool()>& done, Duration limit);

    // One event, however far away. False when nothing is left to happen.
    bool step();

    // Virtual time since the start.
    Monotonic now() const { return loop_.now(); }

    // Calls `work` from outside every host after `delay`: faults of a scenario.
    void call_after(Duration delay, std::move_only_function<void()> work);

    // For choices of the test or the scenario; does not disturb the simulator's own.
    SeededRandom& random() { return random_; }

    Network& net() { return *net_; }
    Dns& dns() { return dns_; }
    uint64_t seed() const { return seed_; }
    uint64_t trace_hash() const { return loop_.trace().value(); }
    uint64_t events() const { return loop_.steps(); }

    EventLoop& loop() { return loop_; }  // for the other parts of the simulator

private:
    uint64_t seed_;
    Wall epoch_;
    SeededRandom random_;
    mutable EventLoop loop_;
    std::unique_ptr<Network> net_;
    Dns dns_;
    std::vector<std::unique_ptr<Host>> hosts_;
};

}  // namespace postrider::sim
