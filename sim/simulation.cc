#include "sim/simulation.h"

#include <cassert>
#include <limits>

#include "sim/host_state.h"

namespace postrider::sim {

namespace {

constexpr int64_t kEpochMin = 1'767'225'600;  // 2026-01-01
constexpr int64_t kEpochSpan = 366 * 86'400;

Wall draw_epoch(uint64_t seed) {
    SeededRandom random(seed, /*label=*/2);
    int64_t seconds = kEpochMin + int64_t(random.below(kEpochSpan));
    return {seconds * 1'000'000 + int64_t(random.below(1'000'000))};
}

}  // namespace

Simulation::Simulation(uint64_t seed)
    : seed_(seed),
      epoch_(draw_epoch(seed)),
      random_(seed, /*label=*/3),
      loop_(seed),
      net_(std::make_unique<Network>(loop_, seed)),
      dns_(seed) {}

Simulation::~Simulation() {
    for (auto& host : hosts_) host->power_loss();
}

Host& Simulation::add_host(std::string name, std::vector<world::IpAddress> addresses, int shards) {
    assert(shards >= 1 && shards <= 64);
    auto state = std::make_unique<HostState>(loop_, *net_, dns_, epoch_, seed_, int(hosts_.size()),
                                             std::move(name), std::move(addresses), shards);
    net_->add_host(*state);
    hosts_.push_back(std::unique_ptr<Host>(new Host(std::move(state))));
    return *hosts_.back();
}

void Simulation::run_for(Duration duration) {
    Monotonic end = loop_.now() + duration;
    while (loop_.now() < end && loop_.step(end)) {
    }
}

bool Simulation::run_until(const std::function<bool()>& done, Duration limit) {
    Monotonic end = loop_.now() + limit;
    while (!done()) {
        if (loop_.now() >= end || !loop_.step(end)) return done();
    }
    return true;
}

bool Simulation::step() {
    if (!loop_.has_work()) return false;
    return loop_.step({std::numeric_limits<int64_t>::max()});
}

void Simulation::call_after(Duration delay, std::move_only_function<void()> work) {
    loop_.at(loop_.now() + delay, kOutside, std::move(work));
}

}  // namespace postrider::sim
