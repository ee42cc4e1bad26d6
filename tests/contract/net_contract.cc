// tests/contract/net_contract.cc: what streams promise, over TCP, over Unix sockets and under TLS.
// Listening and connecting are in listen_contract.cc.

#include "contract/net_contract.h"

namespace postrider::contract {
namespace {

enum class Over : uint8_t {
    Tcp,
    Unix,
    Tls
};

// Each test runs over both kinds of endpoint, and under TLS.
class StreamContract : public NetContract, public testing::WithParamInterface<Over> {
protected:
    Task<std::optional<Pair>> linked(World& world) {
        bool is_unix = GetParam() == Over::Unix;
        auto pair = co_await connected(
            world, is_unix ? Endpoint(UnixEndpoint{path("s")}) : Endpoint(free_port()));
        if (pair && GetParam() == Over::Tls && !co_await secure(world, *pair)) pair.reset();
        co_return pair;
    }

    // Runs `body(world, client, server)` with the two ends of one connection.
    template <typename PairBody>
    void run_pair(PairBody body) {
        run([this, &body](World& world) -> Task<void> {
            auto pair = co_await linked(world);
            CO_ASSERT(pair);
            co_await body(world, *pair->client, *pair->server);
        });
    }
};

INSTANTIATE_TEST_SUITE_P(Over, StreamContract, testing::Values(Over::Tcp, Over::Unix, Over::Tls),
                         [](const auto& over) {
                             return over.param == Over::Tcp    ? "Tcp"
                                    : over.param == Over::Unix ? "Unix"
                                                               : "Tls";
                         });

TEST_P(StreamContract, RandomSizesArriveInOrderBothWays) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        constexpr std::size_t kOctets = 500'000;
        Gathering gathering(world, 4);
        std::string up = pattern(1, kOctets);
        std::string down = pattern(2, kOctets);
        std::string got_up;
        std::string got_down;
        auto send = [&](Stream& stream, std::string_view text) -> Task<void> {
            EXPECT_EQ(co_await write_in_random_pieces(world, stream, text), "");
            stream.shut_write();
            gathering.arrive();
        };
        auto receive = [&](Stream& stream, std::string& into) -> Task<void> {
            EXPECT_EQ(co_await read_to_end(world, stream, into), "");
            gathering.arrive();
        };
        world.executor.spawn(send(client, up));
        world.executor.spawn(send(server, down));
        world.executor.spawn(receive(server, got_up));
        world.executor.spawn(receive(client, got_down));
        CO_ASSERT(co_await gathering.all(patience(world)));
        EXPECT_TRUE(got_up == up);
        EXPECT_TRUE(got_down == down);
    });
}

TEST_P(StreamContract, TheEndIsReadAsZeroAgainAndAgain) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        CO_ASSERT_OK(co_await say(world, client, "bye"));
        client.shut_write();
        EXPECT_EQ(co_await hear(world, server, 3), "bye");
        std::array<char, 10> into;
        for (int i = 0; i < 2; i++) {
            CO_ASSERT_OK(co_await server.wait_readable(patience(world)));
            auto end = co_await server.read(into, patience(world));
            CO_ASSERT_OK(end);
            EXPECT_EQ(*end, 0u);
        }
    });
}

TEST_P(StreamContract, AfterShutWriteReadingGoesOn) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        client.shut_write();
        std::array<char, 10> into;
        EXPECT_EQ(*co_await server.read(into, patience(world)), 0u);
        CO_ASSERT_OK(co_await say(world, server, "still here"));
        EXPECT_EQ(co_await hear(world, client, 10), "still here");
        EXPECT_FALSE((co_await say(world, client, "no more")).has_value());
    });
}

