// world/executor.h: where coroutines run.
//
// One shard is one event loop on one thread, one per core. Shards share nothing and talk by
// posting. A session lives and dies on its shard; the spool and the queue are each owned by one.
// The simulator runs the same shards on one thread and interleaves them by its seed.
//
// Promise
//   1. What is posted to a shard from one place runs there in the order in which it was posted,
//      never inside the call of post().
//   2. spawn() starts the task on the calling shard, never inside the call.
//   3. A spawned task is destroyed when it ends, or when its host dies (simulator only).
//
// Threads: post_to may be called from anywhere, also from a worker; all else from a shard's thread.

#pragma once

#include <coroutine>
#include <functional>

#include "base/task.h"

namespace postrider::world {

using ShardId = int;

class Executor {
public:
    virtual ~Executor() = default;

    virtual int shard_count() const = 0;

    // The shard of the calling thread. Inside Worker::run: the shard that asked for the work.
    virtual ShardId current_shard() const = 0;

    // Runs `work` on `shard`, soon.
    virtual void post_to(ShardId shard, std::move_only_function<void()> work) = 0;

    // Resumes `waiting` on `shard`, soon. As post_to, without an allocation.
    virtual void resume_on(ShardId shard, std::coroutine_handle<> waiting) = 0;

    // Runs `task` on the calling shard until it ends; nobody waits for it.
    virtual void spawn(Task<void> task) = 0;

    // co_await executor.switch_to(shard): what follows runs there.
    auto switch_to(ShardId shard) {
        struct Switch {
            Executor& executor;
            ShardId shard;
            bool await_ready() const { return false; }
            void await_suspend(std::coroutine_handle<> waiting) {
                executor.resume_on(shard, waiting);
            }
            void await_resume() const {}
        };
        return Switch{*this, shard};
    }

    // Runs `task` on `shard` and comes back to the calling shard with its value.
    template <typename T>
    Task<T> run_on(ShardId shard, Task<T> task) {
        ShardId home = current_shard();
        if (home == shard) co_return co_await std::move(task);
        co_await switch_to(shard);
        if constexpr (std::is_void_v<T>) {
            co_await std::move(task);
            co_await switch_to(home);
        } else {
            T value = co_await std::move(task);
            co_await switch_to(home);
            co_return value;
        }
    }
};

}  // namespace postrider::world
