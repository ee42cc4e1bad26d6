#include "sim/sim_net.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "sim/host_state.h"
#include "sim/sim_connection.h"

namespace postrider::sim {

using world::Endpoint;
using world::IpAddress;
using world::IpEndpoint;
using world::NetError;
using Kind = NetError::Kind;

namespace {

std::unexpected<NetError> failed(Kind kind, std::string message) {
    return std::unexpected(NetError{kind, std::move(message)});
}

// A SYN is repeated after 1, 2, 4 ... seconds.
constexpr Duration kFirstRetry = std::chrono::seconds(1);

std::unexpected<NetError> failed(const Side& side, Kind kind, std::string_view operation) {
    std::string_view why = kind == Kind::TimedOut ? "deadline passed"
                           : kind == Kind::Closed ? "closed"
                                                  : std::string_view(side.why_broken);
    return failed(kind, fmt::format("{} {}: {}", operation, text(side.peer), why));
}

}  // namespace

class SimStream : public world::Stream {
public:
    SimStream(std::shared_ptr<Connection> connection, int side)
        : connection_(std::move(connection)),
          side_(side),
          open_streams_(mine().host->net.open_streams) {
        ++*open_streams_;
    }
    ~SimStream() override {
        --*open_streams_;
        connection_->close(side_);
    }

    const Endpoint& peer() const override { return mine().peer; }
    const Endpoint& local() const override { return mine().local; }

    Task<Status<NetError>> wait_readable(Deadline deadline) override;
    Task<Result<std::size_t, NetError>> read(std::span<char> into, Deadline deadline) override;
    Task<Status<NetError>> write(std::span<const std::string_view> pieces,
                                 Deadline deadline) override;
    void shut_write() override { connection_->shut_write(side_); }
    void close() override { connection_->close(side_); }

private:
    Side& mine() const { return connection_->sides[std::size_t(side_)]; }

    std::shared_ptr<Connection> connection_;
    int side_;
    std::shared_ptr<uint32_t> open_streams_;
};

std::unique_ptr<world::Stream> make_stream(std::shared_ptr<Connection> connection, int side) {
    return std::make_unique<SimStream>(std::move(connection), side);
}

// A call of the real world, too, may let others go on before it is made.
Task<void> let_others_first(HostState& host) {
    SeededRandom& random = host.network.random();
    const NetFaults& faults = host.network.faults;
    if (!random.chance(faults.others_first_per_1000)) co_return;
    co_await Pause{host, random.between(Duration{}, faults.latency_max)};
}

Task<Status<NetError>> SimStream::wait_readable(Deadline deadline) {
    // The stream may be destroyed while we wait; the connection is not.
    std::shared_ptr<Connection> connection = connection_;
    Side& side = mine();
    for (;;) {
        if (side.is_closed) co_return failed(side, Kind::Closed, "wait for");
        if (!side.inbox.empty() || side.end_arrived || side.is_broken) co_return Status<NetError>();
        bool notified = co_await side.readable.wait(*side.host, deadline);
        if (!notified) co_return failed(side, Kind::TimedOut, "wait for");
    }
}

Task<Result<std::size_t, NetError>> SimStream::read(std::span<char> into, Deadline deadline) {
    // The stream may be destroyed while we wait; the connection is not.
    std::shared_ptr<Connection> connection = connection_;
    int index = side_;
    Side& side = connection->sides[std::size_t(index)];
    co_await let_others_first(*side.host);
    for (;;) {
        if (side.is_closed) co_return failed(side, Kind::Closed, "read from");
        if (!side.inbox.empty()) {
            std::size_t count = std::min(into.size(), side.inbox.size());
            std::memcpy(into.data(), side.inbox.front(count).data(), count);
            side.inbox.drop(count);
            connection->pump(1 - index);  // there is room again
            co_return count;
        }
        if (side.is_broken) co_return failed(side, Kind::Reset, "read from");
        if (side.end_arrived) co_return std::size_t(0);
        bool notified = co_await side.readable.wait(*side.host, deadline);
        if (!notified) co_return failed(side, Kind::TimedOut, "read from");
    }
}

Task<Status<NetError>> SimStream::write(std::span<const std::string_view> pieces,
                                        Deadline deadline) {
    // The stream may be destroyed while we wait; the connection is not.
    std::shared_ptr<Connection> connection = connection_;
    int index = side_;
    Side& side = connection->sides[std::size_t(index)];
    co_await let_others_first(*side.host);
    for (std::string_view piece : pieces) {
        while (!piece.empty()) {
            if (side.is_closed || side.is_shut) co_return failed(side, Kind::Closed, "write to");
            if (side.is_broken) co_return failed(side, Kind::Reset, "write to");
            std::size_t max = std::max<std::size_t>(1, side.host->network.faults.send_buffer_max);
            if (side.outbox.size() >= max) {
                bool notified = co_await side.writable.wait(*side.host, deadline);
                if (!notified) co_return failed(side, Kind::TimedOut, "write to");
                continue;
            }
            std::size_t count = std::min(piece.size(), max - side.outbox.size());
            side.outbox.append(piece.substr(0, count));
            piece.remove_prefix(count);
            connection->pump(index);
        }
    }
    if (side.is_broken) co_return failed(side, Kind::Reset, "write to");
    co_return Status<NetError>();
}

class SimListener : public world::Listener {
public:
    explicit SimListener(std::shared_ptr<ListenerState> state)
        : handle_(std::make_shared<Handle>(std::move(state))) {
        handle_->state->handles.push_back(&handle_->arrived);
    }
    ~SimListener() override { SimListener::close(); }

