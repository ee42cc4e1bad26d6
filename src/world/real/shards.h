// world/real/shards.h: the executor and the clock over a fixed set of loops.
//
// Threads: as world/executor.h and world/clock.h say. call_at() and spawn() stop the program when
// they are called off a shard: there is no loop that could do it.

#pragma once

#include <memory>
#include <vector>

#include "world/clock.h"
#include "world/executor.h"
#include "world/real/loop.h"

namespace postrider::world::real {

class RealExecutor : public Executor {
public:
    // rings: where the system allows them, see socket_call.h.
    RealExecutor(int shards, bool rings);

    int shard_count() const override { return static_cast<int>(loops_.size()); }
    ShardId current_shard() const override;
    void post_to(ShardId shard, std::move_only_function<void()> work) override;
    void resume_on(ShardId shard, std::coroutine_handle<> waiting) override;
    void spawn(Task<void> task) override;

    Loop& loop(ShardId shard) { return *loops_.at(static_cast<std::size_t>(shard)); }

private:
    std::vector<std::unique_ptr<Loop>> loops_;
};

class RealClock : public Clock {
public:
    Monotonic now() const override { return monotonic_now(); }
    Wall wall() const override;
    std::unique_ptr<Timer> call_at(Monotonic moment, std::move_only_function<void()> work) override;
};

}  // namespace postrider::world::real
