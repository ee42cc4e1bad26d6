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
    }
    changed_.notify_all();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
}

void WorkerPool::enter(std::coroutine_handle<> waiting) {
    {
        std::lock_guard lock(mutex_);
        jobs_.push_back({waiting, shard_here()});
    }
    changed_.notify_one();
}

void WorkerPool::run_thread(int number) {
    pthread_setname_np(pthread_self(), fmt::format("worker{}", number).c_str());
    std::unique_lock lock(mutex_);
    while (true) {
        changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
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
