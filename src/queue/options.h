// queue/options.h: what an operator may set about when and how much, with the defaults.
//
// Two kinds of site: Remote (other hosts) and Local (our own mailboxes, LMTP on this machine),
// which is tried again much sooner because its troubles are ours and short.
//
// Threads: values.
// RFC 5321 §4.5.4.1 (retry and give-up times), §4.5.3.1.10 (452 for too many recipients).

#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/time.h"
#include "mail/attempt.h"

namespace postrider::queue {

enum class SiteKind : uint8_t {
    Remote,
    Local
};

// One row of a retry schedule: `first` after the first failure, doubled after each further one up
// to `max`, then spread by up to `jitter_percent` to either side, so that what failed together does
// not come back together.
struct RetryRow {
    Duration first;
    Duration max;
    int jitter_percent = 15;
};

// A row for each FailureKind.
using RetrySchedule = std::array<RetryRow, kFailureKindCount>;

RetrySchedule remote_schedule(
    Duration first = std::chrono::minutes(5),
    Duration max =
        std::chrono::hours(4));  // 5 min to 4 h; greylisted from 2 min; TLS 10 min; full 15 min
RetrySchedule local_schedule(Duration first = std::chrono::seconds(10),
                             Duration max = std::chrono::minutes(15));  // 10 s to 15 min

// What one site may cost us, or we it.
struct SiteLimits {
    int connections_max = 20;
    // Connections at the start; then one more for each round of successes, half after a failure.
    int connections_first = 5;
    // At most `rate_messages` in any stretch of `rate_interval`, give or take what was saved up
    // (at most one interval's worth). 0 = no limit.
    int rate_messages = 0;
    Duration rate_interval = std::chrono::minutes(1);
    // How many messages one connection may carry before it is closed; a hint for the client.
    int messages_per_connection = 100;
};

struct SiteOptions {
    SiteLimits limits;
    RetrySchedule schedule;
    // A message that is not delivered after this time goes back to its sender (RFC 5321 §4.5.4.1:
    // at least 4 to 5 days).
    Duration lifetime = std::chrono::hours(5 * 24);
    // So many connections failed one after the other and none succeeded: leave the site alone.
    int suspend_after_failures = 3;
    // How long: as a RetryRow, counted by suspensions without a success between.
    RetryRow suspension{std::chrono::minutes(2), std::chrono::hours(1), 15};
};

struct Options {
    int active_max = 1000;  // jobs given out at the same time
    // Share of them that sites may hold together of which no connection has succeeded yet, or not
    // since the last failure: ten thousand dead destinations leave room for the living.
    int active_unproven_percent = 50;
    Duration delay_notice_after{};  // tell the sender once that it is late; 0 = never
    Duration priority_step =
        std::chrono::minutes(5);  // a level of priority is worth so much waiting
    Duration idle_site_kept = std::chrono::minutes(30);  // what was learnt about a site is kept
    std::size_t idle_sites_max = 10'000;
    SiteOptions remote{{}, remote_schedule()};
    SiteOptions local{{.connections_max = 64, .connections_first = 32}, local_schedule()};
    std::map<std::string, SiteLimits, std::less<>> sites;  // by key, instead of their kind's

    const SiteOptions& of(SiteKind kind) const { return kind == SiteKind::Local ? local : remote; }
    const SiteLimits& limits_of(std::string_view site, SiteKind kind) const {
        auto own = sites.find(site);
        return own == sites.end() ? of(kind).limits : own->second;
    }
};

// The delay after failure number `failures` (from 1). The same `seed` gives the same delay.
Duration retry_delay(const RetryRow& row, uint32_t failures, uint64_t seed);

// No delay of this kind of site is longer.
Duration longest_delay(const SiteOptions& options);

// The moment of `due` on the clock that never jumps. A moment further away than `longest` is taken
// as `longest`: the wall clock was set back meanwhile.
Monotonic monotonic_due(Wall due, Wall wall_now, Monotonic now, Duration longest);

}  // namespace postrider::queue
