// world/worker.h: where heavy and blocking work is done, away from the event loops.
//
// `co_await worker.run(task)` runs a whole task on a worker and comes back to the calling shard.
// Inside it, operations of world::Disk block the worker instead of going back and forth, so a
// delivery that writes, syncs and renames costs one journey. In the simulator a worker is the shard
// itself and the operations of the disk take virtual time.
//
// Inside run() only Disk, Random, Clock::now and plain computing are allowed: no Net, no timers, no
// spawn.
//
// Threads: run() from a shard's thread.

#pragma once

#include <coroutine>

#include "base/task.h"
#include "world/executor.h"

namespace postrider::world {

class Worker {
public:
    virtual ~Worker() = default;

    template <typename T>
    Task<T> run(Task<T> task) {
        Executor& loops = executor();
        ShardId home = loops.current_shard();
        co_await Enter{*this};
        if constexpr (std::is_void_v<T>) {
            co_await std::move(task);
            co_await loops.switch_to(home);
        } else {
            T value = co_await std::move(task);
            co_await loops.switch_to(home);
            co_return value;
        }
    }

protected:
    // Resumes `waiting` on a worker, soon, remembering the calling shard for current_shard().
    virtual void enter(std::coroutine_handle<> waiting) = 0;
    virtual Executor& executor() = 0;

private:
    struct Enter {
        Worker& worker;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> waiting) { worker.enter(waiting); }
        void await_resume() const {}
    };
};

}  // namespace postrider::world
