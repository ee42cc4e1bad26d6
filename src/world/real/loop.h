// world/real/loop.h: one shard: an event loop on one thread, with its queue, its timers and the
// tasks that were spawned on it.
//
// Promise
//   1. What is posted runs in the order of posting, never inside post(). A post from the loop's own
//      thread makes no system call; a burst from other threads wakes the loop once, and only if it
//      sleeps.
//   2. schedule() makes no system call. A timer fires at its moment or up to a millisecond later.
//   3. What sockets want to receive or send in one turn is done together, by one entry into the
//      kernel where the system allows it, and before the loop sleeps (socket_call.h).
//   4. A watched descriptor is told of each change to readable, writable or ended, once (edges, as
//      epoll(7) calls them), and of nothing after unwatch() or
//      forget().
//   5. A door, a socket where clients come in, is watched while its loop is open: the first always
//      is, each other one while the one before it is crowded, busy for most of the time or with
//      very many clients. So clients meet on as few cores as carry them, and their work needs few
//      journeys from core to core.
//   6. destroy_tasks() destroys every spawned task that has not ended, the youngest first, and what
//      is posted.
//
// Invariant: a spawned task ends on the loop on which it was spawned, wherever it was meanwhile.
//
// Why not a library's reactor: a session waits some eight times for a message, and Boost.Asio pays
// a system call, three locks and an operation for each wait. Here a socket is made known once.
//
// Threads: post() and stop() from anywhere; all else on the loop's thread, or when none runs.

#pragma once

#include <sys/epoll.h>

#include <array>
#include <atomic>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "world/executor.h"
#include "world/real/fd.h"
#include "world/real/timer_heap.h"

namespace postrider::world::real {

using Work = std::move_only_function<void()>;

class CallRing;
class Socket;
struct SocketCall;

// A descriptor that a loop watches.
class Watched {
public:
    // EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLHUP, EPOLLERR. May destroy this and others.
    virtual void handle_events(uint32_t events) = 0;

protected:
    ~Watched() = default;
};

class Loop {
public:
    // ring: null, and calls are made one by one.
    Loop(ShardId id, std::unique_ptr<CallRing> ring);
    ~Loop();
    Loop(const Loop&) = delete;
    Loop& operator=(const Loop&) = delete;

    // A coroutine handle is Work too, and is kept without an allocation.
    void post(Work work);
    void spawn(Task<void> task);

    // Whether nobody but the caller has something to do in this turn of the loop.
    bool is_alone() const { return turn_ <= 1; }

    // A call that is made together with others, before this loop sleeps; its waiter goes on then.
    void add_call(SocketCall& call) { calls_.push_back(&call); }
    void drop_call(SocketCall& call);

    // Sets or moves a timer.
    void schedule(TimerHeap::Node& node, Monotonic moment);

    // False when the system takes no more descriptors. What is so already is told at once.
    bool watch(int fd, Watched& watched);
    void unwatch(int fd, Watched& watched);
    // In place of unwatch() when the descriptor is closed at once, which spares a system call.
    // REQUIRES: there is no copy of it, since that would be watched on.
    void forget(const Watched& watched);

    // Returns after stop(). What is posted or due and has not run by then does not run.
    void run();
    void stop();
    void destroy_tasks();

    ShardId id() const { return id_; }

    // Sockets that are closed but still read until the peer has ended too (see socket.h).
    std::vector<boost::intrusive_ptr<Socket>>& lingering() { return lingering_; }

    // Who takes clients when this loop has no time. REQUIRES: before run(); it outlives this.
    void set_next(Loop& next);
    bool is_open() const { return open_; }
    void add_door(Socket& door) { doors_.push_back(&door); }
    void remove_door(Socket& door) { std::erase(doors_, &door); }
    void note_client() { ++clients_; }
    void note_client_gone() { --clients_; }

private:
    struct Root;
    struct RootLink {
        RootLink* previous = this;
        RootLink* next = this;
    };

    static Root root(Loop& loop, Task<void> task);
    bool is_stopped() const { return stopped_.load(std::memory_order_relaxed); }
    void run_batch(std::vector<Work>& batch);
    void run_posted();
    void make_calls();
    int sleep_milliseconds(Monotonic now) const;
    void note_busy(Monotonic since, Monotonic now);
    void set_open(bool open);
    void wait_for_events(int milliseconds);
    void wake();

    // So few that what a turn has received is still in a near cache when its sessions look at it.
    static constexpr std::size_t kEventsPerWait = 64;

    const ShardId id_;
    // These first: sockets that go down with what is posted leave both.
    Fd epoll_;
    Fd wake_up_;  // an eventfd
    TimerHeap timers_;
    std::atomic<bool> stopped_ = false;
    RootLink roots_;
    std::array<epoll_event, kEventsPerWait> events_;
    std::span<epoll_event> untold_;  // of the last wait
    std::size_t turn_ = 0;           // how many things are done one after the other now
    std::vector<boost::intrusive_ptr<Socket>> lingering_;
    std::unique_ptr<CallRing> ring_;
    std::vector<SocketCall*> calls_;     // to be made; null: nobody waits for it any more
    std::vector<SocketCall*> answered_;  // whose waiters go on now; as above

    Loop* next_ = nullptr;  // open while this one is crowded
    bool open_ = true;
    std::vector<Socket*> doors_;
    std::size_t clients_ = 0;
    Monotonic window_began_;   // of the time that is looked at
    Duration busy_{};          // in it
    Monotonic crowded_until_;  // unless it is seen again
    bool crowded_ = false;

    std::vector<Work> ready_;  // posted from this thread
    std::vector<Work> batch_;  // being run
    std::mutex mutex_;
    std::vector<Work> posted_;  // from other threads; under mutex_
    bool asleep_ = false;       // a post must wake it; under mutex_
};

// Now on the system's monotonic clock.
Monotonic monotonic_now();

// Where the calling thread stands. They look each time: a coroutine may have changed threads.
Loop* loop_here();     // null but on a shard's thread
ShardId shard_here();  // the shard, or the one for which a worker works; -1 elsewhere
bool on_worker();      // inside Worker::run

// Says that this thread is `loop`'s while it lives.
class OnLoop {
public:
    explicit OnLoop(Loop& loop);
    ~OnLoop();
    OnLoop(const OnLoop&) = delete;
    OnLoop& operator=(const OnLoop&) = delete;
};

// Says that this thread is a worker that works for `home`.
void work_for(ShardId home);

}  // namespace postrider::world::real