TEST_P(StreamContract, ADeadlineThatPassesLeavesTheStreamUsable) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        std::array<char, 10> into;
        for (int i = 0; i < 3; i++) {
            Deadline soon = Deadline::after(world.clock.now(), 2ms);
            EXPECT_EQ(kind(co_await server.read(into, soon)), NetError::Kind::TimedOut);
            EXPECT_TRUE(soon.reached(world.clock.now()));
            Deadline again = Deadline::after(world.clock.now(), 1ms);
            EXPECT_EQ(kind(co_await server.wait_readable(again)), NetError::Kind::TimedOut);
            CO_ASSERT_OK(co_await say(world, server, "pong"));
            EXPECT_EQ(co_await hear(world, client, 4), "pong");
            CO_ASSERT_OK(co_await say(world, client, "ping"));
            CO_ASSERT_OK(co_await server.wait_readable(patience(world)));
            EXPECT_EQ(co_await hear(world, server, 4), "ping");
        }
    });
}

TEST_P(StreamContract, AnEarlierDeadlineAfterALaterOneIsKept) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        // The long deadline of this read must not hide the short one of the next.
        CO_ASSERT_OK(co_await say(world, client, "x"));
        EXPECT_EQ(co_await hear(world, server, 1), "x");
        Gathering gathering(world, 1);
        auto late = [&]() -> Task<void> {
            co_await world.clock.sleep_for(2ms);
            EXPECT_TRUE((co_await say(world, client, "y")).has_value());
            gathering.arrive();
        };
        world.executor.spawn(late());
        EXPECT_EQ(co_await hear(world, server, 1), "y");
        std::array<char, 10> into;
        Deadline soon = Deadline::after(world.clock.now(), 2ms);
        EXPECT_EQ(kind(co_await server.read(into, soon)), NetError::Kind::TimedOut);
        CO_ASSERT(co_await gathering.all(patience(world)));
    });
}

TEST_P(StreamContract, WaitReadableTakesNothing) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        CO_ASSERT_OK(co_await say(world, client, "abc"));
        CO_ASSERT_OK(co_await server.wait_readable(patience(world)));
        CO_ASSERT_OK(co_await server.wait_readable(patience(world)));
        EXPECT_EQ(co_await hear(world, server, 3), "abc");
    });
}

TEST_P(StreamContract, CloseWakesTheReader) {
    run_pair([&](World& world, Stream&, Stream& server) -> Task<void> {
        Gathering gathering(world, 1);
        bool ended = false;
        auto reader = [&]() -> Task<void> {
            std::array<char, 10> into;
            EXPECT_EQ(kind(co_await server.read(into, Deadline::never())), NetError::Kind::Closed);
            ended = true;
            gathering.arrive();
        };
        world.executor.spawn(reader());
        co_await round_trip(world);
        server.close();
        EXPECT_FALSE(ended) << "never inside the call";
        CO_ASSERT(co_await gathering.all(patience(world)));
        std::array<char, 10> into;
        EXPECT_EQ(kind(co_await server.read(into, patience(world))), NetError::Kind::Closed);
        EXPECT_EQ(kind(co_await server.wait_readable(patience(world))), NetError::Kind::Closed);
        EXPECT_EQ(kind(co_await say(world, server, "x")), NetError::Kind::Closed);
        server.close();  // again: nothing
    });
}

TEST_P(StreamContract, CloseWakesWaitReadable) {
    run_pair([&](World& world, Stream&, Stream& server) -> Task<void> {
        Gathering gathering(world, 1);
        auto waiter = [&]() -> Task<void> {
            EXPECT_EQ(kind(co_await server.wait_readable(patience(world))), NetError::Kind::Closed);
            gathering.arrive();
        };
        world.executor.spawn(waiter());
        co_await round_trip(world);
        server.close();
        CO_ASSERT(co_await gathering.all(patience(world)));
    });
}

TEST_P(StreamContract, WhatWasWrittenBeforeCloseArrives) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        // The client has sent what the server never reads; the last reply must reach it still.
        CO_ASSERT_OK(co_await say(world, client, pattern(3, 20'000)));
        CO_ASSERT_OK(co_await server.wait_readable(patience(world)));
        CO_ASSERT_OK(co_await say(world, server, "421 too many\r\n"));
        server.close();
        std::string got;
        co_await world.clock.sleep_for(5ms);  // a reset, if one was sent, would be here by now
        EXPECT_EQ(co_await read_to_end(world, client, got), "");
        EXPECT_EQ(got, "421 too many\r\n");
    });
}