    const Endpoint& local() const override { return handle_->state->local; }
    Task<Result<std::unique_ptr<world::Stream>, NetError>> accept() override;
    void close() override;

    const std::shared_ptr<ListenerState>& state() const { return handle_->state; }

private:
    // What outlives the listener while somebody waits in it.
    struct Handle {
        explicit Handle(std::shared_ptr<ListenerState> shared) : state(std::move(shared)) {}
        std::shared_ptr<ListenerState> state;
        WaitPoint arrived;
        bool is_closed = false;
    };

    std::shared_ptr<Handle> handle_;
};

Task<Result<std::unique_ptr<world::Stream>, NetError>> SimListener::accept() {
    std::shared_ptr<Handle> handle = handle_;
    HostState& host = *handle->state->host;
    auto& waiting = handle->state->waiting;
    for (;;) {
        if (handle->is_closed) co_return failed(Kind::Closed, "accept: closed");
        if (!waiting.empty()) {
            if (*host.net.open_streams >= host.network.faults.streams_max) {
                co_return failed(Kind::TooManyOpen, "accept: too many open streams");
            }
            std::shared_ptr<Connection> next = std::move(waiting.front());
            waiting.pop_front();
            co_return make_stream(std::move(next), 1);
        }
        co_await handle->arrived.wait(host, Deadline::never());
    }
}

void SimListener::close() {
    if (handle_->is_closed) return;
    handle_->is_closed = true;
    ListenerState& state = *handle_->state;
    std::erase(state.handles, &handle_->arrived);
    handle_->arrived.notify();
    if (state.handles.empty()) {
        // A dead host's listeners are gone already, and the host may be too.
        if (state.is_listening) state.host->network.remove_listener(*state.host, state.local);
    } else if (!state.waiting.empty()) {
        state.wake_one();  // we may have been woken for it
    }
}

Result<std::unique_ptr<world::Listener>, NetError> SimNet::listen(const Endpoint& endpoint,
                                                                  world::ListenOptions options) {
    auto state = std::make_shared<ListenerState>();
    state->host = &host_;
    state->local = endpoint;
    state->backlog = std::size_t(std::max(1, options.backlog));
    auto* ip = std::get_if<IpEndpoint>(&state->local);
    if (ip) {
        bool is_any = ip->address == IpAddress{.family = ip->address.family};
        bool is_ours = std::ranges::count(host_.addresses, ip->address) > 0;
        if (!is_any && !is_ours && !ip->address.is_loopback()) {
            return failed(Kind::Other,
                          "listen " + text(endpoint) + ": not an address of this host");
        }
    }
    bool is_given = !ip || ip->port != 0;
    constexpr int kPortTries = 1000;
    for (int tries = is_given ? 1 : kPortTries; tries > 0; tries--) {
        if (!is_given) ip->port = host_.network.next_port(host_);
        if (!host_.network.add_listener(host_, state)) continue;
        state->is_listening = true;
        return std::make_unique<SimListener>(std::move(state));
    }
    return failed(Kind::AddressInUse, "listen " + text(endpoint) + ": address in use");
}

Result<std::unique_ptr<world::Listener>, NetError> SimNet::share(const world::Listener& listener) {
    const auto& state = static_cast<const SimListener&>(listener).state();
    if (!state->is_listening) return failed(Kind::Closed, "share: closed");
    return std::make_unique<SimListener>(state);
}

// Where a connection goes and what it calls itself.
struct SimNet::Route {
    HostState* target = nullptr;  // null: no host has that address
    Endpoint local;
    bool is_black_hole = false;
};

Result<SimNet::Route, NetError> SimNet::route(const Endpoint& endpoint,
                                              const std::optional<IpAddress>& source) {
    const auto* ip = std::get_if<IpEndpoint>(&endpoint);
    if (!ip) return Route{&host_, world::UnixEndpoint{}};
    const IpAddress& to = ip->address;
    std::optional<IpAddress> from = source;
    if (!from && to.is_loopback()) from = to;
    for (const IpAddress& own : host_.addresses) {
        if (!from && own.family == to.family) from = own;
    }
    if (!from) return failed(Kind::Unreachable, "connect " + text(endpoint) + ": no route");
    bool is_ours = from->is_loopback() || std::ranges::count(host_.addresses, *from) > 0;
    if (!is_ours || from->family != to.family) {
        return failed(Kind::Other,
                      "connect " + text(endpoint) + ": cannot use " + from->text() + " as source");
    }
    Route route;
    route.target = to.is_loopback() ? &host_ : host_.network.host_of(to);
    route.local = IpEndpoint{*from, host_.network.next_port(host_)};
    route.is_black_hole = host_.network.is_black_hole(to);
    return route;
}

std::vector<IpAddress> SimNet::own_addresses() { return host_.addresses; }

Task<Result<std::unique_ptr<world::Stream>, NetError>> SimNet::connect(
    Endpoint endpoint, std::optional<IpAddress> source, Deadline deadline) {
    Network& network = host_.network;
    auto timed_out = [&] {
        return failed(Kind::TimedOut, "connect " + text(endpoint) + ": deadline passed");
    };
    Monotonic end = std::min(deadline.at, host_.now() + network.faults.connect_give_up);
    // Waits at most until the deadline; says whether that came first.
    auto pass = [&](Duration duration) {
        return Pause{host_, std::min(duration, end - host_.now())};
    };
    if (*open_streams >= network.faults.streams_max) {
        co_return failed(Kind::TooManyOpen, "connect: too many open streams");
    }
    for (Duration retry = kFirstRetry;; retry *= 2) {
        if (host_.now() >= end) co_return timed_out();
        auto way = route(endpoint, source);
        if (!way) co_return std::unexpected(std::move(way.error()));
        HostState* target = way->target;
        Duration there = network.latency(host_, target ? *target : host_);
        co_await pass(there);
        if (host_.now() >= end) co_return timed_out();
        if (!target && !way->is_black_hole) {
            co_return failed(Kind::Unreachable, "connect " + text(endpoint) + ": no such host");
        }
        if (target && !way->is_black_hole && network.reaches(host_, *target)) {
            ListenerState* listener = network.listener_at(*target, endpoint);
            Duration back = network.latency(*target, host_);
            if (!listener) {
                co_await pass(back);
                if (host_.now() >= end) co_return timed_out();
                co_return failed(Kind::Refused, "connect " + text(endpoint) + ": refused");
            }
            if (listener->waiting.size() < listener->backlog) {
                auto connection = network.connect(host_, way->local, *target, endpoint);
                auto stream = make_stream(connection, 0);
                listener->add(std::move(connection));
                co_await pass(back);
                if (host_.now() >= end) co_return timed_out();
                co_return stream;
            }
        }
        co_await pass(retry);
    }
}

}  // namespace postrider::sim
