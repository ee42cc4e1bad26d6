// world/real/loop.h: one shard: an event loop on one thread, with its queue, its timers and the
// tasks that were spawned on it.
//
// Promise
//   1. What is posted runs in the order of posting, never inside post(). A post from the loop's own
//      thread makes no system call; a burst from other threads wakes the loop once.
//   2. schedule() makes a system call only when the node becomes the earliest of all.
//   3. destroy_tasks() destroys every spawned task that has not ended, the youngest first, and what
//   is
//      posted.
//
// Invariant: a spawned task ends on the loop on which it was spawned, wherever it was meanwhile.
//
// Threads: post() and stop() from anywhere; all else on the loop's thread, or when none runs.

#pragma once

#include <atomic>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <coroutine>
#include <functional>
#include <mutex>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "world/executor.h"
#include "world/real/timer_heap.h"

namespace postrider::world::real {

namespace asio = boost::asio;

using Work = std::move_only_function<void()>;

class Loop {
public:
    explicit Loop(ShardId id);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // A coroutine handle is Work too, and is kept without an allocation.
    void post(Work work);
    void spawn(Task<void> task);

    // Sets or moves a timer.
    void schedule(TimerHeap::Node& node, Monotonic moment);

    // Returns after stop(). What is posted or due and has not run by then does not run.
    void run();
    void stop();
    void destroy_tasks();

    ShardId id() const { return id_; }
    asio::io_context& context() { return context_; }

    // Sockets that are closed but still read until the peer has ended too (see socket.h).
    int lingering = 0;

private:
    struct Root;
    struct RootLink {
        RootLink* previous = this;
        RootLink* next = this;
    };

    static Root root(Loop& loop, Task<void> task);
    void run_ready();
    void run_posted();
    void run_batch(std::vector<Work>& batch);
    void arm();
    void handle_timer();

    const ShardId id_;
    std::atomic<bool> stopped_ = false;
    RootLink roots_;
    TimerHeap timers_;  // before the context: sockets that go down with it have timers here

    std::vector<Work> ready_;  // posted from this thread
    bool ready_noted_ = false;
    std::mutex mutex_;
    std::vector<Work> posted_;  // from other threads; under mutex_
    std::vector<Work> batch_;   // being run

    asio::io_context context_{1};
    asio::executor_work_guard<asio::io_context::executor_type> guard_{context_.get_executor()};
    asio::steady_timer timer_{context_};
    Monotonic armed_at_ = Deadline::never().at;
};

// Now on the system's monotonic clock.
Monotonic monotonic_now();

// Where the calling thread stands. They look each time: a coroutine may have changed threads.
Loop* loop_here();     // null but on a shard's thread
ShardId shard_here();  // the shard, or the one for which a worker works; -1 elsewhere
bool on_worker();      // inside Worker::run

// Says that this thread is `loop`'s while it lives.
class OnLoop {
public:
    explicit OnLoop(Loop& loop);
    ~OnLoop();
    OnLoop(const OnLoop&) = delete;
    OnLoop& operator=(const OnLoop&) = delete;
};

// Says that this thread is a worker that works for `home`.
void work_for(ShardId home);

}  // namespace postrider::world::real