TEST_P(StreamContract, LastWordsAndTheEndArriveThoughThePeerHasNotEnded) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        server.note_farewell();
        CO_ASSERT_OK(co_await say(world, server, "221 "));
        CO_ASSERT_OK(co_await say(world, server, "bye\r\n"));
        server.close();
        std::string got;
        EXPECT_EQ(co_await read_to_end(world, client, got), "");
        EXPECT_EQ(got, "221 bye\r\n");
    });
}

TEST_P(StreamContract, ALargeWriteReachesASlowReader) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        Gathering gathering(world, 1);
        std::string text = pattern(4, 8'000'000);  // more than any buffer on the way
        auto writer = [&]() -> Task<void> {
            std::string_view pieces[] = {std::string_view(text).substr(0, 3'000'001), "",
                                         std::string_view(text).substr(3'000'001)};
            auto wrote = co_await client.write(pieces, patience(world));
            EXPECT_TRUE(wrote.has_value()) << wrote.error().message;
            client.shut_write();
            gathering.arrive();
        };
        world.executor.spawn(writer());
        co_await world.clock.sleep_for(3ms);
        std::string got;
        EXPECT_EQ(co_await read_to_end(world, server, got), "");
        CO_ASSERT(co_await gathering.all(patience(world)));
        EXPECT_TRUE(got == text);
    });
}

TEST_P(StreamContract, AWriteNobodyReadsEndsAtItsDeadline) {
    run_pair([&](World& world, Stream& client, Stream&) -> Task<void> {
        std::string text = pattern(5, 16'000'000);
        std::string_view pieces[] = {text};
        Status<NetError> wrote;
        Deadline soon;
        for (int i = 0; i < 50 && wrote; i++) {  // the system's buffers may be large
            soon = Deadline::after(world.clock.now(), 5ms);
            wrote = co_await client.write(pieces, soon);
        }
        EXPECT_EQ(kind(wrote), NetError::Kind::TimedOut);
        EXPECT_TRUE(soon.reached(world.clock.now()));
    });
}

TEST_P(StreamContract, WritingToAClosedPeerFails) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        server.close();
        std::array<char, 10> into;
        (void)co_await client.read(into, patience(world));
        std::string text = pattern(6, 100'000);
        Status<NetError> wrote;
        for (int i = 0; i < 1000 && wrote; i++) {
            wrote = co_await say(world, client, text);
            co_await world.clock.sleep_for(1ms);
        }
        EXPECT_EQ(kind(wrote), NetError::Kind::Reset);
    });
}

TEST_P(StreamContract, ReadAndWriteWaitSideBySide) {
    run_pair([&](World& world, Stream& client, Stream& server) -> Task<void> {
        Gathering gathering(world, 1);
        auto reader = [&]() -> Task<void> {
            EXPECT_EQ(co_await hear(world, client, 5), "reply");
            gathering.arrive();
        };
        world.executor.spawn(reader());
        co_await round_trip(world);
        CO_ASSERT_OK(co_await say(world, client, "ask"));
        EXPECT_EQ(co_await hear(world, server, 3), "ask");
        CO_ASSERT_OK(co_await say(world, server, "reply"));
        CO_ASSERT(co_await gathering.all(patience(world)));
    });
}

TEST_P(StreamContract, AStreamMayBeDestroyedUnderItsReader) {
    run([&](World& world) -> Task<void> {
        auto pair = co_await linked(world);
        CO_ASSERT(pair);
        Gathering gathering(world, 1);
        auto reader = [&]() -> Task<void> {
            std::array<char, 10> into;
            EXPECT_EQ(kind(co_await pair->server->read(into, Deadline::never())),
                      NetError::Kind::Closed);
            gathering.arrive();
        };
        world.executor.spawn(reader());
        co_await round_trip(world);
        pair->server.reset();
        CO_ASSERT(co_await gathering.all(patience(world)));
        std::array<char, 10> into;
        auto end = co_await pair->client->read(into, patience(world));
        EXPECT_TRUE(!end || *end == 0);
    });
}

}  // namespace
}  // namespace postrider::contract
