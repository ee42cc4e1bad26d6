// queue/scheduler_state.h: what the scheduler keeps; only its own .cc files include this.
//
// An Entry is 64 octets, since there may be a million. Times of less than a second's weight are
// kept in seconds of the Monotonic clock.
// Threads: one owner.

#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <string>

#include "base/limits.h"
#include "queue/scheduler.h"

namespace postrider::queue {

inline constexpr int64_t kNsPerSecond = 1'000'000'000;

inline int64_t to_seconds(int64_t ns) { return ns / kNsPerSecond; }

struct Scheduler::Entry {
    MessageId message;
    int64_t due = 0;      // Scheduled: the next attempt. Ready: since when. ns
    int32_t first_s = 0;  // when the message was received; may lie before the clock's zero
    uint32_t lifetime_s = 0;
    int32_t watch_s = 0;  // Ready: when it expires or a delay notice is due
    uint32_t site = kNone;
    uint32_t sender = kNone;
    uint32_t next = kNone;  // in its flow
    uint32_t prev = kNone;
    uint32_t heap_at = kNone;
    uint32_t generation = 0;
    uint32_t first_recipient = kNone;  // kNone: not in a row, see scattered_
    uint16_t recipient_count = 0;
    uint16_t attempts = 0;
    int8_t priority = 0;
    EntryState state = EntryState::Scheduled;
    FailureKind last = FailureKind::Other;
    bool tried_here : 1 = false;   // by this process
    bool noticed : 1 = false;      // a delay notice was asked for
    bool hold_wanted : 1 = false;  // held when its attempt has ended
    bool expiring : 1 = false;     // Active as an Expire
    bool taken : 1 = false;        // in use, not a free place
    bool own_notice : 1 = false;   // its notice has a time of its own, see own_notices_

    int64_t timer() const { return state == EntryState::Ready ? watch_s * kNsPerSecond : due; }
    static constexpr std::size_t kEntryOctets = 64;

    int64_t expires_ns() const { return (int64_t{first_s} + lifetime_s) * kNsPerSecond; }
};
static_assert(kRecipientsAfterExpansionMax <= std::numeric_limits<uint16_t>::max());

struct Scheduler::Flow {
    uint64_t key = 0;
    Ring entries;
    uint32_t next = kNone;  // in the site's ring of its level
    uint32_t prev = kNone;
};

struct Scheduler::Sender {
    std::string key;
    uint32_t next = kNone;
    uint32_t entries = 0;
};

struct Scheduler::Site {
    std::string key;
    const SiteLimits* limits = nullptr;  // in options_
    uint32_t next = kNone;               // in proven_ring_ or unproven_ring_
    uint32_t prev = kNone;
    uint32_t heap_at = kNone;          // in sleeping_
    std::array<Ring, kLevels> levels;  // flows with ready entries
    SiteKind kind = SiteKind::Remote;
    Place place = Place::Nowhere;
    bool proven = false;     // its last connection succeeded; or it is ours
    bool suspended = false;  // ended by success only: until then one probe at a time
    uint32_t entries = 0;
    uint32_t ready = 0;
    int active = 0;
    int connections = 1;  // its limit now
    int successes = 0;    // since the limit changed
    int failures = 0;     // one after the other
    uint32_t suspensions = 0;
    int64_t suspended_until = 0;
    int64_t wake = 0;                                         // while in sleeping_
    int64_t rate_base = std::numeric_limits<int64_t>::min();  // see rate_wait
    int64_t idle_since = -1;
    uint64_t delivered = 0, deferred = 0, failed = 0;

    int64_t timer() const { return wake; }
    int connections_now() const { return suspended ? 1 : connections; }
};

}  // namespace postrider::queue
