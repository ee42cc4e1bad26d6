// world/clock.h: the two times, and timers.
//
// Promise
//   1. now() never goes back. wall() may jump either way; nothing may loop until it moves.
//   2. A timer fires once, on the shard that made it, not before its moment, and never inside
//      call_at() or after it was destroyed.
//
// Threads: now() and wall() from anywhere; timers belong to the shard that made them.

#pragma once

#include <functional>
#include <memory>

#include "base/task.h"
#include "base/time.h"

namespace postrider::world {

// A pending call. Destroying it cancels the call.
class Timer {
public:
    virtual ~Timer() = default;
};

class Clock {
public:
    virtual ~Clock() = default;

    virtual Monotonic now() const = 0;
    virtual Wall wall() const = 0;

    // Calls `work` once when `moment` is reached. A moment in the past fires soon.
    [[nodiscard]] virtual std::unique_ptr<Timer> call_at(Monotonic moment,
                                                         std::move_only_function<void()> work) = 0;

    // Sleeps until `moment`.
    Task<void> sleep_until(Monotonic moment);
    Task<void> sleep_for(Duration duration);
};

}  // namespace postrider::world
