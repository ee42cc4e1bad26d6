// base/task_test.cc: what a Task promises: laziness, symmetric transfer, and that a frame takes its
// children with it.

#include "base/task.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace postrider {
namespace {

// Runs a task that never has to wait, and destroys its frame.
template <typename T>
T run(Task<T> task) {
    auto handle = task.release();
    handle.resume();
    EXPECT_TRUE(handle.done());
    if constexpr (std::is_void_v<T>) {
        handle.destroy();
    } else {
        T value = handle.promise().take();
        handle.destroy();
        return value;
    }
}

// Suspends whoever awaits it until resumed by hand.
struct Gate {
    std::coroutine_handle<> waiting;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) { waiting = handle; }
    void await_resume() const {}
};

Task<int> count_to(int n) {
    int sum = 0;
    for (int i = 0; i < n; i++) {
        sum += co_await [](int one) -> Task<int> { co_return one; }(1);
    }
    co_return sum;
}

TEST(Task, NothingRunsUntilAwaited) {
    bool ran = false;
    auto body = [](bool& flag) -> Task<void> {
        flag = true;
        co_return;
    };
    Task<void> task = body(ran);
    EXPECT_FALSE(ran);
    run(std::move(task));
    EXPECT_TRUE(ran);
}

TEST(Task, AMillionAwaitsInALoopKeepTheStackFlat) {
    EXPECT_EQ(run(count_to(1'000'000)), 1'000'000);
}

Task<int> nest(int depth) {
    if (depth == 0) co_return 0;
    co_return 1 + co_await nest(depth - 1);
}

TEST(Task, DeepNestingReturnsThroughSymmetricTransfer) { EXPECT_EQ(run(nest(10'000)), 10'000); }

TEST(Task, DestroyingAWaitingTaskDestroysWhatItAwaits) {
    auto alive = std::make_shared<int>(1);
    Gate gate;
    auto inner = [](std::shared_ptr<int> held, Gate& g) -> Task<void> {
        co_await g;
        EXPECT_TRUE(held) << "never reached";
    };
    auto outer = [&inner](std::shared_ptr<int> held, Gate& g) -> Task<void> {
        co_await inner(std::move(held), g);
    };
    {
        Task<void> task = outer(alive, gate);
        auto handle = task.release();
        handle.resume();
        EXPECT_FALSE(handle.done());
        EXPECT_EQ(alive.use_count(), 2);
        handle.destroy();
    }
    EXPECT_EQ(alive.use_count(), 1);
}

TEST(Task, MoveOnlyValuesPassThrough) {
    auto make = []() -> Task<std::unique_ptr<std::string>> {
        co_return std::make_unique<std::string>("mail");
    };
    EXPECT_EQ(*run(make()), "mail");
}

}  // namespace
}  // namespace postrider
