#include "bench/load.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
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
    // libssl writes to connections that the other side has ended.
    std::signal(SIGPIPE, SIG_IGN);
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

SSL_CTX* tls_for_clients() {
    SSL_CTX* context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    return context;
}

SSL_CTX* tls_for_servers(const std::string& chain_file, const std::string& key_file) {
    SSL_CTX* context = SSL_CTX_new(TLS_server_method());
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    if (SSL_CTX_use_certificate_chain_file(context, chain_file.c_str()) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
        give_up(fmt::format("cannot use {} with {}", chain_file, key_file));
    }
    return context;
}

void Channel::begin_tls(SSL_CTX* context, bool as_server) {
    tls_ = SSL_new(context);
    SSL_set_fd(tls_, fd_);
    as_server ? SSL_set_accept_state(tls_) : SSL_set_connect_state(tls_);
}

void Channel::close() {
    if (tls_ != nullptr) {
        if (SSL_is_init_finished(tls_) == 1) SSL_shutdown(tls_);
        SSL_free(tls_);
        tls_ = nullptr;
    }
    ::close(fd_);
    fd_ = -1;
}

ssize_t Channel::receive(std::span<char> into) {
    if (tls_ == nullptr) return ::recv(fd_, into.data(), into.size(), 0);
    return tls_result(SSL_read(tls_, into.data(), static_cast<int>(into.size())));
}

ssize_t Channel::send(std::string_view octets) {
    if (tls_ == nullptr) return ::send(fd_, octets.data(), octets.size(), MSG_NOSIGNAL);
    auto size = static_cast<int>(std::min<std::size_t>(octets.size(), 1 << 20));
    return tls_result(SSL_write(tls_, octets.data(), size));
}

ssize_t Channel::tls_result(int result) {
    if (result > 0) return result;
    int error = SSL_get_error(tls_, result);
    ERR_clear_error();
    if (error == SSL_ERROR_ZERO_RETURN) return 0;
    bool later = error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
    errno = later ? EAGAIN : ECONNRESET;
    return -1;
}

bool Outgoing::flush(Channel& channel) {
    while (!left_.empty()) {
        ssize_t sent = channel.send(left_);
        if (sent > 0) {
            left_.remove_prefix(static_cast<std::size_t>(sent));
        } else if (sent == 0) {
            return false;  // the other side has ended TLS
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
