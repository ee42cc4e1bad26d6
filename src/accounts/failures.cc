#include "accounts/failures.h"

#include <algorithm>

namespace postrider::accounts {

namespace {

world::IpAddress counted(world::IpAddress address) {
    if (address.family == world::IpAddress::Family::V6) {
        std::fill(address.octets.begin() + 8, address.octets.end(), uint8_t{0});
    }
    return address;
}

}  // namespace

Duration Failures::failed(const world::IpAddress& client, Monotonic now,
                          const FailureRules& rules) {
    const std::scoped_lock held(lock_);
    const world::IpAddress address = counted(client);
    auto found = places_.find(address);
    if (found == places_.end()) {
        if (entries_.size() >= kAddressesMax) {
            places_.erase(entries_.back().address);
            entries_.pop_back();
        }
        entries_.push_front({address, 0, now});
        found = places_.emplace(address, entries_.begin()).first;
    } else {
        entries_.splice(entries_.begin(), entries_, found->second);
    }
    Entry& entry = *found->second;
    if (now - entry.last >= rules.shut_out) entry.count = 0;
    entry.last = now;
    entry.count++;
    Duration delay = rules.delay_first;
    for (unsigned i = 1; i < entry.count && delay < rules.delay_max; i++) delay *= 2;
    return std::min(delay, rules.delay_max);
}

void Failures::succeeded(const world::IpAddress& client) {
    const std::scoped_lock held(lock_);
    const auto found = places_.find(counted(client));
    if (found == places_.end()) return;
    entries_.erase(found->second);
    places_.erase(found);
}

bool Failures::is_shut_out(const world::IpAddress& client, Monotonic now,
                           const FailureRules& rules) {
    const std::scoped_lock held(lock_);
    const auto found = places_.find(counted(client));
    return found != places_.end() && found->second->count >= rules.failures_max &&
           now - found->second->last < rules.shut_out;
}

std::size_t Failures::size() const {
    const std::scoped_lock held(lock_);
    return entries_.size();
}

}  // namespace postrider::accounts
