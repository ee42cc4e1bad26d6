// world/real/socket.h: a non-blocking socket on one loop: waiting for it with a deadline, and
// closing it so that the peer gets what was written.
//
// The problem: a session reads and writes thousands of times and nearly never waits in vain. So the
// system call is tried first, and only a socket that has nothing to give is waited for; a deadline
// is a number in the socket, looked at by one timer that is moved only when it must ring earlier.
// The loop tells of changes only, so the socket remembers for each side whether it may be usable:
// it is taken to be until the system's call says that it is not, and from the next change on again.
//
// Promise
//   1. A wait ends once: Ready, TimedOut at its deadline, or Closed after close(). A wait that
//   timed
//      out leaves the socket as it was.
//   2. close() never resumes anybody inside the call.
//   3. A connection closed by us after we wrote to it lingers: our end is sent, and what the peer
//      still sends is read and dropped until it ends too (at most kLingerTime and
//      kLingerOctetsMax). Closing at once with unread input would send a reset, and that
//      destroys a reply which the peer has not read yet.
//   4. An idle socket holds no buffer and no timer of its own.
//
// Memory: kept alive by its stream, by whom it is read or written, and while it lingers by its
// loop.
//
// Threads: one shard's; when no loop runs, anybody's.

#pragma once

#include <array>
#include <boost/smart_ptr/intrusive_ptr.hpp>
#include <boost/smart_ptr/intrusive_ref_counter.hpp>
#include <coroutine>
#include <cstdint>

#include "base/time.h"
#include "world/real/fd.h"
#include "world/real/loop.h"
#include "world/real/socket_call.h"

namespace postrider::world::real {

inline constexpr Duration kLingerTime = std::chrono::seconds(2);
inline constexpr std::size_t kLingerOctetsMax = 1024 * 1024;
inline constexpr std::size_t kLingeringPerLoopMax = 1024;
inline constexpr int kInlineCallsMax = 32;  // then others on the loop have their turn

class Socket final : public boost::intrusive_ref_counter<Socket, boost::thread_unsafe_counter>,
                     private Watched,
                     private TimerHeap::Node {
public:
    enum class Side : uint8_t {
        Read,
        Write
    };
    enum class Wake : uint8_t {
        Ready,
        TimedOut,
        Closed
    };
    struct Wait;
    struct Turn;

    // What it is to its loop.
    enum class Kind : uint8_t {
        Stream,
        Client,  // a stream that came in by a door
        Door     // a listening socket: watched while the loop is open
    };

    // `fd` is non-blocking.
    Socket(Loop& loop, Fd fd, Kind kind = Kind::Stream);
    ~Socket() override;

    int fd() const { return fd_.get(); }
    Loop& loop() { return loop_; }
    bool closed() const { return closed_; }

    // co_await: Ready when the side may have become usable; the caller tries again.
    Wait wait(Side side, Deadline deadline);

    // co_await before each try: goes on at once, but now and then lets others run first.
    Turn turn();

    // co_await: what recv(2) and send(2) answer, see socket_call.h. Where others have something to
    // do in this turn of the loop, all their calls are made together. So replies go out one behind
    // the other, too: the ways through the program and the system stay warm, and a peer of many
    // connections is woken once.
    SocketCall receive(std::span<char> into) { return {*this, into}; }
    SocketCall send(std::span<const std::string_view> pieces, std::size_t skip) {
        return {*this, pieces, skip};
    }

    // What the callers have seen, for close().
    void note_written() { written_ = true; }
    void note_ended() { ended_ = true; }
    void note_farewell() { ended_ = farewell_ = true; }
    bool farewell() const { return farewell_; }

    // The system's call said EAGAIN, or read less than was asked for: a wait then lasts until the
    // next change. REQUIRES: told at once, before anything else is awaited.
    void note_exhausted(Side side) { usable_[index(side)] = hung_[index(side)]; }
    bool may_be_usable(Side side) const { return usable_[index(side)]; }

    // For doors. False: nothing is told any more, until it is watched again.
    void set_watched(bool watched);

    void shut_write();
    bool write_shut() const { return write_shut_; }
    void close();

private:
    friend Loop;
    static constexpr std::size_t kNotLingering = SIZE_MAX;
    static constexpr std::size_t index(Side side) { return static_cast<std::size_t>(side); }

    void begin(Wait& wait);
    bool watch();
    void handle_events(uint32_t events) override;
    void handle_usable(Side side);
    void ring_by(Monotonic moment);
    void fire() override;
    bool lingers() const { return place_ != kNotLingering; }
    void linger();
    void drain();
    void finish_close();

    Loop& loop_;
    Fd fd_;
    const Kind kind_;
    std::array<Wait*, 2> waiting_{};
    // As far as is known. Input that is there before it is watched is told of then.
    std::array<bool, 2> usable_{false, true};
    std::array<bool, 2> hung_{};  // ended or broken: the call will say so for ever
    bool watched_ = false;        // from the first wait on
    bool closed_ = false;
    bool write_shut_ = false;
    bool written_ = false;
    bool ended_ = false;  // the peer's side: end or error
    bool farewell_ = false;
    int calls_ = 0;
    std::size_t drained_ = 0;
    std::size_t place_ = kNotLingering;  // in the loop's list
    Monotonic linger_until_;
};

using SocketRef = boost::intrusive_ptr<Socket>;

struct Socket::Wait {
    Socket& socket;
    Side side;
    Deadline deadline;
    Wake wake = Wake::Ready;
    std::coroutine_handle<> waiting = {};

    Wait(Socket& owner, Side which, Deadline until) : socket(owner), side(which), deadline(until) {}
    Wait(const Wait&) = delete;
    Wait& operator=(const Wait&) = delete;
    ~Wait();

    bool await_ready();
    void await_suspend(std::coroutine_handle<> handle) {
        waiting = handle;
        socket.begin(*this);
    }
    Wake await_resume() const { return wake; }
};

struct Socket::Turn {
    Socket& socket;

    bool await_ready() const { return ++socket.calls_ < kInlineCallsMax; }
    void await_suspend(std::coroutine_handle<> waiting) {
        socket.calls_ = 0;
        socket.loop_.post(waiting);
    }
    void await_resume() const {}
};

inline Socket::Wait Socket::wait(Side side, Deadline deadline) { return {*this, side, deadline}; }
inline Socket::Turn Socket::turn() { return {*this}; }

}  // namespace postrider::world::real
