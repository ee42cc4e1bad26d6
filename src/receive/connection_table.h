// receive/connection_table.h: how many clients are connected, in all and from one address.
//
// Shared by all shards, since a client that opens many connections spreads over them. A small lock
// is taken when a client comes and when it goes, never while it talks.
//
// Promise: the counts never exceed the limits that enter() was given; leaving is the destructor of
// a Place, so nothing is counted twice or for ever.
// Threads: from anywhere.

#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "world/net.h"

namespace postrider::receive {

struct ConnectionLimits {
    std::size_t in_all = 10'000;
    std::size_t per_address = 200;
};

class ConnectionTable {
public:
    // One connection's place; gives it back when destroyed.
    class Place {
    public:
        Place(ConnectionTable& table, world::IpAddress address)
            : table_(&table), address_(address) {}
        Place(Place&& other) noexcept
            : table_(std::exchange(other.table_, nullptr)), address_(other.address_) {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (table_) table_->leave(address_);
        }

    private:
        ConnectionTable* table_;
        world::IpAddress address_;
    };

    enum class Full : uint8_t {
        InAll,
        PerAddress
    };

    std::expected<Place, Full> enter(world::IpAddress address, ConnectionLimits limits);
    std::size_t count() const;

private:
    struct Hash {
        std::size_t operator()(const world::IpAddress& address) const {
            return std::hash<std::string_view>{}(
                {reinterpret_cast<const char*>(address.octets.data()), address.octets.size()});
        }
    };

    void leave(world::IpAddress address);

    mutable std::mutex mutex_;
    std::size_t count_ = 0;
    std::unordered_map<world::IpAddress, std::size_t, Hash> by_address_;
};

}  // namespace postrider::receive
