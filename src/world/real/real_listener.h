// world/real/real_listener.h: a listening socket, opened, shared or handed to us.
//
// Threads: made anywhere; accept() and close() on one shard, the first that calls accept().

#pragma once

#include <memory>

#include "world/net.h"
#include "world/real/socket.h"

namespace postrider::world::real {

// The file of a Unix socket; removed with the last listener that uses it, if it is still the same.
class UnixName;

class RealListener : public Listener {
public:
    using Made = Result<std::unique_ptr<Listener>, NetError>;

    static Made listen(const Endpoint& endpoint, ListenOptions options);
    static Made adopt(Fd fd);
    Made share() const;

    RealListener(Fd fd, std::shared_ptr<UnixName> name);
    ~RealListener() override { close(); }

    const Endpoint& local() const override { return local_; }
    Task<Result<std::unique_ptr<Stream>, NetError>> accept() override;
    void close() override;

private:
    SocketRef attach(Loop& loop);
    int fd() const { return socket_ ? socket_->fd() : fd_.get(); }

    Fd fd_;             // until the first accept
    SocketRef socket_;  // from then on
    bool closed_ = false;
    std::shared_ptr<UnixName> name_;
    Endpoint local_;
};

}  // namespace postrider::world::real
