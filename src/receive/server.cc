#include "receive/server.h"

#include <array>

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

}  // namespace

struct Server::Shard {
    Shard(world::World& world, world::ShardId number, MessageId floor)
        : id(number), sessions{world, world.log, {}, {}, false}, names(number, floor) {}

    world::ShardId id;
    SessionShard sessions;
    MessageIdSource names;  // of sessions
    std::unique_ptr<world::Listener> listener;
    std::size_t clients = 0;  // accepted here and not gone: also those whose session is to begin
};

Server::Server(world::World& world, Host& host, std::string name, MessageId id_floor)
    : world_(world), host_(host), name_(std::move(name)) {
    for (int i = 0; i < world.executor.shard_count(); i++) {
        shards_.push_back(std::make_unique<Shard>(world, i, id_floor));
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
        auto place = connections_.enter(address_of(**stream), settings_.load()->connections);
        if (place) {
            shard.clients++;
            world_.executor.spawn(serve(shard, std::move(*stream), std::move(*place)));
        } else {
            world_.executor.spawn(turn_away(std::move(*stream), place.error()));
        }
    }
}

Task<void> Server::serve(Shard& shard, std::unique_ptr<world::Stream> stream,
                         ConnectionTable::Place) {
    std::string client = world::text(stream->peer());
    auto visit = host_.visit(facts_of(*stream));
    Session session(shard.sessions, settings_.load(), std::move(stream), std::move(visit),
                    shard.names.next(world_.clock.wall()).text(), std::move(client));
    co_await session.run();
    shard.clients--;
}

Task<void> Server::turn_away(std::unique_ptr<world::Stream> stream, ConnectionTable::Full full) {
    std::string_view why = full == ConnectionTable::Full::InAll
                               ? "Too many connections, come again soon"
                               : "Too many connections from your address";
    world_.log.write(Event::ClientTurnedAway,
                     {{"client", world::text(stream->peer())}, {"reason", why}});
    std::string line = smtp::Reply{421, EnhancedStatus{4, 7, 0}, std::string(why)}.wire();
    std::array<std::string_view, 1> pieces{line};
    // Told if it listens; there is nothing else to do for it.
    (void)co_await stream->write(pieces, Deadline::after(world_.clock.now(), kTurnAwayTime));
    stream->close();
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
            for (Session* session : shard.sessions.sessions) session->close();
        }
        co_await world_.clock.sleep_for(kDrainStep);
    }
}

}  // namespace postrider::receive
