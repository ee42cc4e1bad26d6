// tests/contract/net_contract.h: the words in which the tests of Net are written.

#pragma once

#include <algorithm>
#include <array>

#include "contract/contract_world.h"

namespace postrider::contract {

template <typename T>
std::optional<NetError::Kind> kind(const Result<T, NetError>& result) {
    if (result) return std::nullopt;
    EXPECT_FALSE(result.error().message.empty());
    return result.error().kind;
}

// Octets that differ by `seed` and do not repeat in short.
inline std::string pattern(uint64_t seed, std::size_t octets) {
    std::string out(octets, '\0');
    uint64_t state = seed * 0x9e3779b97f4a7c15 + 1;
    for (char& octet : out) {
        state = state * 6364136223846793005 + 1442695040888963407;
        octet = static_cast<char>(state >> 56);
    }
    return out;
}

class NetContract : public Contract {
protected:
    struct Pair {
        std::unique_ptr<Listener> listener;
        std::unique_ptr<Stream> client;
        std::unique_ptr<Stream> server;
    };

    // Both ends of a connection made through a listener at `where`.
    static Task<std::optional<Pair>> connected(World& world, Endpoint where) {
        Pair pair;
        auto listener = world.net.listen(where, {});
        EXPECT_TRUE(listener.has_value()) << listener.error().message;
        if (!listener) co_return std::nullopt;
        pair.listener = std::move(*listener);
        Gathering gathering(world, 1);
        auto accepting = [&]() -> Task<void> {
            auto stream = co_await pair.listener->accept();
            EXPECT_TRUE(stream.has_value()) << stream.error().message;
            if (stream) pair.server = std::move(*stream);
            gathering.arrive();
        };
        world.executor.spawn(accepting());
        auto client = co_await world.net.connect(pair.listener->local(), {}, patience(world));
        EXPECT_TRUE(client.has_value()) << client.error().message;
        if (!client) pair.listener->close();
        bool accepted = co_await gathering.all(patience(world));
        if (!client || !accepted || !pair.server) co_return std::nullopt;
        pair.client = std::move(*client);
        co_return pair;
    }

    // The same connection under TLS.
    Task<bool> secure(World& world, Pair& pair) {
        auto server = world.tls.server_context({.certificates = {contract().certificate()}});
        auto client =
            world.tls.client_context({.roots_pem = contract().roots(), .system_roots = false});
        EXPECT_TRUE(server.has_value()) << server.error().message;
        EXPECT_TRUE(client.has_value()) << client.error().message;
        if (!server || !client) co_return false;
        Gathering gathering(world, 1);
        auto accepting = [&]() -> Task<void> {
            auto stream =
                co_await world.tls.accept(std::move(pair.server), *server, patience(world));
            EXPECT_TRUE(stream.has_value()) << stream.error().message;
            if (stream) pair.server = std::move(*stream);
            gathering.arrive();
        };
        world.executor.spawn(accepting());
        auto stream = co_await world.tls.connect(
            std::move(pair.client), *client,
            {.name = "contract.example", .check = TlsPeer::Check::Name}, patience(world));
        EXPECT_TRUE(stream.has_value()) << stream.error().message;
        if (stream) pair.client = std::move(*stream);
        co_return co_await gathering.all(patience(world)) && pair.client&& pair.server;
    }

    static Task<Status<NetError>> say(World& world, Stream& stream, std::string text) {
        std::string_view pieces[] = {text};
        co_return co_await stream.write(pieces, patience(world));
    }

    // Exactly `octets` octets, or the error's words.
    static Task<std::string> hear(World& world, Stream& stream, std::size_t octets) {
        std::string out;
        std::array<char, 1024> into;
        while (out.size() < octets) {
            std::size_t ask = std::min(into.size(), octets - out.size());
            auto got = co_await stream.read(std::span(into).first(ask), patience(world));
            if (!got) co_return "<" + got.error().message + ">";
            if (*got == 0) co_return out + "<end>";
            out.append(into.data(), *got);
        }
        co_return out;
    }

    // Appends all until the end; the error's words, or nothing.
    static Task<std::string> read_to_end(World& world, Stream& stream, std::string& out) {
        std::vector<char> into(64 * 1024);
        while (true) {
            std::size_t ask = 1 + world.random.below(into.size());
            auto got = co_await stream.read(std::span(into).first(ask), patience(world));
            if (!got) co_return got.error().message;
            if (*got == 0) co_return "";
            out.append(into.data(), *got);
        }
    }

    static Task<std::string> write_in_random_pieces(World& world, Stream& stream,
                                                    std::string_view text) {
        while (!text.empty()) {
            std::vector<std::string_view> pieces;
            for (uint64_t i = world.random.below(100); i > 0; i--) {
                std::size_t size = std::min<std::size_t>(text.size(), world.random.below(500));
                pieces.push_back(text.substr(0, size));
                text.remove_prefix(size);
            }
            auto wrote = co_await stream.write(pieces, patience(world));
            if (!wrote) co_return wrote.error().message;
        }
        co_return "";
    }
};

}  // namespace postrider::contract
