#include "receive/server.h"

#include <algorithm>
#include <array>

#include "base/situation.h"
#include "receive/proxy_header.h"

namespace postrider::receive {

namespace {

constexpr auto kAcceptPause = std::chrono::milliseconds(100);
constexpr auto kTurnAwayTime = std::chrono::seconds(5);
constexpr auto kDrainStep = std::chrono::milliseconds(20);

// A Unix socket's clients all count as one address.
world::IpAddress address_of(const world::Stream& stream) {
    auto* ip = std::get_if<world::IpEndpoint>(&stream.peer());
    return ip ? ip->address : world::IpAddress{};
}

ClientFacts facts_of(const world::Stream& stream) {
    ClientFacts facts;
    if (auto* ip = std::get_if<world::IpEndpoint>(&stream.peer())) {
        facts.address = ip->address.text();
        facts.port = ip->port;
    }
    return facts;
}

std::string_view text_of(ConnectionTable::Full full) {
    switch (full) {
        case ConnectionTable::Full::InAll:
            return "Too many connections, come again soon";
        case ConnectionTable::Full::PerAddress:
            return "Too many connections from your address";
        case ConnectionTable::Full::PerNetwork:
            return "Too many connections from your network";
    }
    return {};
}

std::string_view text_of(ClientHistory::Refusal refusal) {
    switch (refusal) {
        case ClientHistory::Refusal::AddressTooFast:
            return "Your address connects too often, come again soon";
        case ClientHistory::Refusal::NetworkTooFast:
            return "Your network connects too often, come again soon";
        case ClientHistory::Refusal::Harvested:
            return "You asked for too many unknown recipients, come again later";
    }
    return {};
}

bool is_proxy(const SessionSettings& settings, const world::Stream& stream) {
    auto* ip = std::get_if<world::IpEndpoint>(&stream.peer());
    return ip && std::ranges::any_of(settings.proxy_networks, [&](const auto& network) {
               return network.contains(ip->address);
           });
}

}  // namespace

struct Server::Shard {
    Shard(world::World& world, ClientHistory& history, world::ShardId number, MessageId floor)
        : id(number), sessions{world, world.log, history}, names(number, floor) {}

