// world/signal.h: one coroutine tells others on the same shard that something happened.
//
// The problem: a group of tasks waits for one event (a sync that finished, a slot that became free)
// and must neither be resumed inside the teller's call nor wait for ever.
//
// Promise
//   1. notify_all() wakes every task that waits now, notify_one() the one that has waited longest;
//      each continues soon, on its shard, in the order in which it began to wait.
//   2. A wait ends with false when its deadline passes first.
//   3. Nothing is remembered: a notify without a waiter is lost. Wait in a loop over a condition.
//   4. Destroyed with waiters (a host that dies in the simulator), it forgets them.
//
// Threads: one shard's.

#pragma once

#include <coroutine>
#include <memory>

#include "base/task.h"
#include "base/time.h"
#include "world/clock.h"
#include "world/executor.h"

namespace postrider::world {

class Signal {
public:
    Signal(Executor& executor, Clock& clock) : executor_(executor), clock_(clock) {}
    Signal(const Signal&) = delete;
    Signal& operator=(const Signal&) = delete;
    ~Signal();

    // True when notified, false when the deadline passed.
    Task<bool> wait(Deadline deadline);

    void notify_one();
    void notify_all();
    bool has_waiters() const { return first_ != nullptr; }

private:
    struct Waiter;

    void append(Waiter& waiter);
    void remove(Waiter& waiter);

    Executor& executor_;
    Clock& clock_;
    Waiter* first_ = nullptr;
    Waiter* last_ = nullptr;
};

}  // namespace postrider::world
