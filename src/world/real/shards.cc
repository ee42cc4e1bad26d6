#include "world/real/shards.h"

#include <cassert>
#include <chrono>

#include "world/real/socket_call.h"

namespace postrider::world::real {

namespace {

class HeapTimer : public Timer, public TimerHeap::Node {
public:
    explicit HeapTimer(std::move_only_function<void()> work) : work_(std::move(work)) {}

    void fire() override {
        auto work = std::move(work_);  // it may destroy this timer
        work();
    }

private:
    std::move_only_function<void()> work_;
};

}  // namespace

RealExecutor::RealExecutor(int shards, bool rings) {
    assert(shards > 0);
    for (int i = 0; i < shards; i++) {
        loops_.push_back(std::make_unique<Loop>(i, rings ? CallRing::make_one() : nullptr));
    }
    for (std::size_t i = 1; i < loops_.size(); i++) loops_[i - 1]->set_next(*loops_[i]);
}

ShardId RealExecutor::current_shard() const {
    ShardId shard = shard_here();
    assert(shard >= 0);
    return shard;
}

void RealExecutor::post_to(ShardId shard, std::move_only_function<void()> work) {
    loop(shard).post(std::move(work));
}

void RealExecutor::resume_on(ShardId shard, std::coroutine_handle<> waiting) {
    loop(shard).post(waiting);
}

void RealExecutor::spawn(Task<void> task) {
    Loop* loop = loop_here();
    assert(loop);
    loop->spawn(std::move(task));
}

Wall RealClock::wall() const {
    auto since = std::chrono::system_clock::now().time_since_epoch();
    return {std::chrono::duration_cast<std::chrono::microseconds>(since).count()};
}

std::unique_ptr<Timer> RealClock::call_at(Monotonic moment, std::move_only_function<void()> work) {
    Loop* loop = loop_here();
    assert(loop);
    auto timer = std::make_unique<HeapTimer>(std::move(work));
    loop->schedule(*timer, moment);
    return timer;
}

}  // namespace postrider::world::real
