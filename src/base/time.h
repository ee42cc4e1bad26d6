// base/time.h: the two times, kept apart by their types.
//
// Deadlines, backoff and rates run on Monotonic, which never jumps. Dates in a message, expiry and
// what is written to disk run on Wall, which an operator or NTP may set forwards or backwards.
// Neither type has a now(): time comes in as an argument, or from world::Clock.
//
// Threads: values, no rule.

#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <limits>

namespace postrider {

using Duration = std::chrono::nanoseconds;

// A point on the clock that never jumps. Its zero is arbitrary (start of the machine or the run).
// Stops while the machine is suspended or not, as the system has it; nothing may depend on it.
struct Monotonic {
    int64_t ns = 0;

    friend auto operator<=>(Monotonic, Monotonic) = default;
    friend Monotonic operator+(Monotonic t, Duration d) { return {t.ns + d.count()}; }
    friend Monotonic operator-(Monotonic t, Duration d) { return {t.ns - d.count()}; }
    friend Duration operator-(Monotonic a, Monotonic b) { return Duration(a.ns - b.ns); }
};

// Civil time, microseconds since 1970-01-01T00:00:00Z without leap seconds.
struct Wall {
    int64_t us = 0;

    friend auto operator<=>(Wall, Wall) = default;
    friend Wall operator+(Wall t, Duration d) { return {t.us + d.count() / 1000}; }
    friend Wall operator-(Wall t, Duration d) { return {t.us - d.count() / 1000}; }
    friend Duration operator-(Wall a, Wall b) { return Duration((a.us - b.us) * 1000); }
    int64_t seconds() const { return us >= 0 ? us / 1'000'000 : (us - 999'999) / 1'000'000; }
};

// The moment at which an await gives up. Every await that can take long has one.
struct Deadline {
    Monotonic at;

    static Deadline after(Monotonic now, Duration d) { return {now + d}; }
    static Deadline never() { return {{std::numeric_limits<int64_t>::max()}}; }
    bool is_never() const { return at.ns == std::numeric_limits<int64_t>::max(); }
    bool reached(Monotonic now) const { return now >= at; }
    friend auto operator<=>(Deadline, Deadline) = default;
};

}  // namespace postrider
