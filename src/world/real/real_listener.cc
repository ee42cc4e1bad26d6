#include "world/real/real_listener.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>

#include "world/real/real_stream.h"
#include "world/real/socket_address.h"

namespace postrider::world::real {

class UnixName {
public:
    explicit UnixName(std::string path) : path_(std::move(path)) {
        struct stat info{};
        if (::lstat(path_.c_str(), &info) == 0) {
            device_ = info.st_dev;
            inode_ = info.st_ino;
        }
    }
    UnixName(const UnixName&) = delete;
    UnixName& operator=(const UnixName&) = delete;
    ~UnixName() {
        struct stat info{};
        if (::lstat(path_.c_str(), &info) == 0 && info.st_dev == device_ && info.st_ino == inode_) {
            ::unlink(path_.c_str());
        }
    }

private:
    std::string path_;
    dev_t device_ = 0;
    ino_t inode_ = 0;
};

namespace {

bool set_option(int fd, int level, int name) {
    int on = 1;
    return ::setsockopt(fd, level, name, &on, sizeof on) == 0;
}

int int_option(int fd, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return ::getsockopt(fd, SOL_SOCKET, name, &value, &size) == 0 ? value : -1;
}

// Errors of accept(2) that belong to one connection, which is gone, and not to the listener.
bool concerns_one_connection(int error) {
    constexpr std::array kErrors = {EINTR,     ECONNABORTED, ENETDOWN,     EPROTO,     ENOPROTOOPT,
                                    EHOSTDOWN, ENONET,       EHOSTUNREACH, EOPNOTSUPP, ENETUNREACH};
    return std::find(kErrors.begin(), kErrors.end(), error) != kErrors.end();
}

// Makes room for a Unix socket: removes the file of one where nobody listens any more.
Status<NetError> clear_unix_path(const std::string& path, const SocketAddress& address,
                                 std::string_view what) {
    struct stat info{};
    if (::lstat(path.c_str(), &info) != 0) return {};
    if (!S_ISSOCK(info.st_mode)) return std::unexpected(net_error(what, EADDRINUSE));
    Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!probe) return std::unexpected(net_error(what, errno));
    if (::connect(probe.get(), address.get(), address.size) == 0 || errno != ECONNREFUSED) {
        return std::unexpected(net_error(what, EADDRINUSE));
    }
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
        return std::unexpected(net_error(what, errno));
    }
    return {};
}

Result<Fd, NetError> bound_socket(const Endpoint& endpoint, const SocketAddress& address,
                                  std::string_view what) {
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return std::unexpected(net_error(what, errno));
    if (const auto* path = std::get_if<UnixEndpoint>(&endpoint)) {
        if (auto clear = clear_unix_path(path->path, address, what); !clear) {
            return std::unexpected(clear.error());
        }
    } else {
        set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR);
    }
    if (address.family() == AF_INET6) set_option(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY);
    if (::bind(fd.get(), address.get(), address.size) != 0) {
        return std::unexpected(net_error(what, errno));
    }
    return fd;
}

bool is_wildcard(const Endpoint& endpoint) {
    const auto* ip = std::get_if<IpEndpoint>(&endpoint);
    return ip && ip->address.octets == IpAddress().octets;
}

// What one call of accept gave.
struct Accepted {
    Fd fd;
    Endpoint peer;
    int error = 0;
};

Accepted accept_one(int listener) {
    Accepted out;
    SocketAddress address;
    address.size = sizeof address.storage;
    out.fd = Fd(::accept4(listener, address.get(), &address.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!out.fd) {
        out.error = errno;
        return out;
    }
    out.peer = endpoint_of(address);
    return out;
}

NetError closed_error() { return {NetError::Kind::Closed, "accept: the listener was closed"}; }

}  // namespace

RealListener::Made RealListener::listen(const Endpoint& endpoint, ListenOptions options) {
    std::string what = fmt::format("listen at {}", text(endpoint));
    auto address = socket_address(endpoint);
    if (!address) return std::unexpected(address.error());
    auto fd = bound_socket(endpoint, *address, what);
    if (!fd) return std::unexpected(fd.error());
    std::shared_ptr<UnixName> name;
    if (const auto* path = std::get_if<UnixEndpoint>(&endpoint)) {
        name = std::make_shared<UnixName>(path->path);
        // Nobody can connect before listen(), so the mode of bind() was never in force.
        if (::chmod(path->path.c_str(), options.unix_mode) != 0) {
            return std::unexpected(net_error(what, errno));
        }
    }
    if (::listen(fd->get(), options.backlog) != 0) return std::unexpected(net_error(what, errno));
    return std::make_unique<RealListener>(std::move(*fd), std::move(name));
}

RealListener::Made RealListener::adopt(Fd fd) {
    std::string what = fmt::format("take over listening socket {}", fd.get());
    if (int_option(fd.get(), SO_ACCEPTCONN) != 1 || int_option(fd.get(), SO_TYPE) != SOCK_STREAM) {
        return std::unexpected(
            NetError{NetError::Kind::Other, what + ": it is not a listening stream socket"});
    }
    if (::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) != 0 ||
        ::fcntl(fd.get(), F_SETFL, ::fcntl(fd.get(), F_GETFL) | O_NONBLOCK) != 0) {
        return std::unexpected(net_error(what, errno));
    }
    return std::make_unique<RealListener>(std::move(fd), nullptr);
}

RealListener::Made RealListener::share() const {
    Fd copy(::fcntl(fd(), F_DUPFD_CLOEXEC, 0));
    if (!copy) return std::unexpected(net_error(fmt::format("share {}", text(local_)), errno));
    return std::make_unique<RealListener>(std::move(copy), name_);
}

RealListener::RealListener(Fd fd, std::shared_ptr<UnixName> name)
    : fd_(std::move(fd)), name_(std::move(name)), local_(local_endpoint(fd_.get())) {
    // Each connection inherits it: one system call less for each.
    if (std::holds_alternative<IpEndpoint>(local_)) {
        set_option(fd_.get(), IPPROTO_TCP, TCP_NODELAY);
    }
}

SocketRef RealListener::attach(Loop& loop) {
    if (!socket_) {
        socket_ = new Socket(loop, std::move(fd_), Socket::Kind::Door);
        if (closed_) socket_->close();
    }
    return socket_;
}

Task<Result<std::unique_ptr<Stream>, NetError>> RealListener::accept() {
    Loop* loop = loop_here();
    assert(loop);
    SocketRef listener = attach(*loop);
    Endpoint local = local_;
    // From here on without `this`: the listener may be destroyed while we wait.
    while (true) {
        co_await listener->turn();
        if (listener->closed()) co_return std::unexpected(closed_error());
        Accepted got = accept_one(listener->fd());
        if (got.fd) {
            if (is_wildcard(local)) local = local_endpoint(got.fd.get());
            SocketRef socket(new Socket(*loop, std::move(got.fd), Socket::Kind::Client));
            co_return std::make_unique<RealStream>(std::move(socket), std::move(got.peer),
                                                   std::move(local));
        }
        if (concerns_one_connection(got.error)) continue;
        if (got.error != EAGAIN) co_return std::unexpected(net_error("accept", got.error));
        listener->note_exhausted(Socket::Side::Read);
        auto wake = co_await listener->wait(Socket::Side::Read, Deadline::never());
        if (wake != Socket::Wake::Ready) co_return std::unexpected(closed_error());
    }
}

void RealListener::close() {
    if (closed_) return;
    closed_ = true;
    name_.reset();  // first, while the number of its inode is surely ours
    fd_.reset();
    if (socket_) socket_->close();
}

}  // namespace postrider::world::real
