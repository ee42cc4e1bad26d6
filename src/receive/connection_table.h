// receive/connection_table.h: how many clients are connected, in all, from one address and from one
// network.
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
#include <unordered_map>
#include <utility>

#include "receive/client_history.h"
#include "world/net.h"

namespace postrider::receive {

struct ConnectionLimits {
    std::size_t in_all = 10'000;
    std::size_t per_address = 200;
    std::size_t per_network = 0;  // 0 = no limit
    NetworkSizes networks;

    // For a client that the others do not hold for.
    ConnectionLimits in_all_only() const { return {.in_all = in_all, .per_address = in_all}; }
};

class ConnectionTable {
public:
    // One connection's place; gives it back when destroyed.
    class Place {
    public:
        Place(ConnectionTable& table, world::IpAddress address,
              std::optional<world::IpAddress> network)
            : table_(&table), address_(address), network_(network) {}
        Place(Place&& other) noexcept
            : table_(std::exchange(other.table_, nullptr)),
              address_(other.address_),
              network_(other.network_) {}
        Place& operator=(Place&&) = delete;
        ~Place() {
            if (table_) table_->leave(address_, network_);
        }

        // The client turned out to be behind a proxy: from now on it counts for its own address and
        // network. Nothing, or which limit is in the way; then nothing is changed.
        auto move_to(world::IpAddress address, const ConnectionLimits& limits) {
            return table_->move(*this, address, limits);
        }

    private:
        friend class ConnectionTable;
        ConnectionTable* table_;
        world::IpAddress address_;
        std::optional<world::IpAddress> network_;  // counted there too
    };

    enum class Full : uint8_t {
        InAll,
        PerAddress,
        PerNetwork
    };

    std::expected<Place, Full> enter(world::IpAddress address, ConnectionLimits limits);
    std::size_t count() const;

private:
    using Counts = std::unordered_map<world::IpAddress, std::size_t, AddressHash>;

    void leave(world::IpAddress address, std::optional<world::IpAddress> network);
    std::optional<Full> move(Place& place, world::IpAddress to, const ConnectionLimits& limits);

    mutable std::mutex mutex_;
    std::size_t count_ = 0;
    Counts by_address_;
    Counts by_network_;
};

}  // namespace postrider::receive
