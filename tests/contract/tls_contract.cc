// tests/contract/tls_contract.cc: what Tls promises beyond a stream (net_contract.cc has those).

#include "contract/net_contract.h"

namespace postrider::contract {
namespace {

class TlsContract : public NetContract {
protected:
    using Streams = std::pair<Result<std::unique_ptr<TlsStream>, TlsError>,
                              Result<std::unique_ptr<TlsStream>, TlsError>>;

    // A handshake over a fresh connection: what came of it, for the client and for the server.
    Task<std::optional<Streams>> shake(World& world, TlsClientOptions client_options, TlsPeer peer,
                                       Deadline server_deadline) {
        auto pair = co_await connected(world, free_port());
        auto server = world.tls.server_context({.certificates = {contract().certificate()}});
        auto client = world.tls.client_context(std::move(client_options));
        if (!pair || !server || !client) co_return std::nullopt;
        Streams streams{std::unexpected(TlsError{}), std::unexpected(TlsError{})};
        Gathering gathering(world, 1);
        auto accepting = [&]() -> Task<void> {
            streams.second =
                co_await world.tls.accept(std::move(pair->server), *server, server_deadline);
            gathering.arrive();
        };
        world.executor.spawn(accepting());
        streams.first = co_await world.tls.connect(std::move(pair->client), *client,
                                                   std::move(peer), patience(world));
        if (!co_await gathering.all(patience(world))) co_return std::nullopt;
        co_return streams;
    }
    TlsClientOptions trusting() { return {.roots_pem = contract().roots(), .system_roots = false}; }
};

constexpr auto kName = TlsPeer::Check::Name;

TEST_F(TlsContract, FactsAreTheSameOnBothSides) {
    run([&](World& world) -> Task<void> {
        auto streams =
            co_await shake(world, trusting(), {"mx.wild.example", kName}, patience(world));
        CO_ASSERT(streams);
        CO_ASSERT_OK(streams->first);
        CO_ASSERT_OK(streams->second);
        const TlsFacts& client = (*streams->first)->facts();
        const TlsFacts& server = (*streams->second)->facts();
        EXPECT_EQ(client.version, "TLSv1.3");
        EXPECT_EQ(server.version, client.version);
        EXPECT_EQ(server.cipher, client.cipher);
        EXPECT_FALSE(client.cipher.empty());
        EXPECT_EQ(server.server_name, "mx.wild.example");
        EXPECT_EQ(client.peer, TlsFacts::Peer::Verified);
        EXPECT_EQ(client.peer_names,
                  (std::vector<std::string>{"contract.example", "*.wild.example"}));
        EXPECT_EQ(server.peer, TlsFacts::Peer::None);
        auto binding = (*streams->first)->channel_binding(ChannelBinding::TlsExporter);
        EXPECT_TRUE(binding && !binding->empty());
        EXPECT_EQ(binding, (*streams->second)->channel_binding(ChannelBinding::TlsExporter));
        EXPECT_EQ((*streams->first)->channel_binding(ChannelBinding::TlsUnique), std::nullopt);
        auto end_point = (*streams->first)->channel_binding(ChannelBinding::TlsServerEndPoint);
        EXPECT_TRUE(end_point && !end_point->empty());
        EXPECT_EQ(end_point,
                  (*streams->second)->channel_binding(ChannelBinding::TlsServerEndPoint));
    });
}

TEST_F(TlsContract, AWrongNameFailsWhereItIsCheckedAndIsToldWhereNot) {
    run([&](World& world) -> Task<void> {
        auto checked = co_await shake(world, trusting(), {"other.example", kName}, patience(world));
        CO_ASSERT(checked);
        CO_ASSERT(!checked->first && !checked->second);
        EXPECT_EQ(checked->first.error().kind, TlsError::Kind::Certificate);
        EXPECT_NE(checked->first.error().message.find("hostname mismatch"), std::string::npos)
            << checked->first.error().message;

        auto unchecked = co_await shake(world, trusting(), {"other.example"}, patience(world));
        CO_ASSERT(unchecked);
        CO_ASSERT_OK(unchecked->first);
        EXPECT_EQ((*unchecked->first)->facts().peer, TlsFacts::Peer::NotVerified);
        EXPECT_FALSE((*unchecked->first)->facts().not_verified.empty());
    });
}

TEST_F(TlsContract, AnUnknownRootFailsWhereItIsChecked) {
    run([&](World& world) -> Task<void> {
        auto streams = co_await shake(world, {.roots_pem = {}, .system_roots = false},
                                      {"contract.example", kName}, patience(world));
        CO_ASSERT(streams);
        CO_ASSERT(!streams->first);
        EXPECT_EQ(streams->first.error().kind, TlsError::Kind::Certificate);
    });
}

TEST_F(TlsContract, APeerThatSpeaksNoTlsFailsWithAReason) {
    run([&](World& world) -> Task<void> {
        auto pair = co_await connected(world, free_port());
        auto server = world.tls.server_context({.certificates = {contract().certificate()}});
        CO_ASSERT(pair && server);
        CO_ASSERT_OK(co_await say(world, *pair->client, "EHLO not.tls.example\r\n"));
        auto stream = co_await world.tls.accept(std::move(pair->server), *server, patience(world));
        CO_ASSERT(!stream);
        EXPECT_EQ(stream.error().kind, TlsError::Kind::Protocol);
        EXPECT_FALSE(stream.error().message.empty());
    });
}

TEST_F(TlsContract, ASilentPeerEndsAtTheDeadline) {
    run([&](World& world) -> Task<void> {
        auto pair = co_await connected(world, free_port());
        auto server = world.tls.server_context({.certificates = {contract().certificate()}});
        CO_ASSERT(pair && server);
        Deadline soon = Deadline::after(world.clock.now(), 3ms);
        auto stream = co_await world.tls.accept(std::move(pair->server), *server, soon);
        CO_ASSERT(!stream);
        EXPECT_EQ(stream.error().kind, TlsError::Kind::TimedOut);
        EXPECT_TRUE(soon.reached(world.clock.now()));
    });
}

TEST_F(TlsContract, APeerThatGoesInTheMiddleIsToldAsLost) {
    run([&](World& world) -> Task<void> {
        auto pair = co_await connected(world, free_port());
        auto client = world.tls.client_context(trusting());
        CO_ASSERT(pair && client);
        pair->server->close();
        auto stream = co_await world.tls.connect(std::move(pair->client), *client,
                                                 {"contract.example"}, patience(world));
        CO_ASSERT(!stream);
        EXPECT_EQ(stream.error().kind, TlsError::Kind::Lost);
    });
}

// An attacker who can cut a connection must not be able to make a short message look whole.
TEST_F(TlsContract, AnEndWithoutGoodbyeIsNoEnd) {
    run([&](World& world) -> Task<void> {
        auto pair = co_await connected(world, free_port());
        CO_ASSERT(pair);
        std::shared_ptr<Stream> below = std::move(pair->client);
        auto server = world.tls.server_context({.certificates = {contract().certificate()}});
        auto client = world.tls.client_context(trusting());
        CO_ASSERT(server && client);
        Gathering gathering(world, 1);
        std::unique_ptr<TlsStream> accepted;
        auto accepting = [&]() -> Task<void> {
            auto stream =
                co_await world.tls.accept(std::move(pair->server), *server, patience(world));
            if (stream) accepted = std::move(*stream);
            gathering.arrive();
        };
        world.executor.spawn(accepting());
        auto stream =
            co_await world.tls.connect(below, *client, {"contract.example"}, patience(world));
        CO_ASSERT_OK(stream);
        CO_ASSERT(co_await gathering.all(patience(world)) && accepted);
        CO_ASSERT_OK(co_await say(world, **stream, "all of it?"));
        EXPECT_EQ(co_await hear(world, *accepted, 10), "all of it?");
        below->shut_write();
        std::array<char, 10> into;
        EXPECT_EQ(kind(co_await accepted->read(into, patience(world))), NetError::Kind::Reset);
    });
}

TEST_F(TlsContract, WhatIsNoCertificateIsRefusedWithItsName) {
    run([&](World& world) -> Task<void> {
        TlsCertificate wrong = contract().certificate();
        wrong.name = "/etc/wrong.pem";
        wrong.chain_pem = "not a certificate";
        auto context = world.tls.server_context({.certificates = {wrong}});
        CO_ASSERT(!context);
        EXPECT_EQ(context.error().kind, TlsError::Kind::Settings);
        EXPECT_NE(context.error().message.find("/etc/wrong.pem"), std::string::npos);
        EXPECT_FALSE(world.tls.server_context({}).has_value());
        co_return;
    });
}

}  // namespace
}  // namespace postrider::contract
