#include "world/real/socket_address.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>

#include "world/real/system_words.h"

namespace postrider::world::real {

namespace {

SocketAddress from_ip(const IpEndpoint& endpoint) {
    SocketAddress out;
    if (endpoint.address.family == IpAddress::Family::V4) {
        sockaddr_in v4{};
        v4.sin_family = AF_INET;
        v4.sin_port = htons(endpoint.port);
        std::memcpy(&v4.sin_addr, endpoint.address.octets.data(), 4);
        std::memcpy(&out.storage, &v4, sizeof v4);
        out.size = sizeof v4;
    } else {
        sockaddr_in6 v6{};
        v6.sin6_family = AF_INET6;
        v6.sin6_port = htons(endpoint.port);
        std::memcpy(&v6.sin6_addr, endpoint.address.octets.data(), 16);
        std::memcpy(&out.storage, &v6, sizeof v6);
        out.size = sizeof v6;
    }
    return out;
}

Endpoint from_v6(const sockaddr_in6& v6) {
    IpEndpoint out;
    out.port = ntohs(v6.sin6_port);
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        std::memcpy(out.address.octets.data(), v6.sin6_addr.s6_addr + 12, 4);
    } else {
        out.address.family = IpAddress::Family::V6;
        std::memcpy(out.address.octets.data(), &v6.sin6_addr, 16);
    }
    return out;
}

NetError::Kind kind_of(int error) {
    using enum NetError::Kind;
    switch (error) {
        case ECONNRESET:
        case EPIPE:
        case ENOTCONN:
        case ETIMEDOUT:
            return Reset;  // the system gave up: nobody acknowledges
        case ECONNREFUSED:
        case ENOENT:
            return Refused;  // a Unix socket that is not there
        case EHOSTUNREACH:
        case ENETUNREACH:
        case ENETDOWN:
        case EHOSTDOWN:
        case EAFNOSUPPORT:
            return Unreachable;
        case EADDRINUSE:
            return AddressInUse;
        case EACCES:
        case EPERM:
            return NotPermitted;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return TooManyOpen;
        default:
            return Other;
    }
}

}  // namespace

Result<SocketAddress, NetError> socket_address(const Endpoint& endpoint) {
    if (const auto* ip = std::get_if<IpEndpoint>(&endpoint)) return from_ip(*ip);
    const std::string& path = std::get<UnixEndpoint>(endpoint).path;
    sockaddr_un un{};
    un.sun_family = AF_UNIX;
    if (path.empty() || path.size() >= sizeof un.sun_path || path.find('\0') != std::string::npos) {
        return std::unexpected(NetError{
            NetError::Kind::Other, fmt::format("{}: the path of a Unix socket has 1 to {} octets",
                                               text(endpoint), sizeof un.sun_path - 1)});
    }
    std::copy(path.begin(), path.end(), un.sun_path);
    SocketAddress out;
    std::memcpy(&out.storage, &un, sizeof un);
    out.size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + path.size() + 1);
    return out;
}

Endpoint endpoint_of(const SocketAddress& address) {
    if (address.family() == AF_INET) {
        sockaddr_in v4;
        std::memcpy(&v4, &address.storage, sizeof v4);
        IpEndpoint out;
        out.port = ntohs(v4.sin_port);
        std::memcpy(out.address.octets.data(), &v4.sin_addr, 4);
        return out;
    }
    if (address.family() == AF_INET6) {
        sockaddr_in6 v6;
        std::memcpy(&v6, &address.storage, sizeof v6);
        return from_v6(v6);
    }
    sockaddr_un un{};
    std::memcpy(&un, &address.storage, std::min<std::size_t>(sizeof un, address.size));
    return UnixEndpoint{std::string(un.sun_path, ::strnlen(un.sun_path, sizeof un.sun_path))};
}

Endpoint local_endpoint(int fd) {
    SocketAddress address;
    address.size = sizeof address.storage;
    if (::getsockname(fd, address.get(), &address.size) != 0) return UnixEndpoint{};
    return endpoint_of(address);
}

NetError net_error(std::string_view what, int error) {
    return {kind_of(error), fmt::format("{}: {}", what, system_words(error))};
}

}  // namespace postrider::world::real
