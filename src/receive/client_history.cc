#include "receive/client_history.h"

#include <algorithm>
#include <string_view>

namespace postrider::receive {

namespace {

constexpr Duration kMinute = std::chrono::minutes(1);

}  // namespace

world::IpAddress network_of(world::IpAddress address, NetworkSizes sizes) {
    int bits = address.family == world::IpAddress::Family::V4 ? sizes.v4_bits : sizes.v6_bits;
    for (int octet = 0; octet < 16; octet++) {
        int kept = std::clamp(bits - octet * 8, 0, 8);
        address.octets[octet] &= static_cast<uint8_t>(0xff00 >> kept);
    }
    return address;
}

std::size_t AddressHash::operator()(const world::IpAddress& address) const {
    return std::hash<std::string_view>{}(
        {reinterpret_cast<const char*>(address.octets.data()), address.octets.size()});
}

// The entry, made when there is none; null when there is no room.
ClientHistory::Entry* ClientHistory::entry_of(Entries& entries, world::IpAddress address,
                                              Monotonic now) {
    auto found = entries.find(address);
    if (found != entries.end()) return &found->second;
    if (entries.size() >= kEntriesMax) {
        if (now < look_through_at_) return nullptr;
        look_through_at_ = now + std::chrono::seconds(1);
        std::erase_if(entries, [&](const auto& entry) { return entry.second.idle_at <= now; });
        if (entries.size() >= kEntriesMax) return nullptr;
    }
    return &entries.try_emplace(address).first->second;
}

bool ClientHistory::comes_too_fast(Entries& entries, world::IpAddress address, unsigned limit,
                                   Monotonic now) {
    if (limit == 0) return false;
    Entry* entry = entry_of(entries, address, now);
    if (!entry) return false;
    if (entry->connects == 0 || now - entry->minute_begin >= kMinute) {
        entry->minute_begin = now;
        entry->connects = 0;
    }
    entry->idle_at = std::max(entry->idle_at, entry->minute_begin + kMinute);
    if (entry->connects >= limit) return true;
    entry->connects++;
    return false;
}

std::optional<ClientHistory::Refusal> ClientHistory::connect(world::IpAddress address,
                                                             const HistoryLimits& limits,
                                                             Monotonic now) {
    std::lock_guard lock(mutex_);
    auto known = addresses_.find(address);
    if (limits.unknown_recipients > 0 && known != addresses_.end() &&
        now < known->second.away_until) {
        return Refusal::Harvested;
    }
    if (comes_too_fast(addresses_, address, limits.connects_per_address, now)) {
        return Refusal::AddressTooFast;
    }
    if (comes_too_fast(networks_, network_of(address, limits.networks), limits.connects_per_network,
                       now)) {
        return Refusal::NetworkTooFast;
    }
    return std::nullopt;
}

ClientHistory::Consequence ClientHistory::unknown_recipient(world::IpAddress address,
                                                            const HistoryLimits& limits,
                                                            Monotonic now) {
    if (limits.unknown_recipients == 0) return {};
    std::lock_guard lock(mutex_);
    Entry* entry = entry_of(addresses_, address, now);
    if (!entry) return {};
    if (entry->unknown == 0 || now - entry->harvest_begin >= limits.remembered) {
        entry->harvest_begin = now;
        entry->unknown = 0;
    }
    entry->unknown++;
    entry->idle_at = std::max(entry->idle_at, entry->harvest_begin + limits.remembered);
    unsigned half = limits.unknown_recipients / 2;
    Consequence out;
    if (entry->unknown > half) {
        out.pause = std::min<Duration>(std::chrono::seconds(entry->unknown - half), kPauseMax);
    }
    if (entry->unknown >= limits.unknown_recipients) {
        out.cut = true;
        entry->away_until = now + limits.remembered;
        entry->idle_at = entry->away_until;
        entry->unknown = 0;
    }
    return out;
}

std::size_t ClientHistory::size() const {
    std::lock_guard lock(mutex_);
    return addresses_.size() + networks_.size();
}

}  // namespace postrider::receive
