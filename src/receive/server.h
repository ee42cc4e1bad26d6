// receive/server.h: listeners, and a session for each client that comes.
//
// Each listener is shared by all shards; a client is accepted by one of them and stays there.
// A connection of a listed proxy begins with a PROXY header; without a right one it is closed
// (proxy_header.h). Its client is then who the header says: in limits, logs and all that follows.
//
// Past the limits of connections, or of their rate, a client hears 421 4.7.0 and is let go; so does
// one that tried too many recipients not long ago (client_history.h).
//
// Stopping: begin_drain() closes the listeners, lets idle sessions go with 421 4.3.2 and the others
// finish their transaction; drained() waits for that, and cuts the rest when its deadline passes.
//
// Threads: start, replace, begin_drain and drained from shard 0.

#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "receive/connection_table.h"
#include "receive/session.h"
#include "receive/visit.h"
#include "world/world.h"

namespace postrider::receive {

class Server {
public:
    // REQUIRES: world and host outlive the server. `id_floor`: see base/id.h.
    Server(world::World& world, Host& host, std::string name, MessageId id_floor);
    ~Server();

    // Takes the listening socket and accepts on every shard.
    Status<world::NetError> start(std::unique_ptr<world::Listener> listener,
                                  std::shared_ptr<const SessionSettings> settings);

    // For clients that come from now on.
    void replace(std::shared_ptr<const SessionSettings> settings);

    void begin_drain();

    // Returns when no session is left. REQUIRES: begin_drain() was called.
    Task<void> drained(Deadline deadline);

    std::size_t session_count() const { return connections_.count(); }
    const world::Endpoint& local() const { return local_; }

private:
    struct Shard;

    Task<void> accept_loop(Shard& shard);
    Task<void> serve(Shard& shard, std::unique_ptr<world::Stream> stream,
                     ConnectionTable::Place place);
    // Its frame is not to be part of serve()'s, which lives as long as the session.
    [[gnu::noinline]] Task<bool> find_client(world::Stream& stream, ConnectionTable::Place& place,
                                             ClientFacts& client);
    Task<void> turn_away(std::unique_ptr<world::Stream> stream, std::string_view why);
    Task<void> turn_away(world::Stream& stream, std::string client, std::string_view why);
    Task<void> shard_drained(Shard& shard, Deadline deadline);

    world::World& world_;
    Host& host_;
    std::string name_;
    world::Endpoint local_;
    std::atomic<std::shared_ptr<const SessionSettings>> settings_;
    ConnectionTable connections_;
    ClientHistory history_;
    std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace postrider::receive
