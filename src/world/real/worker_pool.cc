#include "world/real/worker_pool.h"

#include <fmt/format.h>
#include <pthread.h>

#include "world/real/loop.h"

namespace postrider::world::real {

void WorkerPool::start(int threads) {
    for (int i = 0; i < threads; i++) threads_.emplace_back([this, i] { run_thread(i); });
}

void WorkerPool::stop() {
    {
        std::lock_guard lock(mutex_);
        stopping_ = true;
        for (Idle* idle : idle_) idle->called.notify_one();
        idle_.clear();
    }
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void WorkerPool::enter(std::coroutine_handle<> waiting) {
    Idle* idle = nullptr;
    {
        std::lock_guard lock(mutex_);
        jobs_.push_back({waiting, shard_here()});
        if (!idle_.empty()) {
            idle = idle_.back();
            idle_.pop_back();
            idle->is_called = true;
        }
    }
    if (idle) idle->called.notify_one();
}

void WorkerPool::run_thread(int number) {
    pthread_setname_np(pthread_self(), fmt::format("worker{}", number).c_str());
    Idle self;
    std::unique_lock lock(mutex_);
    while (true) {
        while (!stopping_ && jobs_.empty()) {
            self.is_called = false;
            idle_.push_back(&self);
            self.called.wait(lock, [&] { return stopping_ || self.is_called; });
        }
        if (stopping_) return;
        Job job = jobs_.front();
        jobs_.pop_front();
        lock.unlock();
        work_for(job.home);
        job.waiting.resume();
        lock.lock();
    }
}

}  // namespace postrider::world::real
