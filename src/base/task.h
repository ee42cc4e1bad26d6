// base/task.h: the coroutine type of the house.
//
// A Task<T> is a lazy coroutine: nothing runs until somebody awaits it or an Executor spawns it; it
// then runs on the awaiting thread until it awaits something of the world. It knows no event loop,
// so the same code runs over real sockets and in the simulator.
//
// Promise
//   1. A Task is awaited at most once; destroying one that was not finished destroys its frame and,
//      with it, every Task it was awaiting (the simulator's crash relies on this).
//   2. Awaiting and returning use symmetric transfer: depth of the stack does not grow with chains.
//   3. Frames come from a small per-thread free list, so a Task on a message's path costs no
//   malloc.
//
// Failure: errors are values (result.h). An exception that leaves a coroutine ends the process.
// Threads: a Task is resumed by one thread at a time; world/executor.h says how it changes threads.
//
// Beware (clang and the language, not us): never bind a reference parameter of a coroutine to a
// temporary that dies before the first await; take values or views that outlive the Task.

#pragma once

#include <coroutine>
#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <utility>

namespace postrider {

namespace task_detail {

// Frames of up to 4 KiB in classes of 128 octets. `size` is what was asked for, both times.
void* allocate_frame(std::size_t size);
void release_frame(void* frame, std::size_t size) noexcept;

struct PromiseBase {
    std::coroutine_handle<> continuation = std::noop_coroutine();

    static void* operator new(std::size_t size) { return allocate_frame(size); }
    static void operator delete(void* frame, std::size_t size) { release_frame(frame, size); }

    std::suspend_always initial_suspend() noexcept { return {}; }

    struct FinalAwaiter {
        bool await_ready() noexcept { return false; }
        template <typename Promise>
        std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
            return self.promise().continuation;
        }
        void await_resume() noexcept {}
    };
    FinalAwaiter final_suspend() noexcept { return {}; }
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

template <typename T>
struct Promise : PromiseBase {
    std::optional<T> value;

    std::coroutine_handle<Promise> get_return_object() noexcept {
        return std::coroutine_handle<Promise>::from_promise(*this);
    }
    template <typename U = T>
    void return_value(U&& v) {
        value.emplace(std::forward<U>(v));
    }
    T take() { return std::move(*value); }
};

template <>
struct Promise<void> : PromiseBase {
    std::coroutine_handle<Promise> get_return_object() noexcept {
        return std::coroutine_handle<Promise>::from_promise(*this);
    }
    void return_void() noexcept {}
    void take() noexcept {}
};

}  // namespace task_detail

template <typename T = void>
class [[nodiscard]] Task {
public:
    using promise_type = task_detail::Promise<T>;
    using Handle = std::coroutine_handle<promise_type>;

    Task(Handle handle) noexcept : handle_(handle) {}  // NOLINT: made by the promise
    Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, {})) {}
    Task& operator=(Task&& other) noexcept {
        if (this != &other) {
            destroy();
            handle_ = std::exchange(other.handle_, {});
        }
        return *this;
    }
    Task(const Task&) = delete;
    Task& operator=(const Task&) = delete;
    ~Task() { destroy(); }

    struct Awaiter {
        Handle handle;
        bool await_ready() const noexcept { return false; }
        std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
            handle.promise().continuation = awaiting;
            return handle;
        }
        T await_resume() { return handle.promise().take(); }
    };
    Awaiter operator co_await() && noexcept { return {handle_}; }

    // For executors: gives the frame away. Whoever takes it resumes it once and destroys it when
    // its continuation is called.
    Handle release() noexcept { return std::exchange(handle_, {}); }

private:
    void destroy() noexcept {
        if (handle_) handle_.destroy();
    }

    Handle handle_;
};

}  // namespace postrider
