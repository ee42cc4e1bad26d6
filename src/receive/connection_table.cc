#include "receive/connection_table.h"

namespace postrider::receive {

namespace {

std::size_t count_in(const auto& counts, const world::IpAddress& key) {
    auto found = counts.find(key);
    return found == counts.end() ? 0 : found->second;
}

void take_one(auto& counts, const world::IpAddress& key) {
    auto found = counts.find(key);
    if (--found->second == 0) counts.erase(found);
}

}  // namespace

std::expected<ConnectionTable::Place, ConnectionTable::Full> ConnectionTable::enter(
    world::IpAddress address, ConnectionLimits limits) {
    std::lock_guard lock(mutex_);
    if (count_ >= limits.in_all) return std::unexpected(Full::InAll);
    std::optional<world::IpAddress> network;
    if (limits.per_network > 0) network = network_of(address, limits.networks);
    if (count_in(by_address_, address) >= limits.per_address) {
        return std::unexpected(Full::PerAddress);
    }
    if (network && count_in(by_network_, *network) >= limits.per_network) {
        return std::unexpected(Full::PerNetwork);
    }
    by_address_[address]++;
    if (network) by_network_[*network]++;
    count_++;
    return std::expected<Place, Full>(std::in_place, *this, address, network);
}

void ConnectionTable::leave(world::IpAddress address, std::optional<world::IpAddress> network) {
    std::lock_guard lock(mutex_);
    count_--;
    take_one(by_address_, address);
    if (network) take_one(by_network_, *network);
}

std::optional<ConnectionTable::Full> ConnectionTable::move(Place& place, world::IpAddress to,
                                                           const ConnectionLimits& limits) {
    if (place.address_ == to) return std::nullopt;
    std::lock_guard lock(mutex_);
    std::optional<world::IpAddress> network;
    if (limits.per_network > 0) network = network_of(to, limits.networks);
    if (count_in(by_address_, to) >= limits.per_address) return Full::PerAddress;
    bool other = network && network != place.network_;
    if (other && count_in(by_network_, *network) >= limits.per_network) return Full::PerNetwork;
    by_address_[to]++;
    if (network) by_network_[*network]++;
    take_one(by_address_, place.address_);
    if (place.network_) take_one(by_network_, *place.network_);
    place.address_ = to;
    place.network_ = network;
    return std::nullopt;
}

std::size_t ConnectionTable::count() const {
    std::lock_guard lock(mutex_);
    return count_;
}

}  // namespace postrider::receive
