#include "world/signal.h"

namespace postrider::world {

// Lives in the frame of wait(); its destructor takes it out of the list, so that a frame destroyed
// from outside (a host that dies in the simulator) leaves nothing behind.
struct Signal::Waiter {
    Signal& signal;
    Deadline deadline;
    Waiter* previous = nullptr;
    Waiter* next = nullptr;
    bool listed = false;
    bool notified = false;
    std::coroutine_handle<> waiting;
    std::unique_ptr<Timer> timer;

    Waiter(Signal& owner, Deadline until) : signal(owner), deadline(until) {}
    ~Waiter() {
        if (listed) signal.remove(*this);
    }

    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        waiting = handle;
        signal.append(*this);
        if (deadline.is_never()) return;
        timer = signal.clock_.call_at(deadline.at, [this] {
            if (!listed) return;  // notified, and about to be resumed
            signal.remove(*this);
            waiting.resume();
        });
    }
    bool await_resume() const { return notified; }
};

Signal::~Signal() {
    // A host that dies in the simulator destroys tasks in any order: let the waiters outlive us.
    while (first_) remove(*first_);
}

Task<bool> Signal::wait(Deadline deadline) {
    Waiter waiter(*this, deadline);
    co_return co_await waiter;
}

void Signal::append(Waiter& waiter) {
    waiter.listed = true;
    waiter.previous = last_;
    (last_ ? last_->next : first_) = &waiter;
    last_ = &waiter;
}

void Signal::remove(Waiter& waiter) {
    (waiter.previous ? waiter.previous->next : first_) = waiter.next;
    (waiter.next ? waiter.next->previous : last_) = waiter.previous;
    waiter.previous = waiter.next = nullptr;
    waiter.listed = false;
}

void Signal::notify_one() {
    if (!first_) return;
    Waiter& waiter = *first_;
    remove(waiter);
    waiter.notified = true;
    executor_.resume_on(executor_.current_shard(), waiter.waiting);
}

void Signal::notify_all() {
    while (first_) notify_one();
}

}  // namespace postrider::world
