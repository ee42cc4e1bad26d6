// accounts/failures.h: who has failed to prove itself, and what that costs.
//
// The problem: passwords get guessed. Each failure makes the next answer to the same address later;
// after some it is shut out for a while. An IPv6 client counts by its /64, since it has all of it.
//
// Promise: at most kAddressesMax addresses are remembered; when it is full, the oldest go first.
// Threads: from any shard (a small lock).

#pragma once

#include <list>
#include <map>
#include <mutex>

#include "base/time.h"
#include "world/net.h"

namespace postrider::accounts {

struct FailureRules {
    unsigned failures_max = 10;                    // then the address is shut out
    Duration shut_out = std::chrono::minutes(15);  // for so long; failures are forgotten then too
    Duration delay_first = std::chrono::seconds(1);
    Duration delay_max = std::chrono::seconds(8);  // doubled with each failure up to here
};

class Failures {
public:
    static constexpr std::size_t kAddressesMax = 10'000;

    // How long to wait before the failure is told.
    Duration failed(const world::IpAddress& address, Monotonic now, const FailureRules& rules);
    void succeeded(const world::IpAddress& address);
    bool is_shut_out(const world::IpAddress& address, Monotonic now, const FailureRules& rules);
    std::size_t size() const;

private:
    struct Entry {
        world::IpAddress address;
        unsigned count = 0;
        Monotonic last;
    };
    using Place = std::list<Entry>::iterator;

    mutable std::mutex lock_;
    std::list<Entry> entries_;  // the one that failed last in front
    std::map<world::IpAddress, Place> places_;
};

}  // namespace postrider::accounts
