// world/net.h: streams of octets to other programs, over TCP or a Unix socket.
//
// Promise
//   1. Octets arrive in order, whole or not at all; how they are cut into reads means nothing.
//   2. Every wait has a deadline; when it passes, the operation answers NetError::TimedOut and the
//      stream is still usable for the other direction and for close().
//   3. An idle stream holds no buffer: wait_readable() first, then read() into memory that was
//      borrowed for the moment.
//   4. Destroying a stream or listener closes it; close() wakes whoever waits in it with Closed.
//
// At most one read-side and one write-side operation at a time per stream.
// Threads: a stream belongs to the shard on which it was accepted or connected.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"

namespace postrider::world {

struct NetError {
    enum class Kind : uint8_t {
        TimedOut,      // the deadline of this operation passed
        Closed,        // closed by us, before or meanwhile
        Reset,         // the connection broke (reset, broken pipe)
        Refused,       // nobody listens there
        Unreachable,   // no route, network down
        AddressInUse,  // listen: somebody else does
        NotPermitted,  // listen: port needs a privilege; Unix socket: its mode
        TooManyOpen,   // our limit of descriptors
        Other,
    };
    Kind kind = Kind::Other;
    std::string message;  // what was tried and the system's words

    friend bool operator==(const NetError&, const NetError&) = default;
};

// An IPv4 or IPv6 address, network order; IPv4 in the first four octets. IPv4-mapped IPv6 addresses
// are turned into IPv4 before they get here.
struct IpAddress {
    enum class Family : uint8_t {
        V4,
        V6
    };
    Family family = Family::V4;
    std::array<uint8_t, 16> octets{};

    static std::optional<IpAddress> parse(std::string_view text);
    std::string text() const;  // RFC 5952 for IPv6
    // The RFC 5321 §4.1.3 address literal with brackets: [192.0.2.1], [IPv6:2001:db8::1].
    std::string literal() const;
    bool is_loopback() const;
    friend auto operator<=>(const IpAddress&, const IpAddress&) = default;
};

// "192.0.2.0/24", "2001:db8::/32", or a single address.
struct IpNetwork {
    IpAddress base;
    int prefix_bits = 0;

    static std::optional<IpNetwork> parse(std::string_view text);
    bool contains(const IpAddress& address) const;
    friend bool operator==(const IpNetwork&, const IpNetwork&) = default;
};

struct IpEndpoint {
    IpAddress address;
    uint16_t port = 0;

    std::string text() const;  // 192.0.2.1:25, [2001:db8::1]:25
    friend auto operator<=>(const IpEndpoint&, const IpEndpoint&) = default;
};

struct UnixEndpoint {
    std::string path;
    friend auto operator<=>(const UnixEndpoint&, const UnixEndpoint&) = default;
};

using Endpoint = std::variant<IpEndpoint, UnixEndpoint>;
std::string text(const Endpoint& endpoint);

class Stream {
public:
    virtual ~Stream() = default;

    virtual const Endpoint& peer() const = 0;
    virtual const Endpoint& local() const = 0;

    // Waits until read() would not wait: octets, the end, or an error are there.
    virtual Task<Status<NetError>> wait_readable(Deadline deadline) = 0;

    // Reads what is there, at least one octet, waiting for it if need be. 0 = the peer ended its
    // side. REQUIRES: into is not empty.
    virtual Task<Result<std::size_t, NetError>> read(std::span<char> into, Deadline deadline) = 0;

    // Writes all pieces, in order. `pieces` and what they view must outlive the task.
    virtual Task<Status<NetError>> write(std::span<const std::string_view> pieces,
                                         Deadline deadline) = 0;

    // Ends our side after what was written; reading goes on.
    virtual void shut_write() = 0;

    // Ends both sides. What was written before is still sent.
    virtual void close() = 0;

    // The peer has said that nothing more comes from it, and close() follows what is written next:
    // they may go out together, and nobody waits for the peer's end then.
    virtual void note_farewell() {}
};

class Listener {
public:
    virtual ~Listener() = default;

    virtual const Endpoint& local() const = 0;

    // The next connection, on the calling shard. Waits without a deadline; close() ends it with
    // Closed. TooManyOpen is passing: the caller waits a little and asks again.
    virtual Task<Result<std::unique_ptr<Stream>, NetError>> accept() = 0;

    virtual void close() = 0;
};

struct ListenOptions {
    int backlog = 1024;         // connections the system keeps for us
    uint32_t unix_mode = 0600;  // of a Unix socket's file
};

class Net {
public:
    virtual ~Net() = default;

    // Listens at `endpoint`; port 0 takes a free one (see Listener::local). A Unix socket's file
    // left by a dead process is replaced. One listener may be shared by several shards: each calls
    // share() and accepts for itself. Shard 0 is among them: the others get connections only when
    // the shards before them have no time.
    virtual Result<std::unique_ptr<Listener>, NetError> listen(const Endpoint& endpoint,
                                                               ListenOptions options) = 0;

    // A second handle to the same listening socket, for the calling shard.
    virtual Result<std::unique_ptr<Listener>, NetError> share(const Listener& listener) = 0;

    // The addresses of this machine, at which a listener on all addresses is reached. Empty when
    // the system does not say.
    virtual std::vector<IpAddress> own_addresses() = 0;

    // Connects; `source` is the local address to use, if any.
    virtual Task<Result<std::unique_ptr<Stream>, NetError>> connect(Endpoint endpoint,
                                                                    std::optional<IpAddress> source,
                                                                    Deadline deadline) = 0;
};

}  // namespace postrider::world
