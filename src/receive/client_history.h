// receive/client_history.h: what is remembered of clients after they have gone: how often they
// came, and how many recipients they asked for that do not exist.
//
// The problem: a client that connects a thousand times a minute, or that tries names until some are
// taken (a harvest of addresses), does little in each session. It is seen only by who remembers.
//
// Promise
//   1. Memory is bounded (kEntriesMax). Entries that mean nothing any more make room; where there
//   is
//      none, a new client is not counted: who is known stays known, and nobody is refused for it.
//   2. A harvest is first answered slowly, then cut, and its address is turned away for a while.
//      The answers themselves do not change, so that a sender with an old list is told the truth.
//
// Threads: from anywhere; a small lock for each call.
// RFC 5321 §7.3 (what VRFY and RCPT tell), §7.8 (resistance to attacks), §3.8 (421).

#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "base/time.h"
#include "world/net.h"

namespace postrider::receive {

// How an address stands for its network: IPv4 by /24, IPv6 by /56, unless an operator says
// otherwise.
struct NetworkSizes {
    int v4_bits = 24;
    int v6_bits = 56;
};
world::IpAddress network_of(world::IpAddress address, NetworkSizes sizes);

struct AddressHash {
    std::size_t operator()(const world::IpAddress& address) const;
};

struct HistoryLimits {
    NetworkSizes networks;
    unsigned connects_per_address = 0;  // in a minute; 0 = no limit
    unsigned connects_per_network = 0;
    unsigned unknown_recipients = 0;  // in `remembered`, before a client is cut; 0 = no limit
    Duration remembered = std::chrono::minutes(10);
};

class ClientHistory {
public:
    static constexpr std::size_t kEntriesMax = 65'536;
    static constexpr Duration kPauseMax = std::chrono::seconds(10);

    enum class Refusal : uint8_t {
        AddressTooFast,
        NetworkTooFast,
        Harvested  // not long ago
    };
    // A client connects.
    std::optional<Refusal> connect(world::IpAddress address, const HistoryLimits& limits,
                                   Monotonic now);

    struct Consequence {
        Duration pause{};  // before the answer: from half of the limit on, a second more each time
        bool cut = false;
    };
    // It was told that a recipient does not exist.
    Consequence unknown_recipient(world::IpAddress address, const HistoryLimits& limits,
                                  Monotonic now);

    std::size_t size() const;

private:
    struct Entry {
        Monotonic minute_begin;
        unsigned connects = 0;
        Monotonic harvest_begin;
        unsigned unknown = 0;
        Monotonic away_until;
        Monotonic idle_at;  // from then on nothing of it matters
    };
    using Entries = std::unordered_map<world::IpAddress, Entry, AddressHash>;

    Entry* entry_of(Entries& entries, world::IpAddress address, Monotonic now);
    bool comes_too_fast(Entries& entries, world::IpAddress address, unsigned limit, Monotonic now);

    mutable std::mutex mutex_;
    Entries addresses_;
    Entries networks_;
    Monotonic look_through_at_;  // not for each of many that come while there is no room
};

}  // namespace postrider::receive