    world::ShardId id;
    SessionShard sessions;
    MessageIdSource names;  // of sessions
    std::unique_ptr<world::Listener> listener;
    std::size_t clients = 0;  // accepted here and not gone: also those whose session is to begin
};

Server::Server(world::World& world, Host& host, std::string name, MessageId id_floor)
    : world_(world), host_(host), name_(std::move(name)) {
    for (int i = 0; i < world.executor.shard_count(); i++) {
        shards_.push_back(std::make_unique<Shard>(world, history_, i, id_floor));
    }
}

Server::~Server() = default;

Status<world::NetError> Server::start(std::unique_ptr<world::Listener> listener,
                                      std::shared_ptr<const SessionSettings> settings) {
    settings_.store(std::move(settings));
    local_ = listener->local();
    auto first = std::shared_ptr<world::Listener>(std::move(listener));
    for (auto& shard : shards_) {
        world_.executor.post_to(shard->id, [this, first, &shard = *shard] {
            auto shared = world_.net.share(*first);
            if (!shared) {
                world_.log.write(Event::ListenFailed,
                                 {{"listener", name_}, {"reason", shared.error().message}});
                return;
            }
            shard.listener = std::move(*shared);
            if (shard.sessions.draining) return;
            world_.executor.spawn(accept_loop(shard));
        });
    }
    return {};
}

void Server::replace(std::shared_ptr<const SessionSettings> settings) {
    settings_.store(std::move(settings));
}

Task<void> Server::accept_loop(Shard& shard) {
    while (true) {
        auto stream = co_await shard.listener->accept();
        if (!stream) {
            if (stream.error().kind == world::NetError::Kind::Closed) co_return;
            world_.log.write(Event::AcceptFailed,
                             {{"listener", name_}, {"reason", stream.error().message}});
            co_await world_.clock.sleep_for(kAcceptPause);
            continue;
        }
        auto settings = settings_.load();
        // A proxy has many clients; they are counted when their addresses are known.
        bool limited = settings->is_limited((*stream)->peer()) && !is_proxy(*settings, **stream);
        world::IpAddress address = address_of(**stream);
        auto place = connections_.enter(
            address, limited ? settings->connections : settings->connections.in_all_only());
        if (!place) {
            world_.executor.spawn(turn_away(std::move(*stream), text_of(place.error())));
            continue;
        }
        auto refusal = limited ? history_.connect(address, settings->history, world_.clock.now())
                               : std::nullopt;
        if (refusal) {
            world_.executor.spawn(turn_away(std::move(*stream), text_of(*refusal)));
            continue;
        }
        shard.clients++;
        world_.executor.spawn(serve(shard, std::move(*stream), std::move(*place)));
    }
}

Task<void> Server::serve(Shard& shard, std::unique_ptr<world::Stream> stream,
                         ConnectionTable::Place place) {
    ClientFacts client = facts_of(*stream);
    if (co_await find_client(*stream, place, client)) {
        auto visit = host_.visit(client);
        Session session(shard.sessions, settings_.load(), std::move(stream), std::move(visit),
                        shard.names.next(world_.clock.wall()).text(), std::move(client),
                        std::move(place));
        co_await session.run();
    }
    shard.clients--;
}

// Reads the PROXY header where one must be. False: the client is not known or not welcome, and the
// connection is of no use.
Task<bool> Server::find_client(world::Stream& stream, ConnectionTable::Place& place,
                               ClientFacts& client) {
    auto settings = settings_.load();
    if (!is_proxy(*settings, stream)) co_return true;
    Deadline deadline = Deadline::after(world_.clock.now(), settings->proxy_header_time);
    ProxyHeaderReader reader;
    std::array<char, 512> part;
    std::string_view error;
    while (reader.state() == ProxyHeaderReader::State::More && error.empty()) {
        std::size_t wanted = std::min(reader.wants(), part.size());
        auto got = co_await stream.read({part.data(), wanted}, deadline);
        if (got && *got > 0) {
            reader.feed({part.data(), *got});
        } else {
            bool late = !got && got.error().kind == world::NetError::Kind::TimedOut;
            error = late ? "the PROXY header did not come in time"
                         : "the connection ended before the PROXY header did";
        }
    }
    if (reader.state() == ProxyHeaderReader::State::NoHeader) error = reader.error();
    if (!error.empty()) {
        world_.log.write(Event::ProxyHeaderWrong,
                         {{"client", world::text(stream.peer())}, {"reason", error}});
        stream.close();
        co_return false;
    }
    if (reader.state() == ProxyHeaderReader::State::Itself) co_return true;
    client.address = reader.client().address.text();
    client.port = reader.client().port;
    world::IpAddress address = reader.client().address;
    bool limited = settings->is_limited(reader.client());
    auto full = place.move_to(
        address, limited ? settings->connections : settings->connections.in_all_only());
    auto refusal = limited && !full
                       ? history_.connect(address, settings->history, world_.clock.now())
                       : std::nullopt;
    if (!full && !refusal) co_return true;
    co_await turn_away(stream, client_text(client), full ? text_of(*full) : text_of(*refusal));
    co_return false;
}

Task<void> Server::turn_away(std::unique_ptr<world::Stream> stream, std::string_view why) {
    std::string client = world::text(stream->peer());
    co_await turn_away(*stream, std::move(client), why);
}

Task<void> Server::turn_away(world::Stream& stream, std::string client, std::string_view why) {
    reached(Situation::ReceiveTurnedAway);
    world_.log.write(Event::ClientTurnedAway, {{"client", client}, {"reason", why}});
    std::string line = smtp::Reply{421, EnhancedStatus{4, 7, 0}, std::string(why)}.wire();
    std::array<std::string_view, 1> pieces{line};
    // Told if it listens; there is nothing else to do for it.
    (void)co_await stream.write(pieces, Deadline::after(world_.clock.now(), kTurnAwayTime));
    stream.close();
}

void Server::begin_drain() {
    for (auto& shard : shards_) {
        world_.executor.post_to(shard->id, [&shard = *shard] {
            if (shard.listener) shard.listener->close();
            shard.sessions.draining = true;
            for (Session* session : shard.sessions.sessions) session->say_goodbye_if_idle();
        });
    }
}

Task<void> Server::drained(Deadline deadline) {
    for (auto& shard : shards_) {
        co_await world_.executor.run_on(shard->id, shard_drained(*shard, deadline));
    }
}

Task<void> Server::shard_drained(Shard& shard, Deadline deadline) {
    co_await world_.executor.switch_to(shard.id);  // behind what begin_drain() has posted
    while (shard.clients > 0) {
        if (deadline.reached(world_.clock.now())) {
            reached(Situation::ReceiveCutByStop);
            for (Session* session : shard.sessions.sessions) session->close();
        }
        co_await world_.clock.sleep_for(kDrainStep);
    }
}

}  // namespace postrider::receive
