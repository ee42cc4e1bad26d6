// sim/sim_net.h: the net between simulated hosts, and what can be wrong with it.
//
// The problem: programs are written on a net that delivers whole lines at once and never cuts.
// Here a stream is cut into segments of drawn sizes with drawn latencies, buffers are bounded,
// links are cut and healed, machines fall silent, and a half-open connection learns of it only when
// it speaks.
//
// What happens
//   cut(a, b)      segments between the two wait; healed in time they arrive, after give_up the
//                  sender's side breaks (Reset) and the other side knows nothing of it.
//   black_hole(x)  nothing reaches that address: a connect waits for its deadline.
//   power loss     the others hear nothing; when the machine is back, it answers what reaches it
//   with
//                  a reset, as it knows no connection.
//   close          what was written is still sent; what comes is dropped for faults.linger, then
//                  answered with a reset.
//   kill           the system closes the program's connections: end of stream, and a reset to what
//                  comes.
//   nobody there   an address that no host has: Unreachable. No listener on a live machine:
//   Refused.
//
// Unix sockets and connections of a host to itself use the short latencies and are never cut.
//
// Faults are plain settings and may be changed at any moment between events.
// Threads: one.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "sim/event_loop.h"
#include "sim/seeded_random.h"
#include "world/net.h"

namespace postrider::sim {

class Host;
struct HostState;
struct Connection;
struct ListenerState;

struct NetFaults {
    Duration latency_min = std::chrono::microseconds(200);
    Duration latency_max = std::chrono::milliseconds(40);
    Duration local_latency_min = std::chrono::microseconds(2);  // within one host
    Duration local_latency_max = std::chrono::microseconds(50);

    std::size_t segment_max = 1460;         // octets; 1 cuts every stream at every octet
    uint32_t full_segments_per_1000 = 500;  // the others have a drawn size
    std::size_t send_buffer_max = 64 * 1024;
    std::size_t receive_buffer_max = 64 * 1024;  // with what is in flight

    // Reads and writes before which others on the host go on, for as long as latency may be.
    uint32_t others_first_per_1000 = 10;

    uint32_t reset_per_million_segments = 0;      // the connection breaks on both sides
    uint32_t streams_max = 100'000;               // open per host; then TooManyOpen
    Duration linger = std::chrono::seconds(2);    // what comes after close() is taken and dropped
    Duration give_up = std::chrono::minutes(15);  // of a sender whose segments do not arrive
    Duration connect_give_up = std::chrono::seconds(127);
};

class Network {
public:
    Network(EventLoop& loop, uint64_t seed);
    ~Network();
    Network(const Network&) = delete;
    Network& operator=(const Network&) = delete;

    NetFaults faults;

    void cut(Host& a, Host& b);
    void heal(Host& a, Host& b);
    void heal_all();  // cuts and black holes
    void black_hole(const world::IpAddress& address);
    void reset_between(Host& a, Host& b);  // breaks every connection of the two, on both sides

    uint64_t open_connections() const { return connections_.size(); }
    // One line for each of the first few.
    std::string describe_connections() const;

    // From here on: for the other parts of the simulator.
    void add_host(HostState& host);
    void host_lost_power(HostState& host);
    void host_was_killed(HostState& host);
    void host_is_back(HostState& host);

    EventLoop& loop() { return loop_; }
    SeededRandom& random() { return random_; }
    HostState* host_of(const world::IpAddress& address) const;
    // Whether a segment from `a` that arrives now gets through to `b`.
    bool reaches(const HostState& a, const HostState& b) const;
    bool is_black_hole(const world::IpAddress& address) const {
        return black_holes_.contains(address);
    }
    Duration latency(const HostState& a, const HostState& b);

    std::shared_ptr<Connection> connect(HostState& client, world::Endpoint client_end,
                                        HostState& server, world::Endpoint server_end);
    void forget(uint64_t connection) { connections_.erase(connection); }

    // The listener that takes connections to `endpoint` of `host`.
    ListenerState* listener_at(const HostState& host, const world::Endpoint& endpoint) const;
    // False when the endpoint is taken.
    bool add_listener(const HostState& host, std::shared_ptr<ListenerState> listener);
    void remove_listener(const HostState& host, const world::Endpoint& endpoint);
    uint16_t next_port(const HostState& host);

private:
    using Pair = std::pair<int, int>;
    static int index(const HostState& host);
    static Pair pair_of(const HostState& a, const HostState& b);
    std::vector<std::shared_ptr<Connection>> connections_of(const HostState& host) const;
    void drop_listeners(const HostState& host);
    void retry_stalled();

    EventLoop& loop_;
    SeededRandom random_;
    std::vector<HostState*> hosts_;
    std::map<world::IpAddress, HostState*> by_address_;
    std::set<Pair> cuts_;
    std::set<world::IpAddress> black_holes_;
    std::map<uint64_t, std::shared_ptr<Connection>> connections_;
    std::map<std::pair<int, world::Endpoint>, std::shared_ptr<ListenerState>> listeners_;
    std::vector<uint16_t> next_ports_;
    uint64_t next_connection_ = 1;
};

// The door of one host.
class SimNet : public world::Net {
public:
    explicit SimNet(HostState& host) : open_streams(std::make_shared<uint32_t>(0)), host_(host) {}

    std::shared_ptr<uint32_t> open_streams;  // shared: a stream may outlive the host

    Result<std::unique_ptr<world::Listener>, world::NetError> listen(
        const world::Endpoint& endpoint, world::ListenOptions options) override;
    Result<std::unique_ptr<world::Listener>, world::NetError> share(
        const world::Listener& listener) override;
    std::vector<world::IpAddress> own_addresses() override;
    Task<Result<std::unique_ptr<world::Stream>, world::NetError>> connect(
        world::Endpoint endpoint, std::optional<world::IpAddress> source,
        Deadline deadline) override;

private:
    struct Route;
    Result<Route, world::NetError> route(const world::Endpoint& endpoint,
                                         const std::optional<world::IpAddress>& source);

    HostState& host_;
};

}  // namespace postrider::sim
