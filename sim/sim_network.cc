#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "sim/host_state.h"
#include "sim/sim_connection.h"
#include "sim/sim_net.h"

namespace postrider::sim {

namespace {

constexpr uint16_t kFirstPort = 32768;  // of those taken for clients and for port 0
constexpr uint16_t kLastPort = 60999;

bool is_any(const world::IpAddress& address) {
    return std::all_of(address.octets.begin(), address.octets.end(),
                       [](uint8_t o) { return o == 0; });
}

// Whether two listeners on one host are in each other's way.
bool conflict(const world::Endpoint& a, const world::Endpoint& b) {
    const auto* left = std::get_if<world::IpEndpoint>(&a);
    const auto* right = std::get_if<world::IpEndpoint>(&b);
    if (!left || !right) return a == b;
    return left->port == right->port && left->address.family == right->address.family &&
           (left->address == right->address || is_any(left->address) || is_any(right->address));
}

}  // namespace

Network::Network(EventLoop& loop, uint64_t seed) : loop_(loop), random_(seed, /*label=*/4) {}

Network::~Network() {
    for (auto& [id, connection] : connections_) connection->network = nullptr;
}

int Network::index(const HostState& host) { return host.index; }

Network::Pair Network::pair_of(const HostState& a, const HostState& b) {
    return {std::min(a.index, b.index), std::max(a.index, b.index)};
}

std::string Network::describe_connections() const {
    std::string out;
    int count = 0;
    for (const auto& [id, connection] : connections_) {
        if (++count > 5) break;
        for (const Side& side : connection->sides) {
            out += fmt::format("{}{}{}{}{}{}{} ", side.host->name, side.is_closed ? " closed" : "",
                               side.is_shut ? " shut" : "", side.is_silent ? " silent" : "",
                               side.is_broken ? " broken" : "", side.end_sent ? " end-sent" : "",
                               side.end_arrived ? " end-arrived" : "");
            out += &side == &connection->sides[0] ? "to " : "; ";
        }
    }
    return out;
}

void Network::cut(Host& a, Host& b) { cuts_.insert(pair_of(a.state(), b.state())); }

void Network::heal(Host& a, Host& b) {
    cuts_.erase(pair_of(a.state(), b.state()));
    retry_stalled();
}

void Network::heal_all() {
    cuts_.clear();
    black_holes_.clear();
    retry_stalled();
}

void Network::black_hole(const world::IpAddress& address) { black_holes_.insert(address); }

void Network::reset_between(Host& a, Host& b) {
    for (auto& connection : connections_of(a.state())) {
        const auto& sides = connection->sides;
        bool is_theirs = (sides[0].host == &a.state() && sides[1].host == &b.state()) ||
                         (sides[0].host == &b.state() && sides[1].host == &a.state());
        if (!is_theirs) continue;
        connection->break_side(0, "connection reset");
        connection->break_side(1, "connection reset");
    }
}

void Network::add_host(HostState& host) {
    assert(host.index == int(hosts_.size()));
    hosts_.push_back(&host);
    next_ports_.push_back(uint16_t(random_.between(uint64_t(kFirstPort), uint64_t(kLastPort))));
    for (const world::IpAddress& address : host.addresses) {
        bool is_new = by_address_.emplace(address, &host).second;
        assert(is_new && "two hosts with one address");
        (void)is_new;
    }
}

std::vector<std::shared_ptr<Connection>> Network::connections_of(const HostState& host) const {
    std::vector<std::shared_ptr<Connection>> found;
    for (const auto& [id, connection] : connections_) {
        if (connection->sides[0].host == &host || connection->sides[1].host == &host) {
            found.push_back(connection);
        }
    }
    return found;
}

void Network::host_lost_power(HostState& host) {
    for (auto& connection : connections_of(host)) {
        for (int number : {0, 1}) {
            Side& side = connection->sides[std::size_t(number)];
            if (side.host != &host) continue;
            side.is_silent = true;
            side.outbox.clear();
            // What had left the machine still arrives.
            std::size_t left = std::size_t(random_.below(side.in_flight.size() + 1));
            while (side.in_flight.size() > left) {
                side.in_flight_octets -= side.in_flight.back().octets.size();
                side.in_flight.pop_back();
            }
            // Whoever waits for room asks again and again, and so learns that nobody is there.
            side.inbox.clear();
            connection->pump(1 - number);
        }
        connection->forget_if_over();
    }
    std::erase_if(listeners_, [&](const auto& entry) {
        if (entry.first.first != host.index) return false;
        entry.second->is_listening = false;
        return true;
    });
}

void Network::host_was_killed(HostState& host) {
    drop_listeners(host);
    for (auto& connection : connections_of(host)) {
        for (int side : {0, 1}) {
            if (connection->sides[std::size_t(side)].host == &host) connection->abandon(side);
        }
    }
}

void Network::drop_listeners(const HostState& host) {
    std::vector<world::Endpoint> ends;
    for (const auto& [key, listener] : listeners_) {
        if (key.first == host.index) ends.push_back(key.second);
    }
    for (const world::Endpoint& end : ends) remove_listener(host, end);
}

void Network::host_is_back(HostState&) { retry_stalled(); }

void Network::retry_stalled() {
    for (auto& [id, connection] : connections_) {
        connection->retry(0);
        connection->retry(1);
    }
}

HostState* Network::host_of(const world::IpAddress& address) const {
    auto found = by_address_.find(address);
    return found == by_address_.end() ? nullptr : found->second;
}

bool Network::reaches(const HostState& a, const HostState& b) const {
    if (&a == &b) return true;
    return b.is_powered && !b.is_suspended && !cuts_.contains(pair_of(a, b));
}

Duration Network::latency(const HostState& a, const HostState& b) {
    if (&a == &b) return random_.between(faults.local_latency_min, faults.local_latency_max);
    return random_.between(faults.latency_min, faults.latency_max);
}

std::shared_ptr<Connection> Network::connect(HostState& client, world::Endpoint client_end,
                                             HostState& server, world::Endpoint server_end) {
    auto connection = std::make_shared<Connection>();
    connection->network = this;
    connection->id = next_connection_++;
    auto& [near, far] = connection->sides;
    near.host = &client;
    near.local = far.peer = std::move(client_end);
    far.host = &server;
    far.local = near.peer = std::move(server_end);
    connections_.emplace(connection->id, connection);
    loop_.trace().mix(Trace::Connect, connection->id, uint64_t(client.index * 1000 + server.index));
    return connection;
}

ListenerState* Network::listener_at(const HostState& host, const world::Endpoint& endpoint) const {
    auto found = listeners_.find({host.index, endpoint});
    if (found == listeners_.end()) {
        const auto* ip = std::get_if<world::IpEndpoint>(&endpoint);
        if (!ip) return nullptr;
        world::IpEndpoint any{{.family = ip->address.family}, ip->port};
        found = listeners_.find({host.index, any});
    }
    return found == listeners_.end() ? nullptr : found->second.get();
}

bool Network::add_listener(const HostState& host, std::shared_ptr<ListenerState> listener) {
    for (const auto& [key, other] : listeners_) {
        if (key.first == host.index && conflict(key.second, listener->local)) return false;
    }
    world::Endpoint local = listener->local;
    listeners_.emplace(std::pair(host.index, std::move(local)), std::move(listener));
    return true;
}

void Network::remove_listener(const HostState& host, const world::Endpoint& endpoint) {
    auto found = listeners_.find({host.index, endpoint});
    if (found == listeners_.end()) return;
    std::shared_ptr<ListenerState> listener = std::move(found->second);
    listeners_.erase(found);
    listener->is_listening = false;
    // Connections that nobody had accepted.
    for (auto& connection : std::exchange(listener->waiting, {})) {
        connection->break_side(1, "listener closed");
        connection->send_reset(0, "connection reset by peer");
    }
}

uint16_t Network::next_port(const HostState& host) {
    uint16_t& next = next_ports_[std::size_t(host.index)];
    next = next >= kLastPort ? kFirstPort : uint16_t(next + 1);
    return next;
}

}  // namespace postrider::sim
