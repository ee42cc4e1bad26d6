// world/real/real_net.h: TCP and Unix sockets of the system.
//
// TCP has no delay (TCP_NODELAY): a reply is written in one call, so nothing is gained by waiting.
// Listening sockets take their address again at once after a restart (SO_REUSEADDR); those of IPv6
// take IPv6 only, so that each family is a line of the configuration.
//
// A Unix socket: its file is made with the asked mode before anybody can connect (the mode is set
// between bind and listen), a file whose listener is dead is replaced, one whose listener answers
// is AddressInUse, and the last handle to the listener removes the file.
//
// A listener belongs to the shard that first calls accept(); it may be made before any shard runs.
// share() reads the other listener's descriptor: that one must not be closed meanwhile.
//
// Threads: listen, share and adopt_listener from anywhere; connect from a shard.

#pragma once

#include "world/net.h"

namespace postrider::world::real {

class RealNet : public Net {
public:
    Result<std::unique_ptr<Listener>, NetError> listen(const Endpoint& endpoint,
                                                       ListenOptions options) override;
    Result<std::unique_ptr<Listener>, NetError> share(const Listener& listener) override;
    std::vector<IpAddress> own_addresses() override;
    Task<Result<std::unique_ptr<Stream>, NetError>> connect(Endpoint endpoint,
                                                            std::optional<IpAddress> source,
                                                            Deadline deadline) override;

    // A listener over a listening socket that was handed to this process (socket activation), which
    // it then owns. Fails if `fd` is no listening stream socket. A Unix socket's file is left
    // there.
    Result<std::unique_ptr<Listener>, NetError> adopt_listener(int fd);
};

}  // namespace postrider::world::real
