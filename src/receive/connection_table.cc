#include "receive/connection_table.h"

namespace postrider::receive {

std::expected<ConnectionTable::Place, ConnectionTable::Full> ConnectionTable::enter(
    world::IpAddress address, ConnectionLimits limits) {
    std::lock_guard lock(mutex_);
    if (count_ >= limits.in_all) return std::unexpected(Full::InAll);
    std::size_t& here = by_address_[address];
    if (here >= limits.per_address) {
        if (here == 0) by_address_.erase(address);
        return std::unexpected(Full::PerAddress);
    }
    here++;
    count_++;
    return std::expected<Place, Full>(std::in_place, *this, address);
}

void ConnectionTable::leave(world::IpAddress address) {
    std::lock_guard lock(mutex_);
    count_--;
    auto found = by_address_.find(address);
    if (--found->second == 0) by_address_.erase(found);
}

std::size_t ConnectionTable::count() const {
    std::lock_guard lock(mutex_);
    return count_;
}

}  // namespace postrider::receive
