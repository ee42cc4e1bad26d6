// The spool belongs to one shard: others ask it, and go on where they were. What it owns has no
// locks, so that a step on another shard would be a race.

#include <gtest/gtest.h>

#include <set>

#include "sim/spool_machine.h"

namespace postrider::sim {
namespace {

// Remembers from which shards work was given to it.
class WatchedWorker : public world::Worker {
public:
    explicit WatchedWorker(world::Executor& executor) : executor_(executor) {}
    std::set<world::ShardId> used_from;

protected:
    void enter(std::coroutine_handle<> waiting) override {
        world::ShardId shard = executor_.current_shard();
        used_from.insert(shard);
        executor_.resume_on(shard, waiting);
    }
    world::Executor& executor() override { return executor_; }

private:
    world::Executor& executor_;
};

// Counts what is handed over to the owner.
class WatchedExecutor : public world::Executor {
public:
    explicit WatchedExecutor(world::Executor& real) : real_(real) {}
    int to_owner = 0;

    int shard_count() const override { return real_.shard_count(); }
    world::ShardId current_shard() const override { return real_.current_shard(); }
    void post_to(world::ShardId shard, std::move_only_function<void()> work) override {
        real_.post_to(shard, std::move(work));
    }
    void resume_on(world::ShardId shard, std::coroutine_handle<> waiting) override {
        if (shard == 0) to_owner++;
        real_.resume_on(shard, waiting);
    }
    void spawn(Task<void> task) override { real_.spawn(std::move(task)); }

private:
    world::Executor& real_;
};

TEST(SpoolShards, WhateverShardAsksTheOwnersWorks) {
    Machine machine;
    machine.run([&](world::World& real) -> Task<void> {
        WatchedExecutor executor(real.executor);
        WatchedWorker worker(executor);
        world::World world{real.clock, real.random, real.net,      real.disk,    executor,
                           worker,     real.log,    real.resolver, real.process, real.tls};
        Recovered recovered;
        auto spool = co_await open_whole(world, machine.options, recovered);
        EXPECT_TRUE(spool);
        if (!spool) co_return;
        for (world::ShardId shard : {0, 1}) {
            co_await world.executor.switch_to(shard);
            MessageId id{256u + static_cast<uint64_t>(shard)};
            co_await store(**spool, message(id.value, 5000));
            EXPECT_EQ(world.executor.current_shard(), shard) << "after commit()";
            EXPECT_TRUE(co_await (*spool)->note_attempt(id, Deadline::never()));
            EXPECT_EQ(world.executor.current_shard(), shard) << "after note_attempt()";
            EXPECT_TRUE(co_await (*spool)->read(id));
            EXPECT_EQ(world.executor.current_shard(), shard) << "after read()";
            EXPECT_FALSE(co_await (*spool)->read(MessageId{999}));
            EXPECT_EQ(world.executor.current_shard(), shard) << "after read() of nothing";
            (*spool)->record_lazily({id, 0, RecipientState::Waiting, {4, 4, 1}, "", 1, {}, {}});
            co_await world.clock.sleep_for(1s);
            EXPECT_TRUE(co_await (*spool)->set_aside(id, "it is poisonous"));
            EXPECT_EQ(world.executor.current_shard(), shard) << "after set_aside()";
            int before = executor.to_owner;
            EXPECT_EQ((co_await (*spool)->stats()).live_messages, 0u);
            EXPECT_EQ(executor.to_owner - before, shard == 0 ? 0 : 1);
            EXPECT_EQ(world.executor.current_shard(), shard) << "after stats()";
        }
        co_await world.executor.switch_to(0);
        co_await (*spool)->close();
        EXPECT_EQ(worker.used_from, std::set<world::ShardId>{0});
    });
}

}  // namespace
}  // namespace postrider::sim
