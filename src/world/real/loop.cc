#include "world/real/loop.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <chrono>
#include <system_error>
#include <utility>

#include "world/real/socket.h"
#include "world/real/socket_call.h"

namespace postrider::world::real {

namespace {

// It never sleeps longer, so that the number fits.
constexpr Duration kSleepMax = std::chrono::hours(1);
// A loop that is busy for three quarters of some milliseconds is crowded, and for a while after.
constexpr Duration kCrowdWindow = std::chrono::milliseconds(5);
constexpr Duration kCrowdLasts = std::chrono::milliseconds(500);
// So many clients are too many for one loop even if they are quiet now.
constexpr std::size_t kCrowdOfClients = 1000;
constexpr uint32_t kEdges = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

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

Loop::Loop(ShardId id, std::unique_ptr<CallRing> ring)
    : id_(id),
      epoll_(::epoll_create1(EPOLL_CLOEXEC)),
      wake_up_(::eventfd(0, EFD_CLOEXEC)),
      ring_(std::move(ring)) {
    epoll_event event{.events = EPOLLIN | EPOLLET, .data = {.ptr = nullptr}};
    if (!epoll_ || !wake_up_ ||
        ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_up_.get(), &event) != 0) {
        throw std::system_error(errno, std::generic_category(), "no event loop");
    }
}

Loop::~Loop() {
    assert(roots_.next == &roots_);
    // What was posted after the end may hold sockets, and those need the rest of this.
    ready_.clear();
    posted_.clear();
    while (!lingering_.empty()) lingering_.back()->finish_close();
}

void Loop::post(Work work) {
    if (loop_here() == this) {
        ready_.push_back(std::move(work));
        return;
    }
    bool sleeps = false;
    {
        std::lock_guard lock(mutex_);
        posted_.push_back(std::move(work));
        sleeps = std::exchange(asleep_, false);
    }
    if (sleeps) wake();
}

// Each write is an edge, so nobody needs to read it.
void Loop::wake() {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t written = ::write(wake_up_.get(), &one, sizeof one);
}

void Loop::spawn(Task<void> task) {
    assert(loop_here() == this);
    post(root(*this, std::move(task)).handle);
}

void Loop::schedule(TimerHeap::Node& node, Monotonic moment) { timers_.set(node, moment); }

bool Loop::watch(int fd, Watched& watched) {
    epoll_event event{.events = kEdges, .data = {.ptr = &watched}};
    return ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0;
}

void Loop::unwatch(int fd, Watched& watched) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    forget(watched);
}

void Loop::forget(const Watched& watched) {
    for (epoll_event& event : untold_) {
        if (event.data.ptr == &watched) event.data.ptr = nullptr;
    }
}

void Loop::run() {
    OnLoop mark(*this);
    Monotonic awake_since = monotonic_now();
    window_began_ = awake_since;
    while (!is_stopped()) {
        run_posted();
        batch_.swap(ready_);
        run_batch(batch_);
        make_calls();
        if (is_stopped()) return;
        Monotonic now = monotonic_now();
        if (next_) note_busy(awake_since, now);
        wait_for_events(sleep_milliseconds(now));
        awake_since = monotonic_now();
        turn_ = untold_.size();
        while (!untold_.empty() && !is_stopped()) {
            epoll_event event = untold_.front();
            untold_ = untold_.subspan(1);
            if (event.data.ptr) static_cast<Watched*>(event.data.ptr)->handle_events(event.events);
        }
        untold_ = {};
        make_calls();
        if (timers_.first() && !is_stopped()) timers_.fire_due(awake_since);
    }
}

void Loop::run_posted() {
    {
        std::lock_guard lock(mutex_);
        batch_.swap(posted_);
    }
    run_batch(batch_);
}

void Loop::run_batch(std::vector<Work>& batch) {
    turn_ = batch.size();
    for (Work& work : batch) {
        if (is_stopped()) break;
        work();
        work = nullptr;  // what it holds must not wait for the others
    }
    batch.clear();
}

// Those who go on may want further calls: a session answers what it has received. None of them goes
// on for ever (Socket::turn).
void Loop::make_calls() {
    while (!calls_.empty() && !is_stopped()) {
        answered_.swap(calls_);
        turn_ = answered_.size();
        if (!ring_ || turn_ == 1) {
            for (SocketCall* call : answered_) {
                if (call) call->make();
            }
        } else if (!ring_->make(answered_)) {
            ring_.reset();
        }
        for (SocketCall*& call : answered_) {
            if (!call || is_stopped()) continue;
            std::exchange(std::exchange(call, nullptr)->waiting, nullptr).resume();
        }
        answered_.clear();
    }
}

void Loop::drop_call(SocketCall& call) {
    for (auto* list : {&calls_, &answered_}) std::ranges::replace(*list, &call, nullptr);
}

// -1: until something happens.
int Loop::sleep_milliseconds(Monotonic now) const {
    if (!ready_.empty()) return 0;
    const TimerHeap::Node* first = timers_.first();
    if (!first) return -1;
    Duration until = std::clamp(first->moment() - now, Duration{}, kSleepMax);
    return static_cast<int>(std::chrono::ceil<std::chrono::milliseconds>(until).count());
}

void Loop::set_next(Loop& next) {
    next_ = &next;
    next.open_ = false;
}

void Loop::note_busy(Monotonic since, Monotonic now) {
    busy_ += now - since;
    Duration window = now - window_began_;
    if (window < kCrowdWindow) return;
    if (busy_ * 4 > window * 3 || clients_ >= kCrowdOfClients) crowded_until_ = now + kCrowdLasts;
    window_began_ = now;
    busy_ = {};
    bool crowded = now < crowded_until_;
    if (crowded == std::exchange(crowded_, crowded)) return;
    next_->post([next = next_, crowded] { next->set_open(crowded); });
}

void Loop::set_open(bool open) {
    open_ = open;
    for (Socket* door : doors_) door->set_watched(open);
}

void Loop::wait_for_events(int milliseconds) {
    if (milliseconds != 0) {
        std::lock_guard lock(mutex_);
        if (posted_.empty() && !is_stopped()) {
            asleep_ = true;
        } else {
            milliseconds = 0;
        }
    }
    int count = ::epoll_wait(epoll_.get(), events_.data(), kEventsPerWait, milliseconds);
    untold_ = std::span(events_).first(static_cast<std::size_t>(std::max(count, 0)));  // EINTR: -1
    if (milliseconds == 0) return;
    std::lock_guard lock(mutex_);
    asleep_ = false;
}

void Loop::stop() {
    {
        std::lock_guard lock(mutex_);
        stopped_.store(true, std::memory_order_relaxed);
    }
    wake();
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
