#include "queue/options.h"

#include <algorithm>

namespace postrider::queue {

namespace {

void set(RetrySchedule& schedule, FailureKind kind, RetryRow row) {
    schedule[static_cast<std::size_t>(kind)] = row;
}

// splitmix64: spreads a seed over all bits.
uint64_t spread(uint64_t x) {
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
    return x ^ (x >> 31);
}

}  // namespace

RetrySchedule remote_schedule(Duration first, Duration max) {
    RetrySchedule schedule;
    schedule.fill({first, max});
    set(schedule, FailureKind::Greylisted, {first * 2 / 5, max});
    set(schedule, FailureKind::TooManyRecipients, {first / 5, max / 4});
    set(schedule, FailureKind::Tls, {first * 2, max});
    set(schedule, FailureKind::Full, {first * 3, max});
    return schedule;
}

RetrySchedule local_schedule(Duration first, Duration max) {
    RetrySchedule schedule;
    schedule.fill({first, max});
    return schedule;
}

Duration retry_delay(const RetryRow& row, uint32_t failures, uint64_t seed) {
    Duration delay = std::min(row.first, row.max);
    for (uint32_t i = 1; i < failures && delay < row.max; i++) delay = std::min(delay * 2, row.max);
    int64_t width = delay.count() / 100 * row.jitter_percent;
    if (width <= 0) return delay;
    uint64_t chance = spread(seed ^ spread(failures)) % static_cast<uint64_t>(2 * width + 1);
    return delay + Duration(static_cast<int64_t>(chance) - width);
}

Duration longest_delay(const SiteOptions& options) {
    Duration longest{};
    for (const RetryRow& row : options.schedule) {
        longest = std::max(longest, row.max + row.max / 100 * row.jitter_percent);
    }
    return longest;
}

Monotonic monotonic_due(Wall due, Wall wall_now, Monotonic now, Duration longest) {
    // Compared in microseconds: a difference of wall times may not fit into nanoseconds.
    if (due <= wall_now) return now;
    if (due.us - wall_now.us >= longest.count() / 1000) return now + longest;
    return now + (due - wall_now);
}

}  // namespace postrider::queue
