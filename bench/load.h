// bench/load.h: what the load generator and the sink share: sockets, readiness, costs.
//
// The problem: a load generator that costs as much as the server hides what the server costs. So
// these two programs speak to the system directly: one thread, one epoll set in edge-triggered form
// (one epoll_ctl for each connection), octets prepared before the first connection, no allocation
// while a connection lives. They share nothing with the server's own code, so that a mistake of the
// server is not repeated by what measures it.
//
// Failures: what cannot be set up ends the program with one line on standard error.
//
// Threads: one.

#pragma once

#include <netinet/in.h>
#include <openssl/ssl.h>
#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::bench {

// Says why on standard error and ends the program with 2.
[[noreturn]] void give_up(std::string_view what);

// 127.0.0.1:2525; numbers only, since a benchmark must not wait for the DNS.
sockaddr_in parse_address(std::string_view text);
std::string text_of(const sockaddr_in& address);

// Non-blocking, without Nagle's delay.
int listen_at(sockaddr_in& address);  // says in `address` which port it got
int accept_one(int listener);         // -1: nobody waits
int connect_to(const sockaddr_in& address);

// Seconds on the monotonic clock, the same in all processes; and of CPU, user and system.
double seconds_now();
double cpu_seconds();

// Makes SIGTERM and SIGINT end the program's loop.
void catch_stop();
bool stop_wanted();

// Readiness of many descriptors; each carries a pointer.
class Watch {
public:
    Watch();
    void add(int fd, void* what, uint32_t events) const;
    // Waits for at most `milliseconds`.
    std::span<const epoll_event> wait(int milliseconds);

private:
    int fd_;
    std::array<epoll_event, 256> events_;
};

// TLS 1.3 as libssl does it, with nothing of ours: for clients, who believe any certificate, and
// for servers, whose certificate and key are PEM files. Lives as long as the program.
SSL_CTX* tls_for_clients();
SSL_CTX* tls_for_servers(const std::string& chain_file, const std::string& key_file);

// One TCP connection, later perhaps under TLS.
class Channel {
public:
    int fd() const { return fd_; }  // -1: closed
    bool under_tls() const { return tls_ != nullptr; }
    void open(int fd) { fd_ = fd; }
    // The handshake runs with the next octets in either direction.
    void begin_tls(SSL_CTX* context, bool as_server);
    void close();

    // As recv() and send(): octets, 0 at the end, or -1 with errno; EAGAIN means later. A read
    // under TLS may leave octets that no event will tell of: read until EAGAIN.
    ssize_t receive(std::span<char> into);
    ssize_t send(std::string_view octets);

private:
    ssize_t tls_result(int result);

    int fd_ = -1;
    SSL* tls_ = nullptr;
};

// Octets on their way out; what the socket does not take now waits for readiness.
class Outgoing {
public:
    void set(std::string_view octets) { left_ = octets; }
    bool empty() const { return left_.empty(); }
    // False when the connection is lost.
    bool flush(Channel& channel);

private:
    std::string_view left_;
};

// The value at `share` (0.5 is the median) of values in any order; 0 of none.
double at_share(std::vector<float>& values, double share);

}  // namespace postrider::bench
