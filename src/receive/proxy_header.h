// receive/proxy_header.h: the PROXY protocol: a proxy says in front of everything who its client
// is.
//
// A proxy that passes octets on (a load balancer) has the only connection to us. What it says in
// its header, limits, rules and trace fields must believe; so it is read from listed proxies only,
// must be there, and must be right to the last octet: who is not sure who the client is does not
// talk.
//
// The reader says how many octets it wants next and never wants one that is not the header's, so
// that what follows is still in the connection.
//
// Versions 1 (a line of text, at most 107 octets) and 2 (binary, here at most kV2OctetsMax). What
// is no TCP over IPv4 or IPv6 (UNKNOWN, LOCAL, AF_UNSPEC) is the proxy itself: it looks whether we
// live, or cannot tell; the caller keeps the connection's own address. Datagrams and Unix sockets
// are refused. Fields behind the addresses are skipped; a checksum among them must be right.
//
// Pure; threads: any.
// The PROXY protocol, versions 1 and 2 (HAProxy Technologies, 2020), §2.

#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "world/net.h"

namespace postrider::receive {

class ProxyHeaderReader {
public:
    static constexpr std::size_t kV1OctetsMax = 107;
    static constexpr std::size_t kV2OctetsMax = 4096;

    enum class State : uint8_t {
        More,     // wants() octets more
        Itself,   // the connection's own addresses count
        Client,   // client() is behind it
        NoHeader  // what came is none: error() says why
    };
    State state() const { return state_; }
    // REQUIRES: state() is More. At least 1.
    std::size_t wants() const;
    // REQUIRES: state() is More; at most wants() octets.
    void feed(std::string_view octets);

    const world::IpEndpoint& client() const { return client_; }
    std::string_view error() const { return error_; }

private:
    void look();
    void read_v1();
    void read_v2();
    bool read_fields(std::string_view fields);
    void fail(std::string_view why);

    std::string octets_;
    State state_ = State::More;
    world::IpEndpoint client_;
    std::string_view error_;
};

}  // namespace postrider::receive
