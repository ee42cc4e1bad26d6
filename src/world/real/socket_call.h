// world/real/socket_call.h: one receive or send on a non-blocking socket, and the ring over which a
// loop makes many of them with one entry into the kernel.
//
// The problem: half of what a message costs is the way into the kernel and back, a dozen times. A
// busy loop has several sockets to serve in each of its turns, so it gathers what they want to
// receive or send and makes these calls together, by io_uring. A loop that has one socket to serve
// makes its call at once, and where the system allows no ring all are made one by one: the same
// calls in the same order with the same answers.
//
// Promise
//   1. Nothing is under way when make() returns: each call has been answered, if only by EAGAIN. So
//      memory belongs to the kernel only inside make(), and a waiter may be destroyed at any time.
//   2. The ring can do nothing but receive and send on sockets, whoever gets hold of it: more is
//      refused by the kernel (io_uring_register(2), IORING_REGISTER_RESTRICTIONS).
//
// Threads: its loop's.

#pragma once

#include <sys/types.h>

#include <coroutine>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace postrider::world::real {

class Socket;

// co_await: octets, or -errno. -ECANCELED: the side was closed before the call was made.
struct SocketCall {
    Socket& socket;
    std::span<char> into;                      // to receive
    std::span<const std::string_view> pieces;  // or to send
    std::size_t skip = 0;                      // octets of the first piece that are sent already
    ssize_t result = 0;
    std::coroutine_handle<> waiting = {};  // while it stands in the loop's list

    SocketCall(Socket& of, std::span<char> input) : socket(of), into(input) {}
    SocketCall(Socket& of, std::span<const std::string_view> output, std::size_t sent)
        : socket(of), pieces(output), skip(sent) {}
    SocketCall(const SocketCall&) = delete;
    SocketCall& operator=(const SocketCall&) = delete;
    ~SocketCall();

    bool receives() const { return !into.empty(); }
    std::string_view first_piece() const { return pieces.front().substr(skip); }
    int send_flags() const;
    bool is_off() const;  // nobody wants it any more

    // Makes it now, by itself.
    void make();

    bool await_ready();
    void await_suspend(std::coroutine_handle<> handle);
    ssize_t await_resume() const { return result; }
};

class CallRing {
public:
    // Null where the system has no io_uring or does not allow it.
    static std::unique_ptr<CallRing> make_one();
    ~CallRing();
    CallRing(const CallRing&) = delete;
    CallRing& operator=(const CallRing&) = delete;

    // Makes all; null entries are passed over. False when the ring is of no use any more; then too
    // all are made.
    bool make(std::span<SocketCall* const> calls);

    // What the kernel answers to an operation of this number and nothing else, 0 or -errno. For
    // tests.
    int answer_to(uint8_t operation);

private:
    struct Ring;
    CallRing();
    bool begin();
    bool enqueue(SocketCall& call);
    bool submit();

    std::unique_ptr<Ring> ring_;
    bool begun_ = false;
};

}  // namespace postrider::world::real
