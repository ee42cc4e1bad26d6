#include "bench/load.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <ctime>

namespace postrider::bench {

namespace {

constexpr int kBacklog = 4096;

volatile std::sig_atomic_t stopped = 0;

void no_delay(int fd) {
    int on = 1;
    // A Unix test double has no such option; it is only speed.
    (void)::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

void give_up(std::string_view what) {
    fmt::print(stderr, "{}\n", what);
    std::exit(2);
}

sockaddr_in parse_address(std::string_view text) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    std::size_t colon = text.rfind(':');
    std::string host(text.substr(0, colon));
    uint16_t port = 0;
    bool good = colon != std::string_view::npos &&
                ::inet_pton(AF_INET, host.c_str(), &address.sin_addr) == 1;
    if (good) {
        auto end = text.data() + text.size();
        auto [at, error] = std::from_chars(text.data() + colon + 1, end, port);
        good = error == std::errc() && at == end;
    }
    if (!good) give_up(fmt::format("{}: not of the form 127.0.0.1:2525", text));
    address.sin_port = htons(port);
    return address;
}

std::string text_of(const sockaddr_in& address) {
    char host[INET_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET, &address.sin_addr, host, sizeof host);
    return fmt::format("{}:{}", host, ntohs(address.sin_port));
}

int listen_at(sockaddr_in& address) {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;
    socklen_t length = sizeof address;
    auto* plain = reinterpret_cast<sockaddr*>(&address);
    if (fd < 0 || ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        ::bind(fd, plain, length) != 0 || ::listen(fd, kBacklog) != 0 ||
        ::getsockname(fd, plain, &length) != 0) {
        give_up(fmt::format("cannot listen at {}: {}", text_of(address), std::strerror(errno)));
    }
    return fd;
}

int accept_one(int listener) {
    int fd = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) no_delay(fd);
    return fd;
}

int connect_to(const sockaddr_in& address) {
    int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) give_up(fmt::format("cannot make a socket: {}", std::strerror(errno)));
    no_delay(fd);
    if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 &&
        errno != EINPROGRESS) {
        give_up(fmt::format("cannot connect to {}: {}", text_of(address), std::strerror(errno)));
    }
    return fd;
}

double seconds_now() {
    timespec now{};
    ::clock_gettime(CLOCK_MONOTONIC, &now);
    return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

double cpu_seconds() {
    timespec used{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return static_cast<double>(used.tv_sec) + static_cast<double>(used.tv_nsec) * 1e-9;
}

void catch_stop() {
    struct sigaction action{};
    action.sa_handler = [](int) { stopped = 1; };
    ::sigaction(SIGTERM, &action, nullptr);
    ::sigaction(SIGINT, &action, nullptr);
}

bool stop_wanted() { return stopped != 0; }

Watch::Watch() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
    if (fd_ < 0) give_up(fmt::format("cannot wait for sockets: {}", std::strerror(errno)));
}

void Watch::add(int fd, void* what, uint32_t events) const {
    epoll_event event{};
    event.events = events;
    event.data.ptr = what;
    if (::epoll_ctl(fd_, EPOLL_CTL_ADD, fd, &event) != 0) {
        give_up(fmt::format("cannot watch a socket: {}", std::strerror(errno)));
    }
}

std::span<const epoll_event> Watch::wait(int milliseconds) {
    int count = ::epoll_wait(fd_, events_.data(), static_cast<int>(events_.size()), milliseconds);
    return std::span(events_).first(static_cast<std::size_t>(std::max(count, 0)));
}

bool Outgoing::flush(int fd) {
    while (!left_.empty()) {
        ssize_t sent = ::send(fd, left_.data(), left_.size(), MSG_NOSIGNAL);
        if (sent > 0) {
            left_.remove_prefix(static_cast<std::size_t>(sent));
        } else if (errno == EAGAIN) {
            return true;
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

double at_share(std::vector<float>& values, double share) {
    if (values.empty()) return 0;
    auto place = static_cast<std::ptrdiff_t>(share * static_cast<double>(values.size() - 1));
    std::nth_element(values.begin(), values.begin() + place, values.end());
    return static_cast<double>(values[static_cast<std::size_t>(place)]);
}

}  // namespace postrider::bench
