#include "world/real/loop.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cassert>
#include <chrono>

namespace postrider::world::real {

namespace {

// The timer is never set further ahead; it then fires early and is set again.
constexpr Duration kArmedAheadMax = std::chrono::hours(1);

struct Here {
    Loop* loop = nullptr;
    ShardId shard = -1;
    bool worker = false;
};

thread_local Here here;

}  // namespace

Loop* loop_here() { return here.loop; }
ShardId shard_here() { return here.shard; }
bool on_worker() { return here.worker; }
void work_for(ShardId home) { here = {nullptr, home, true}; }

OnLoop::OnLoop(Loop& loop) { here = {&loop, loop.id(), false}; }
OnLoop::~OnLoop() { here = {}; }

Monotonic monotonic_now() {
    return {std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count()};
}

// The outermost coroutine of a spawned task: it owns the task, stands in its loop's list and
// destroys itself at the end.
struct Loop::Root {
    struct promise_type : RootLink {
        promise_type(Loop& loop, Task<void>&) {
            next = &loop.roots_;
            previous = loop.roots_.previous;
            previous->next = this;
            next->previous = this;
        }
        ~promise_type() {
            previous->next = next;
            next->previous = previous;
        }
        static void* operator new(std::size_t size) { return task_detail::allocate_frame(size); }
        static void operator delete(void* frame, std::size_t size) {
            task_detail::release_frame(frame, size);
        }
        Root get_return_object() {
            return {std::coroutine_handle<promise_type>::from_promise(*this)};
        }
        std::suspend_always initial_suspend() noexcept { return {}; }
        std::suspend_never final_suspend() noexcept { return {}; }
        void return_void() noexcept {}
        [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
    };

    std::coroutine_handle<promise_type> handle;
};

Loop::Root Loop::root(Loop& loop, Task<void> task) {
    struct GoHome {
        Loop& loop;
        bool await_ready() const { return loop_here() == &loop; }
        void await_suspend(std::coroutine_handle<> waiting) { loop.post(waiting); }
        void await_resume() const {}
    };
    co_await std::move(task);
    co_await GoHome{loop};
}

Loop::Loop(ShardId id) : id_(id) {}
Loop::~Loop() {
    assert(roots_.next == &roots_);
    // What was posted after the end may hold sockets, and those need the context.
    ready_.clear();
    posted_.clear();
}

void Loop::post(Work work) {
    if (loop_here() == this) {
        ready_.push_back(std::move(work));
        if (ready_noted_) return;
        ready_noted_ = true;
        asio::post(context_, [this] { run_ready(); });
        return;
    }
    bool first = false;
    {
        std::lock_guard lock(mutex_);
        first = posted_.empty();
        posted_.push_back(std::move(work));
    }
    if (first) asio::post(context_, [this] { run_posted(); });
}

void Loop::spawn(Task<void> task) {
    assert(loop_here() == this);
    post(root(*this, std::move(task)).handle);
}

void Loop::run_ready() {
    ready_noted_ = false;
    batch_.swap(ready_);
    run_batch(batch_);
}

void Loop::run_posted() {
    {
        std::lock_guard lock(mutex_);
        batch_.swap(posted_);
    }
    run_batch(batch_);
}

void Loop::run_batch(std::vector<Work>& batch) {
    for (Work& work : batch) {
        if (stopped_.load(std::memory_order_relaxed)) break;
        work();
        work = nullptr;  // what it holds must not wait for the others
    }
    batch.clear();
}

void Loop::schedule(TimerHeap::Node& node, Monotonic moment) {
    timers_.set(node, moment);
    if (moment < armed_at_) arm();
}

void Loop::arm() {
    TimerHeap::Node* first = timers_.first();
    if (!first) {
        armed_at_ = Deadline::never().at;
        return;
    }
    armed_at_ = std::min(first->moment(), monotonic_now() + kArmedAheadMax);
    timer_.expires_at(std::chrono::steady_clock::time_point(Duration(armed_at_.ns)));
    timer_.async_wait([this](const boost::system::error_code& error) {
        if (!error) handle_timer();
    });
}

void Loop::handle_timer() {
    timers_.fire_due(monotonic_now());
    arm();
}

void Loop::run() {
    OnLoop mark(*this);
    context_.run();
}

void Loop::stop() {
    stopped_.store(true, std::memory_order_relaxed);
    context_.stop();
}

void Loop::destroy_tasks() {
    OnLoop mark(*this);
    // The youngest first: what an early task owns outlives the tasks that use it. A destructor may
    // post; what is posted holds handles of tasks in the list, or things that are destroyed here.
    while (roots_.previous != &roots_) {
        auto* link = static_cast<Root::promise_type*>(roots_.previous);
        std::coroutine_handle<Root::promise_type>::from_promise(*link).destroy();
    }
    std::vector<Work> dropped = std::exchange(ready_, {});
    std::lock_guard lock(mutex_);
    std::move(posted_.begin(), posted_.end(), std::back_inserter(dropped));
    posted_.clear();
}

}  // namespace postrider::world::real
