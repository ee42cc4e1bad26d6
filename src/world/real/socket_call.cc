#include "world/real/socket_call.h"

#include <liburing.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>

#include "world/real/loop.h"
#include "world/real/socket.h"

namespace postrider::world::real {

namespace {

constexpr std::size_t kPiecesPerCall = 64;
constexpr unsigned kCallsPerEntry = 128;
constexpr ssize_t kUnanswered = std::numeric_limits<ssize_t>::min();

ssize_t send_pieces(const SocketCall& call) {
    std::array<iovec, kPiecesPerCall> vectors;
    std::size_t count = std::min(call.pieces.size(), vectors.size());
    std::size_t skip = call.skip;
    for (std::size_t i = 0; i < count; i++) {
        std::string_view piece = call.pieces[i].substr(skip);
        vectors[i] = {const_cast<char*>(piece.data()), piece.size()};  // only read by the system
        skip = 0;
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    return ::sendmsg(call.socket.fd(), &message, call.send_flags());
}

}  // namespace

SocketCall::~SocketCall() {
    if (waiting) socket.loop().drop_call(*this);
}

// Last words wait for the end of the connection, which spares a packet and waking the peer twice.
int SocketCall::send_flags() const {
    return MSG_DONTWAIT | MSG_NOSIGNAL | (socket.farewell() ? MSG_MORE : 0);
}

bool SocketCall::is_off() const { return socket.closed() || (!receives() && socket.write_shut()); }

void SocketCall::make() {
    if (is_off()) {
        result = -ECANCELED;
        return;
    }
    if (receives()) {
        result = ::recv(socket.fd(), into.data(), into.size(), MSG_DONTWAIT);
    } else if (pieces.size() == 1) {
        // Most replies are one piece; the system has less to look at then.
        std::string_view piece = first_piece();
        result = ::send(socket.fd(), piece.data(), piece.size(), send_flags());
    } else {
        result = send_pieces(*this);
    }
    if (result < 0) result = -errno;
}

bool SocketCall::await_ready() {
    if (!socket.loop().is_alone()) return false;
    make();
    return true;
}

void SocketCall::await_suspend(std::coroutine_handle<> handle) {
    waiting = handle;
    socket.loop().add_call(*this);
}

std::unique_ptr<CallRing> CallRing::make_one() {
    std::unique_ptr<CallRing> out(new CallRing);
    if (!out->begin()) return nullptr;
    return out;
}

struct CallRing::Ring : io_uring {};

CallRing::CallRing() : ring_(std::make_unique<Ring>()) {}

CallRing::~CallRing() {
    if (begun_) io_uring_queue_exit(ring_.get());
}

bool CallRing::begin() {
    io_uring_params parameters{};
    parameters.flags = IORING_SETUP_R_DISABLED;  // until it can do only what it is for
    if (io_uring_queue_init_params(kCallsPerEntry, ring_.get(), &parameters) != 0) return false;
    begun_ = true;
    std::array<io_uring_restriction, 2> allowed{};
    allowed[0].opcode = allowed[1].opcode = IORING_RESTRICTION_SQE_OP;
    allowed[0].sqe_op = IORING_OP_RECV;
    allowed[1].sqe_op = IORING_OP_SEND;
    auto fd = static_cast<unsigned>(ring_->ring_fd);
    return io_uring_register(fd, IORING_REGISTER_RESTRICTIONS, allowed.data(), allowed.size()) ==
               0 &&
           io_uring_register(fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0;
}

int CallRing::answer_to(uint8_t operation) {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    io_uring_prep_rw(operation, entry, -1, nullptr, 0, 0);
    io_uring_cqe* answer = nullptr;
    int error = io_uring_submit_and_wait(ring_.get(), 1);
    if (error < 0 || io_uring_peek_cqe(ring_.get(), &answer) != 0) return error;
    int result = answer->res;
    io_uring_cqe_seen(ring_.get(), answer);
    return result;
}

bool CallRing::make(std::span<SocketCall* const> calls) {
    bool works = true;
    for (SocketCall* call : calls) {
        if (!call) continue;
        call->result = kUnanswered;
        if (call->is_off()) {
            call->make();
        } else if (!call->receives() && call->pieces.size() != 1) {
            works = works && submit();
            if (works) call->make();
        } else if (works && !enqueue(*call)) {
            works = submit() && enqueue(*call);
        }
    }
    works = works && submit();
    if (works) return true;
    for (SocketCall* call : calls) {
        if (call && call->result == kUnanswered) call->make();
    }
    return false;
}

// False: there is no room before the next submit().
bool CallRing::enqueue(SocketCall& call) {
    io_uring_sqe* entry = io_uring_get_sqe(ring_.get());
    if (!entry) return false;
    int fd = call.socket.fd();
    // MSG_DONTWAIT: the kernel answers EAGAIN as recv(2) would, and does not wait for readiness.
    if (call.receives()) {
        io_uring_prep_recv(entry, fd, call.into.data(), call.into.size(), MSG_DONTWAIT);
    } else {
        std::string_view piece = call.first_piece();
        io_uring_prep_send(entry, fd, piece.data(), piece.size(), call.send_flags());
    }
    io_uring_sqe_set_data(entry, &call);
    return true;
}

// False when the kernel does not take them.
bool CallRing::submit() {
    io_uring& uring = *ring_;
    for (unsigned left = io_uring_sq_ready(&uring); left > 0;) {
        int taken = io_uring_submit_and_wait(&uring, left);
        if (taken < 0 && taken != -EINTR) return false;
        unsigned head = 0;
        unsigned answered = 0;
        io_uring_cqe* answer = nullptr;
        io_uring_for_each_cqe(&uring, head, answer) {
            static_cast<SocketCall*>(io_uring_cqe_get_data(answer))->result = answer->res;
            answered++;
        }
        io_uring_cq_advance(&uring, answered);
        if (taken == 0 && answered == 0) return false;
        left -= answered;
    }
    return true;
}

}  // namespace postrider::world::real
