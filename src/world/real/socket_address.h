// world/real/socket_address.h: endpoints as the system has them, and its errors as ours.
//
// Threads: values and pure functions, no rule.

#pragma once

#include <sys/socket.h>

#include <expected>
#include <string_view>

#include "world/net.h"

namespace postrider::world::real {

struct SocketAddress {
    sockaddr_storage storage{};
    socklen_t size = 0;

    const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
    sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
    int family() const { return storage.ss_family; }
};

// Fails for a Unix path that is empty or does not fit into a socket address (107 octets).
Result<SocketAddress, NetError> socket_address(const Endpoint& endpoint);

// An address of an unknown family becomes a Unix endpoint without a path.
Endpoint endpoint_of(const SocketAddress& address);

Endpoint local_endpoint(int fd);

// "what: the system's words", with the kind that belongs to `error` (an errno).
NetError net_error(std::string_view what, int error);

}  // namespace postrider::world::real
