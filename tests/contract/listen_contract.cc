// tests/contract/listen_contract.cc: what listening, accepting and connecting promise.

#include "contract/net_contract.h"

namespace postrider::contract {
namespace {

class ListenContract : public NetContract {
protected:
    // Answers each of `count` connections with its own first octet, then closes.
    static Task<void> serve(World& world, Listener& listener, int count, Gathering& gathering) {
        for (int i = 0; i < count; i++) {
            auto stream = co_await listener.accept();
            CO_ASSERT_OK(stream);
            spawn(world, [&, kept = std::shared_ptr<Stream>(std::move(*stream))]() -> Task<void> {
                std::string heard = co_await hear(world, *kept, 1);
                EXPECT_TRUE((co_await say(world, *kept, heard)).has_value());
                gathering.arrive();
            });
        }
    }
};

TEST_F(ListenContract, BothEndsKnowTheirAddresses) {
    run([&](World& world) -> Task<void> {
        auto pair = co_await connected(world, free_port());
        CO_ASSERT(pair);
        auto at = std::get<IpEndpoint>(pair->listener->local());
        EXPECT_EQ(at.address, contract().address());
        EXPECT_NE(at.port, 0);
        EXPECT_EQ(pair->client->peer(), Endpoint(at));
        EXPECT_EQ(pair->server->local(), Endpoint(at));
        EXPECT_EQ(pair->server->peer(), pair->client->local());
        EXPECT_EQ(std::get<IpEndpoint>(pair->client->local()).address, contract().address());
        EXPECT_NE(std::get<IpEndpoint>(pair->client->local()).port, 0);
    });
}

TEST_F(ListenContract, TheAddressesOfThisMachineAreKnown) {
    run([&](World& world) -> Task<void> {
        auto own = world.net.own_addresses();
        EXPECT_EQ(std::ranges::count(own, contract().address()), 1);
        co_return;
    });
}

TEST_F(ListenContract, AUnixSocketIsKnownByItsPath) {
    run([&](World& world) -> Task<void> {
        auto pair = co_await connected(world, UnixEndpoint{path("s")});
        CO_ASSERT(pair);
        EXPECT_EQ(pair->listener->local(), Endpoint(UnixEndpoint{path("s")}));
        EXPECT_EQ(pair->client->peer(), Endpoint(UnixEndpoint{path("s")}));
        EXPECT_EQ(pair->server->local(), Endpoint(UnixEndpoint{path("s")}));
    });
}

TEST_F(ListenContract, ConnectFromAChosenAddress) {
    run([&](World& world) -> Task<void> {
        auto listener = world.net.listen(free_port(), {});
        CO_ASSERT_OK(listener);
        auto stream =
            co_await world.net.connect((*listener)->local(), contract().address(), patience(world));
        CO_ASSERT_OK(stream);
        EXPECT_EQ(std::get<IpEndpoint>((*stream)->local()).address, contract().address());
    });
}

TEST_F(ListenContract, WhereNobodyListensIsRefused) {
    run([&](World& world) -> Task<void> {
        auto listener = world.net.listen(free_port(), {});
        CO_ASSERT_OK(listener);
        Endpoint gone = (*listener)->local();
        (*listener)->close();
        EXPECT_EQ(kind(co_await world.net.connect(gone, {}, patience(world))),
                  NetError::Kind::Refused);
        EXPECT_EQ(kind(co_await world.net.connect(UnixEndpoint{path("no")}, {}, patience(world))),
                  NetError::Kind::Refused);
    });
}

TEST_F(ListenContract, ConnectEndsAtItsDeadline) {
    Endpoint silent = contract().silent_endpoint();
    run([&](World& world) -> Task<void> {
        Deadline soon = Deadline::after(world.clock.now(), 20ms);
        EXPECT_EQ(kind(co_await world.net.connect(silent, {}, soon)), NetError::Kind::TimedOut);
        EXPECT_TRUE(soon.reached(world.clock.now()));
    });
}

TEST_F(ListenContract, ATakenPortIsAddressInUseUntilItIsClosed) {
    run([&](World& world) -> Task<void> {
        auto first = world.net.listen(free_port(), {});
        CO_ASSERT_OK(first);
        Endpoint at = (*first)->local();
        EXPECT_EQ(kind(world.net.listen(at, {})), NetError::Kind::AddressInUse);
        first->reset();
        EXPECT_TRUE(world.net.listen(at, {}).has_value());
        co_return;
    });
}

TEST_F(ListenContract, AUnixSocketInUseIsNotReplacedAndAClosedOneIs) {
    run([&](World& world) -> Task<void> {
        Endpoint at = UnixEndpoint{path("s")};
        auto first = world.net.listen(at, {});
        CO_ASSERT_OK(first);
        EXPECT_EQ(kind(world.net.listen(at, {})), NetError::Kind::AddressInUse);
        (*first)->close();
        auto second = world.net.listen(at, {});
        CO_ASSERT_OK(second);
        EXPECT_TRUE((co_await world.net.connect(at, {}, patience(world))).has_value());
    });
}

TEST_F(ListenContract, CloseWakesAccept) {
    run([&](World& world) -> Task<void> {
        auto listener = world.net.listen(free_port(), {});
        CO_ASSERT_OK(listener);
        Gathering gathering(world, 1);
        bool ended = false;
        auto accepting = [&]() -> Task<void> {
            EXPECT_EQ(kind(co_await (*listener)->accept()), NetError::Kind::Closed);
            ended = true;
            gathering.arrive();
        };
        world.executor.spawn(accepting());
        co_await round_trip(world);
        (*listener)->close();
        EXPECT_FALSE(ended) << "never inside the call";
        CO_ASSERT(co_await gathering.all(patience(world)));
        EXPECT_EQ(kind(co_await (*listener)->accept()), NetError::Kind::Closed);
    });
}

TEST_F(ListenContract, AListenerClosedBeforeItsFirstAcceptSaysSo) {
    run([&](World& world) -> Task<void> {
        auto listener = world.net.listen(free_port(), {});
        CO_ASSERT_OK(listener);
        (*listener)->close();
        EXPECT_EQ(kind(co_await (*listener)->accept()), NetError::Kind::Closed);
    });
}

TEST_F(ListenContract, HundredsOfConnectionsAreAllServed) {
    run([&](World& world) -> Task<void> {
        constexpr int kConnections = 300;
        auto listener = world.net.listen(free_port(), {});
        CO_ASSERT_OK(listener);
        Gathering served(world, kConnections);
        Gathering answered(world, kConnections);
        world.executor.spawn(serve(world, **listener, kConnections, served));
        for (int i = 0; i < kConnections; i++) {
            spawn(world, [&, i]() -> Task<void> {
                auto stream = co_await world.net.connect((*listener)->local(), {}, patience(world));
                CO_ASSERT_OK(stream);
                std::string octet(1, static_cast<char>('a' + i % 26));
                EXPECT_TRUE((co_await say(world, **stream, octet)).has_value());
                EXPECT_EQ(co_await hear(world, **stream, 1), octet);
                answered.arrive();
            });
        }
        EXPECT_TRUE(co_await served.all(patience(world)));
        CO_ASSERT(co_await answered.all(patience(world)));
    });
}

TEST_F(ListenContract, WhoComesToASharedListenerIsServedByOneShard) {
    run_on_shards(2, [&](World& world) -> Task<void> {
        constexpr int kClients = 20;
        auto listener = world.net.listen(free_port(), {});
        CO_ASSERT_OK(listener);
        Gathering closed(world, 2);
        auto accept_there = [&](ShardId shard, std::unique_ptr<Listener>& shared) -> Task<void> {
            auto made = world.net.share(**listener);
            CO_ASSERT_OK(made);
            EXPECT_EQ((*made)->local(), (*listener)->local());
            shared = std::move(*made);
            while (true) {
                auto stream = co_await shared->accept();
                if (!stream) break;
                EXPECT_EQ(world.executor.current_shard(), shard);
                EXPECT_EQ(co_await hear(world, **stream, 1), "x");
                EXPECT_TRUE((co_await say(world, **stream, "1")).has_value());
            }
        };
        std::array<std::unique_ptr<Listener>, 2> shared;
        for (ShardId shard : {0, 1}) {
            spawn(world, [&, shard]() -> Task<void> {
                co_await world.executor.run_on(
                    shard, accept_there(shard, shared[static_cast<std::size_t>(shard)]));
                closed.arrive();
            });
        }
        for (int i = 0; i < kClients; i++) {
            auto client = co_await world.net.connect((*listener)->local(), {}, patience(world));
            CO_ASSERT_OK(client);
            CO_ASSERT_OK(co_await say(world, **client, "x"));
            EXPECT_EQ(co_await hear(world, **client, 1), "1");
        }
        auto close_there = [&](ShardId shard) -> Task<void> {
            shared[static_cast<std::size_t>(shard)]->close();
            co_return;
        };
        for (ShardId shard : {0, 1}) co_await world.executor.run_on(shard, close_there(shard));
        CO_ASSERT(co_await closed.all(patience(world)));
    });
}

TEST_F(ListenContract, ConnectionsThatCameBeforeAcceptAreServed) {
    run([&](World& world) -> Task<void> {
        auto listener = world.net.listen(free_port(), {});
        CO_ASSERT_OK(listener);
        std::vector<std::unique_ptr<Stream>> clients;
        for (int i = 0; i < 5; i++) {
            auto stream = co_await world.net.connect((*listener)->local(), {}, patience(world));
            CO_ASSERT_OK(stream);
            clients.push_back(std::move(*stream));
        }
        Gathering served(world, 5);
        world.executor.spawn(serve(world, **listener, 5, served));
        for (auto& client : clients) {
            CO_ASSERT_OK(co_await say(world, *client, "z"));
            EXPECT_EQ(co_await hear(world, *client, 1), "z");
        }
        CO_ASSERT(co_await served.all(patience(world)));
    });
}

}  // namespace
}  // namespace postrider::contract
