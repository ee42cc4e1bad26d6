#include "world/real/real_stream.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cassert>
#include <cerrno>

#include "world/real/socket_address.h"

namespace postrider::world::real {

namespace {

constexpr std::size_t kPiecesPerCall = 64;

// The coroutines below hold the socket, not the stream: a stream may be destroyed while somebody
// waits in it, and that one is then told Closed.

NetError no_readiness(std::string_view verb, Socket::Wake wake) {
    if (wake == Socket::Wake::TimedOut) {
        return {NetError::Kind::TimedOut, fmt::format("{}: the deadline passed", verb)};
    }
    return {NetError::Kind::Closed, fmt::format("{}: the stream was closed", verb)};
}

Task<Status<NetError>> wait_readable_on(SocketRef socket, Deadline deadline) {
    while (true) {
        co_await socket->turn();
        if (socket->closed()) co_return std::unexpected(no_readiness("wait", Socket::Wake::Closed));
        if (socket->may_be_usable(Socket::Side::Read)) {
            char octet = 0;
            ssize_t got = ::recv(socket->fd(), &octet, 1, MSG_PEEK);
            if (got >= 0 || (errno != EAGAIN && errno != EINTR)) co_return {};
            if (errno == EINTR) continue;
            socket->note_exhausted(Socket::Side::Read);
        }
        auto wake = co_await socket->wait(Socket::Side::Read, deadline);
        if (wake != Socket::Wake::Ready) co_return std::unexpected(no_readiness("wait", wake));
        co_return {};
    }
}

Task<Result<std::size_t, NetError>> read_from(SocketRef socket, std::span<char> into,
                                              Deadline deadline) {
    assert(!into.empty());
    while (true) {
        co_await socket->turn();
        if (socket->closed()) co_return std::unexpected(no_readiness("read", Socket::Wake::Closed));
        ssize_t got = ::recv(socket->fd(), into.data(), into.size(), 0);
        if (got > 0) {
            auto octets = static_cast<std::size_t>(got);
            if (octets < into.size()) socket->note_exhausted(Socket::Side::Read);
            co_return octets;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR)) socket->note_ended();
        if (got == 0) co_return std::size_t{0};
        if (errno == EINTR) continue;
        if (errno != EAGAIN) co_return std::unexpected(net_error("read", errno));
        socket->note_exhausted(Socket::Side::Read);
        auto wake = co_await socket->wait(Socket::Side::Read, deadline);
        if (wake != Socket::Wake::Ready) co_return std::unexpected(no_readiness("read", wake));
    }
}

// How far a write has come.
struct Progress {
    std::span<const std::string_view> pieces;
    std::size_t skip = 0;  // octets of the first piece that are written

    void advance(std::size_t octets) {
        skip += octets;
        while (!pieces.empty() && skip >= pieces.front().size()) {
            skip -= pieces.front().size();
            pieces = pieces.subspan(1);
        }
    }
};

// One system call; as send(2) answers.
ssize_t send_some(const Socket& socket, const Progress& progress) {
    // Last words wait for the end of the connection, which spares a packet and waking the peer
    // twice.
    int flags = MSG_NOSIGNAL | (socket.farewell() ? MSG_MORE : 0);
    // Most replies are one piece; the system has less to look at then.
    if (progress.pieces.size() == 1) {
        std::string_view piece = progress.pieces.front().substr(progress.skip);
        return ::send(socket.fd(), piece.data(), piece.size(), flags);
    }
    std::array<iovec, kPiecesPerCall> vectors;
    std::size_t count = std::min(progress.pieces.size(), vectors.size());
    std::size_t skip = progress.skip;
    for (std::size_t i = 0; i < count; i++) {
        std::string_view piece = progress.pieces[i].substr(skip);
        vectors[i] = {const_cast<char*>(piece.data()), piece.size()};  // only read by the system
        skip = 0;
    }
    msghdr message{};
    message.msg_iov = vectors.data();
    message.msg_iovlen = count;
    return ::sendmsg(socket.fd(), &message, flags);
}

Task<Status<NetError>> write_to(SocketRef socket, std::span<const std::string_view> pieces,
                                Deadline deadline) {
    Progress progress{pieces};
    progress.advance(0);  // over empty pieces
    co_await socket->last_place();
    while (true) {
        co_await socket->turn();
        if (socket->closed() || socket->write_shut()) {
            co_return std::unexpected(no_readiness("write", Socket::Wake::Closed));
        }
        if (progress.pieces.empty()) co_return {};
        ssize_t sent = send_some(*socket, progress);
        if (sent >= 0) {
            socket->note_written();
            progress.advance(static_cast<std::size_t>(sent));
            continue;
        }
        if (errno == EINTR) continue;
        if (errno != EAGAIN) {
            socket->note_ended();
            co_return std::unexpected(net_error("write", errno));
        }
        socket->note_exhausted(Socket::Side::Write);
        auto wake = co_await socket->wait(Socket::Side::Write, deadline);
        if (wake != Socket::Wake::Ready) co_return std::unexpected(no_readiness("write", wake));
    }
}

}  // namespace

RealStream::RealStream(SocketRef socket, Endpoint peer, Endpoint local)
    : socket_(std::move(socket)), peer_(std::move(peer)), local_(std::move(local)) {}

RealStream::~RealStream() { socket_->close(); }

Task<Status<NetError>> RealStream::wait_readable(Deadline deadline) {
    return wait_readable_on(socket_, deadline);
}

Task<Result<std::size_t, NetError>> RealStream::read(std::span<char> into, Deadline deadline) {
    return read_from(socket_, into, deadline);
}

Task<Status<NetError>> RealStream::write(std::span<const std::string_view> pieces,
                                         Deadline deadline) {
    return write_to(socket_, pieces, deadline);
}

void RealStream::shut_write() { socket_->shut_write(); }
void RealStream::close() { socket_->close(); }

}  // namespace postrider::world::real
