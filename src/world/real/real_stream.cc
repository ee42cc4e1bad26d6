#include "world/real/real_stream.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <cassert>
#include <cerrno>

#include "world/real/socket_address.h"

namespace postrider::world::real {

namespace {

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
        ssize_t got = co_await socket->receive(into);
        if (got > 0) {
            auto octets = static_cast<std::size_t>(got);
            if (octets < into.size()) socket->note_exhausted(Socket::Side::Read);
            co_return octets;
        }
        if (socket->closed() || got == -EINTR) continue;
        if (got != -EAGAIN) socket->note_ended();
        if (got == 0) co_return std::size_t{0};
        if (got != -EAGAIN) co_return std::unexpected(net_error("read", static_cast<int>(-got)));
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

Task<Status<NetError>> write_to(SocketRef socket, std::span<const std::string_view> pieces,
                                Deadline deadline) {
    Progress progress{pieces};
    progress.advance(0);  // over empty pieces
    while (true) {
        co_await socket->turn();
        if (socket->closed() || socket->write_shut()) {
            co_return std::unexpected(no_readiness("write", Socket::Wake::Closed));
        }
        if (progress.pieces.empty()) co_return {};
        ssize_t sent = co_await socket->send(progress.pieces, progress.skip);
        if (sent >= 0) {
            socket->note_written();
            progress.advance(static_cast<std::size_t>(sent));
            continue;
        }
        if (sent == -EINTR || sent == -ECANCELED) continue;
        if (sent != -EAGAIN) {
            socket->note_ended();
            co_return std::unexpected(net_error("write", static_cast<int>(-sent)));
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
