// daemon/domain_check.h: what the DNS says about a domain of ours, held against what it should say.
//
// DKIM: each key's record is there and is the key's. SPF: there is one record, and it lets the
// addresses that we send from send. DMARC: there is a record without mistakes.
//
// Failure: none but findings. Each question has kCheckTime. Threads: shard 0's.
// RFC 6376 §3.6; RFC 7208 §3.2, §4.5; RFC 9989 §4.7.

#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "daemon/config.h"
#include "daemon/domain_keys.h"
#include "world/world.h"

namespace postrider::daemon {

inline constexpr auto kCheckTime = std::chrono::seconds(20);

struct DnsFinding {
    enum class State : uint8_t {
        Ok,
        Note,  // right, but there is something to know
        Missing,
        Wrong,
        Unknown  // the DNS did not answer
    };
    std::string about;  // "DKIM", "SPF", "DMARC"
    std::string name;   // asked for
    State state = State::Ok;
    std::string text;  // a sentence without a full stop

    bool is_problem() const { return state != State::Ok && state != State::Note; }
};
std::string_view name(DnsFinding::State state);

// Addresses that the configuration says we send from; each once. Empty: the system chooses.
std::vector<world::IpAddress> sending_addresses(const Config& config);

Task<DnsFinding> check_key(world::World& world, DomainKey key);

// All of it. REQUIRES: A-labels; world and config outlive the task.
Task<std::vector<DnsFinding>> check_domain(world::World& world, const Config& config,
                                           std::string domain, std::vector<DomainKey> keys);

}  // namespace postrider::daemon
