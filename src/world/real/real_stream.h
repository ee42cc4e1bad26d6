// world/real/real_stream.h: a connected socket as a Stream.
//
// Threads: the shard of its socket.

#pragma once

#include "world/net.h"
#include "world/real/socket.h"

namespace postrider::world::real {

class RealStream : public Stream {
public:
    // REQUIRES: socket is connected.
    RealStream(SocketRef socket, Endpoint peer, Endpoint local);
    ~RealStream() override;

    const Endpoint& peer() const override { return peer_; }
    const Endpoint& local() const override { return local_; }
    Task<Status<NetError>> wait_readable(Deadline deadline) override;
    Task<Result<std::size_t, NetError>> read(std::span<char> into, Deadline deadline) override;
    Task<Status<NetError>> write(std::span<const std::string_view> pieces,
                                 Deadline deadline) override;
    void shut_write() override;
    void close() override;
    void note_farewell() override { socket_->note_farewell(); }

private:
    SocketRef socket_;
    Endpoint peer_;
    Endpoint local_;
};

}  // namespace postrider::world::real
