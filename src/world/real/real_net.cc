#include "world/real/real_net.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cstring>

#include "world/real/real_listener.h"
#include "world/real/real_stream.h"
#include "world/real/socket_address.h"

namespace postrider::world::real {

namespace {

// How long a Unix socket whose queue is full is left alone: the system does not tell when to try.
constexpr Duration kUnixRetry = std::chrono::milliseconds(10);

bool set_option(int fd, int level, int name) {
    int on = 1;
    return ::setsockopt(fd, level, name, &on, sizeof on) == 0;
}

// A socket bound to `source`, if any.
Result<Fd, NetError> socket_for(const SocketAddress& address,
                                const std::optional<IpAddress>& source, std::string_view what) {
    Fd fd(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
    if (!fd) return std::unexpected(net_error(what, errno));
    if (address.family() == AF_UNIX) return fd;
    set_option(fd.get(), IPPROTO_TCP, TCP_NODELAY);
    if (!source) return fd;
    // The port is chosen at connect(), when the whole pair of addresses is known to be free.
    set_option(fd.get(), IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
    auto from = socket_address(IpEndpoint{*source, 0});
    if (::bind(fd.get(), from->get(), from->size) != 0) {
        return std::unexpected(net_error(fmt::format("{} from {}", what, source->text()), errno));
    }
    return fd;
}

// Starts to connect; 0, or EINPROGRESS when the end is to be waited for, or what went wrong.
int start_connect(int fd, const SocketAddress& address) {
    if (::connect(fd, address.get(), address.size) == 0) return 0;
    return errno == EINTR ? EINPROGRESS : errno;  // interrupted, it goes on by itself
}

int connect_outcome(int fd) {
    int error = 0;
    socklen_t size = sizeof error;
    return ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 ? error : errno;
}

NetError connect_error(std::string_view what, int error) {
    NetError out = net_error(what, error);
    // The system's own patience ended: no answer at all.
    if (error == ETIMEDOUT) out.kind = NetError::Kind::Unreachable;
    return out;
}

NetError connect_timed_out(std::string_view what) {
    return {NetError::Kind::TimedOut, fmt::format("{}: the deadline passed", what)};
}

struct RetryPause : TimerHeap::Node {
    Loop& loop;
    Monotonic until;
    std::coroutine_handle<> waiting;

    RetryPause(Loop& on, Monotonic moment) : loop(on), until(moment) {}
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> handle) {
        waiting = handle;
        loop.schedule(*this, until);
    }
    void await_resume() const {}
    void fire() override { waiting.resume(); }
};

}  // namespace

Result<std::unique_ptr<Listener>, NetError> RealNet::listen(const Endpoint& endpoint,
                                                            ListenOptions options) {
    return RealListener::listen(endpoint, options);
}

Result<std::unique_ptr<Listener>, NetError> RealNet::share(const Listener& listener) {
    return static_cast<const RealListener&>(listener).share();
}

Result<std::unique_ptr<Listener>, NetError> RealNet::adopt_listener(int fd) {
    return RealListener::adopt(Fd(fd));
}

std::vector<IpAddress> RealNet::own_addresses() {
    std::vector<IpAddress> addresses;
    ifaddrs* list = nullptr;
    if (::getifaddrs(&list) != 0) return addresses;
    for (const ifaddrs* one = list; one; one = one->ifa_next) {
        if (!one->ifa_addr) continue;
        int family = one->ifa_addr->sa_family;
        if (family != AF_INET && family != AF_INET6) continue;
        SocketAddress address;
        address.size = family == AF_INET ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
        std::memcpy(&address.storage, one->ifa_addr, address.size);
        addresses.push_back(std::get<IpEndpoint>(endpoint_of(address)).address);
    }
    ::freeifaddrs(list);
    return addresses;
}

Task<Result<std::unique_ptr<Stream>, NetError>> RealNet::connect(Endpoint endpoint,
                                                                 std::optional<IpAddress> source,
                                                                 Deadline deadline) {
    Loop* loop = loop_here();
    assert(loop);
    std::string what = fmt::format("connect to {}", text(endpoint));
    auto address = socket_address(endpoint);
    if (!address) co_return std::unexpected(address.error());
    auto fd = socket_for(*address, source, what);
    if (!fd) co_return std::unexpected(fd.error());
    SocketRef socket(new Socket(*loop, std::move(*fd)));
    while (true) {
        int error = start_connect(socket->fd(), *address);
        if (error == EAGAIN && address->family() == AF_UNIX) {
            Monotonic next = monotonic_now() + kUnixRetry;
            if (deadline.reached(next)) co_return std::unexpected(connect_timed_out(what));
            RetryPause pause(*loop, next);
            co_await pause;
            continue;
        }
        if (error == EINPROGRESS) {
            socket->note_exhausted(Socket::Side::Write);
            auto wake = co_await socket->wait(Socket::Side::Write, deadline);
            if (wake != Socket::Wake::Ready) co_return std::unexpected(connect_timed_out(what));
            error = connect_outcome(socket->fd());
        }
        if (error != 0) co_return std::unexpected(connect_error(what, error));
        Endpoint local = local_endpoint(socket->fd());
        co_return std::make_unique<RealStream>(std::move(socket), std::move(endpoint),
                                               std::move(local));
    }
}

}  // namespace postrider::world::real
