// sim/event_loop.h: the one loop under all simulated hosts, with a clock that jumps.
//
// A *place* is one shard of one host: a queue of work that runs in order. Work for a later moment
// waits in one heap for all places. When nothing is ready the clock jumps to the next moment; when
// several places are ready the seed draws which goes next, and each piece of work takes a little
// drawn time, so that a loop that never waits cannot stop the clock.
//
// Promise
//   1. Posts to one place run in the order of the posts.
//   2. Work due at one moment runs in an order drawn from the seed; due times are never run early.
//   3. A closed place runs nothing and takes nothing: what was queued is destroyed by close(), what
//      is posted later is destroyed at once. (A host that died.)
//   4. A held place keeps its work until it is released. (A host that is suspended.)
//
// Threads: one.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <vector>

#include "base/time.h"
#include "sim/seeded_random.h"
#include "sim/trace_hash.h"

namespace postrider::sim {

using PlaceId = int;
inline constexpr PlaceId kOutside = -1;  // the surroundings: the net, the faults, the test

// What a cancelled piece of work shares with whoever cancels it; neither needs the loop for that.
struct Cancellation {
    bool cancelled = false;
};

class EventLoop {
public:
    using Work = std::move_only_function<void()>;

    explicit EventLoop(uint64_t seed) : random_(seed, /*label=*/1) {}
    EventLoop(const EventLoop&) = delete;
    EventLoop& operator=(const EventLoop&) = delete;

    Monotonic now() const { return now_; }
    TraceHash& trace() { return trace_; }
    PlaceId current_place() const { return current_; }
    uint64_t steps() const { return steps_; }

    // Runs one piece of work, after a jump of the clock if need be. False when there is none that
    // is due by `limit`; the clock then stands at `limit`.
    bool step(Monotonic limit);

    bool has_work() const {
        return !later_.empty() || !ready_places_.empty() || !ready_outside_.empty();
    }

    // Work for `place`, soon.
    void post(PlaceId place, Work work);

    // Work for `place` at `moment`; kOutside: for the surroundings. Skipped if `cancellation` says
    // so when its turn comes.
    void at(Monotonic moment, PlaceId place, Work work,
            std::shared_ptr<Cancellation> cancellation = nullptr);

    // Runs when the work that runs now has returned; at once if none does.
    void after_current(Work work);

    PlaceId add_place();  // closed
    void open(PlaceId place);
    void close(PlaceId place);
    void hold(PlaceId place);
    void release(PlaceId place);

private:
    struct Later {
        Monotonic moment;
        uint64_t tie;       // drawn
        uint64_t sequence;  // makes the order total
        PlaceId place;
        Work work;
        std::shared_ptr<Cancellation> cancellation;
    };
    struct Ready {
        Work work;
        std::shared_ptr<Cancellation> cancellation;
    };
    struct Place {
        std::deque<Ready> ready;
        bool is_open = false;
        bool is_held = false;
        bool is_listed = false;  // in ready_places_
    };
    static bool after(const Later& a, const Later& b);

    void collect_due();
    void sweep_cancelled();
    void list_if_ready(PlaceId place);
    void run(PlaceId place, Work work);

    Monotonic now_{};
    SeededRandom random_;
    TraceHash trace_;
    std::deque<Place> places_;           // a Place is not moved
    std::vector<PlaceId> ready_places_;  // in no order of meaning, but always the same one
    std::deque<Ready> ready_outside_;
    std::vector<Later> later_;  // a heap by after()
    std::vector<Work> after_current_;
    std::size_t sweep_at_ = 1024;
    uint64_t sequence_ = 0;
    uint64_t steps_ = 0;
    PlaceId current_ = kOutside;
    bool is_running_ = false;
};

}  // namespace postrider::sim
