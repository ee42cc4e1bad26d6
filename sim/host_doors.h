// sim/host_doors.h: the small doors of a simulated host: clock, executor, worker, random, log.
//
// Each is the interface of world/ over the host's state; disk and net have files of their own.
//
// Threads: one.

#pragma once

#include <array>
#include <deque>
#include <functional>

#include "sim/host.h"
#include "sim/seeded_random.h"
#include "world/world.h"

namespace postrider::sim {

struct HostState;

class SimClock : public world::Clock {
public:
    explicit SimClock(HostState& host) : host_(host) {}
    Monotonic now() const override;
    Wall wall() const override;
    std::unique_ptr<world::Timer> call_at(Monotonic moment,
                                          std::move_only_function<void()> work) override;

private:
    HostState& host_;
};

class SimExecutor : public world::Executor {
public:
    explicit SimExecutor(HostState& host) : host_(host) {}
    int shard_count() const override;
    world::ShardId current_shard() const override;
    void post_to(world::ShardId shard, std::move_only_function<void()> work) override;
    void resume_on(world::ShardId shard, std::coroutine_handle<> waiting) override;
    void spawn(Task<void> task) override;

private:
    HostState& host_;
};

// A worker is the shard itself, later: its work takes virtual time while the shard goes on.
class SimWorker : public world::Worker {
public:
    explicit SimWorker(HostState& host) : host_(host) {}

protected:
    void enter(std::coroutine_handle<> waiting) override;
    world::Executor& executor() override;

private:
    HostState& host_;
};

class SimRandom : public world::Random {
public:
    explicit SimRandom(SeededRandom random) : random_(random) {}
    void fill(std::span<std::byte> bytes) override { random_.fill(bytes); }

private:
    SeededRandom random_;
};

class SimLog : public Log {
public:
    explicit SimLog(HostState& host) : host_(host) {}
    using Log::write;
    void write(Event event, std::span<const LogField> fields) override;

    std::deque<LogLine> lines;
    std::function<void(const LogLine&)> on_line;  // may be empty
    std::array<uint64_t, 4> counts{};             // by level

private:
    HostState& host_;
};

}  // namespace postrider::sim
