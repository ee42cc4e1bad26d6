// world/real/worker_pool.h: the threads on which heavy and blocking work is done.
//
// The work is mostly waiting for a disk (syncs of many mailboxes), so there are more threads than
// cores; what only computes shares them.
//
// Of those that wait for work, whoever began to wait last is called first: its memory is still
// near, and a server with little to do uses few threads.
//
// Promise: what enters is taken up in its order. stop() lets each thread finish the step it is in;
// what has not begun does not begin.
//
// Threads: enter() from anywhere; start() and stop() by the owner.

#pragma once

#include <condition_variable>
#include <coroutine>
#include <deque>
#include <mutex>
#include <thread>
#include <vector>

#include "world/executor.h"
#include "world/worker.h"

namespace postrider::world::real {

class WorkerPool : public Worker {
public:
    explicit WorkerPool(Executor& executor) : executor_(executor) {}
    ~WorkerPool() override { stop(); }

    void start(int threads);
    void stop();

    void enter(std::coroutine_handle<> waiting) override;

protected:
    Executor& executor() override { return executor_; }

private:
    struct Job {
        std::coroutine_handle<> waiting;
        ShardId home;
    };

    // A thread that waits for work.
    struct Idle {
        std::condition_variable called;
        bool is_called = false;  // under mutex_
    };

    void run_thread(int number);

    Executor& executor_;
    std::mutex mutex_;
    std::deque<Job> jobs_;     // under mutex_
    std::vector<Idle*> idle_;  // who waits longest first; under mutex_
    bool stopping_ = false;    // under mutex_
    std::vector<std::thread> threads_;
};

}  // namespace postrider::world::real
