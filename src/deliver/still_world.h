// deliver/still_world.h: for this room's tests: the doors of a world of one thread in which nothing
// waits and nothing is to be had from outside.
//
// Threads: one test's.

#pragma once

#include <coroutine>
#include <memory>
#include <span>
#include <vector>

#include "world/world.h"

namespace postrider::deliver {

class InlineExecutor : public world::Executor {
public:
    int shard_count() const override { return 1; }
    world::ShardId current_shard() const override { return 0; }
    void post_to(world::ShardId, std::move_only_function<void()> work) override { work(); }
    void resume_on(world::ShardId, std::coroutine_handle<> waiting) override { waiting.resume(); }
    void spawn(Task<void>) override {}
};

class InlineWorker : public world::Worker {
public:
    explicit InlineWorker(world::Executor& executor) : executor_(executor) {}
    int journeys = 0;

protected:
    void enter(std::coroutine_handle<> waiting) override {
        journeys++;
        waiting.resume();
    }
    world::Executor& executor() override { return executor_; }

private:
    world::Executor& executor_;
};

class NoClock : public world::Clock {
public:
    Monotonic now() const override { return {}; }
    Wall wall() const override { return {}; }
    std::unique_ptr<world::Timer> call_at(Monotonic, std::move_only_function<void()>) override {
        return nullptr;
    }
};

class NoRandom : public world::Random {
public:
    void fill(std::span<std::byte>) override {}
};

class NoResolver : public world::Resolver {
public:
    Task<dns::Answer> query(dns::Question, Deadline) override { co_return dns::Answer{}; }
};

class NoNet : public world::Net {
public:
    Result<std::unique_ptr<world::Listener>, world::NetError> listen(
        const world::Endpoint&, world::ListenOptions) override {
        return std::unexpected(world::NetError{});
    }
    Result<std::unique_ptr<world::Listener>, world::NetError> share(
        const world::Listener&) override {
        return std::unexpected(world::NetError{});
    }
    std::vector<world::IpAddress> own_addresses() override { return {}; }
    Task<Result<std::unique_ptr<world::Stream>, world::NetError>> connect(
        world::Endpoint, std::optional<world::IpAddress>, Deadline) override {
        co_return std::unexpected(world::NetError{});
    }
};

class NoProcess : public world::Process {
public:
    Task<world::ProcessEnd> run(world::ProcessRequest, world::ProcessInput) override {
        co_return world::ProcessEnd{};
    }
};

class NoTls : public world::Tls {
public:
    Result<std::shared_ptr<const world::TlsServerContext>, world::TlsError> server_context(
        world::TlsServerOptions) override {
        return std::unexpected(world::TlsError{});
    }
    Result<std::shared_ptr<const world::TlsClientContext>, world::TlsError> client_context(
        world::TlsClientOptions) override {
        return std::unexpected(world::TlsError{});
    }
    Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> accept(
        std::shared_ptr<world::Stream>, std::shared_ptr<const world::TlsServerContext>,
        Deadline) override {
        co_return std::unexpected(world::TlsError{});
    }
    Task<Result<std::unique_ptr<world::TlsStream>, world::TlsError>> connect(
        std::shared_ptr<world::Stream>, std::shared_ptr<const world::TlsClientContext>,
        world::TlsPeer, Deadline) override {
        co_return std::unexpected(world::TlsError{});
    }
};

}  // namespace postrider::deliver
