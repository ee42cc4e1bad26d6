#include "world/real/socket_call.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <liburing.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "world/real/loop.h"
#include "world/real/real_world.h"
#include "world/real/socket.h"
#include "world/signal.h"

namespace postrider::world::real {
namespace {

using namespace std::chrono_literals;
using testing::Each;

// Sockets of a loop that does not run, each with its peer.
class SocketCallTest : public testing::Test {
protected:
    struct Pair {
        SocketRef ours;
        Fd theirs;
    };

    Pair make_pair() { return make_pair(loop_); }
    static Pair make_pair(Loop& loop) {
        std::array<int, 2> fds{};
        EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds.data()),
                  0);
        return {SocketRef(new Socket(loop, Fd(fds[0]))), Fd(fds[1])};
    }
    SocketCall& receive(Pair& pair, std::span<char> into) {
        return *calls_.emplace_back(new SocketCall(*pair.ours, into));
    }
    SocketCall& send(Pair& pair, std::span<const std::string_view> pieces, std::size_t skip = 0) {
        return *calls_.emplace_back(new SocketCall(*pair.ours, pieces, skip));
    }
    static std::string taken_from(const Fd& fd) {
        std::string out(1000, 0);
        ssize_t got = ::recv(fd.get(), out.data(), out.size(), 0);
        out.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        return out;
    }
    static void put_into(const Fd& fd, std::string_view octets) {
        EXPECT_EQ(::send(fd.get(), octets.data(), octets.size(), 0),
                  static_cast<ssize_t>(octets.size()));
    }

    // All of them, as a loop makes them: over the ring, or one by one.
    void make_all(CallRing* ring) {
        std::vector<SocketCall*> calls{nullptr};  // one that nobody waits for
        for (auto& call : calls_) calls.push_back(call.get());
        if (ring) {
            EXPECT_TRUE(ring->make(calls));
        } else {
            for (auto& call : calls_) call->make();
        }
    }
    // Calls `body` with a ring and without, so far as there is one.
    template <typename Body>
    void each_way(Body body) {
        for (bool with_ring : {false, true}) {
            SCOPED_TRACE(with_ring ? "together" : "one by one");
            auto ring = with_ring ? CallRing::make_one() : nullptr;
            if (with_ring && !ring) std::puts("no io_uring here");
            body(ring.get());
            calls_.clear();
        }
    }

    Loop loop_{0, nullptr};
    std::vector<std::unique_ptr<SocketCall>> calls_;
};

TEST_F(SocketCallTest, EachIsAnsweredAsTheSystemsCallWouldBe) {
    each_way([&](CallRing* ring) {
        std::array<Pair, 6> pairs;
        for (Pair& pair : pairs) pair = make_pair();
        std::array<std::array<char, 8>, 3> into{};
        put_into(pairs[0].theirs, "hello");
        pairs[2].theirs.reset();
        pairs[5].theirs.reset();
        std::array<std::string_view, 1> word{"abcdef"};
        std::array<std::string_view, 3> words{"one ", "two ", "three"};

        auto& full = receive(pairs[0], into[0]);
        auto& empty = receive(pairs[1], into[1]);
        auto& ended = receive(pairs[2], into[2]);
        auto& sent = send(pairs[3], word, 2);
        auto& several = send(pairs[4], words, 1);
        auto& broken = send(pairs[5], word);
        make_all(ring);

        EXPECT_EQ(full.result, 5);
        EXPECT_EQ(std::string_view(into[0].data(), 5), "hello");
        EXPECT_EQ(empty.result, -EAGAIN);
        EXPECT_EQ(ended.result, 0);
        EXPECT_EQ(sent.result, 4);
        EXPECT_EQ(taken_from(pairs[3].theirs), "cdef");
        EXPECT_EQ(several.result, 12);
        EXPECT_EQ(taken_from(pairs[4].theirs), "ne two three");
        EXPECT_EQ(broken.result, -EPIPE);  // and no signal
    });
}

TEST_F(SocketCallTest, NoCallIsMadeOnASideThatWasClosed) {
    each_way([&](CallRing* ring) {
        std::array<Pair, 3> pairs;
        for (Pair& pair : pairs) pair = make_pair();
        std::array<char, 8> into{};
        std::array<std::string_view, 1> word{"abc"};
        put_into(pairs[1].theirs, "x");
        send(pairs[0], word);
        send(pairs[1], word);
        receive(pairs[2], into);
        auto& still = receive(pairs[1], into);
        pairs[0].ours->close();
        pairs[1].ours->shut_write();
        pairs[2].ours->close();
        make_all(ring);
        EXPECT_EQ(calls_[0]->result, -ECANCELED);
        EXPECT_EQ(calls_[1]->result, -ECANCELED);
        EXPECT_EQ(calls_[2]->result, -ECANCELED);
        EXPECT_EQ(still.result, 1);
        EXPECT_EQ(taken_from(pairs[0].theirs), "");
    });
}

TEST_F(SocketCallTest, MoreThanTheRingHoldsAreMadeInTheirOrder) {
    constexpr std::size_t kCalls = 270;  // more would not fit into a socket
    each_way([&](CallRing* ring) {
        Pair pair = make_pair();
        std::vector<std::string> texts;
        texts.reserve(kCalls);
        for (std::size_t i = 0; i < kCalls; i++) texts.push_back(fmt::format("{:04} ", i));
        std::vector<std::string_view> words(texts.begin(), texts.end());
        std::string all;
        for (std::size_t i = 0; i < kCalls; i++) {
            // Now and then one of those that are not made over the ring.
            send(pair, std::span(words).subspan(i, i % 100 == 50 && i + 1 < kCalls ? 2 : 1));
            all += words[i];
            if (i % 100 == 50 && i + 1 < kCalls) all += words[i + 1];
        }
        make_all(ring);
        std::vector<ssize_t> results;
        results.reserve(calls_.size());
        for (auto& call : calls_) results.push_back(call->result);
        EXPECT_THAT(results, Each(testing::AnyOf(5, 10)));
        std::string came;
        for (std::string part; !(part = taken_from(pair.theirs)).empty();) came += part;
        EXPECT_EQ(came, all);
    });
}

TEST_F(SocketCallTest, WhatDoesNotFitIsNotWaitedFor) {
    each_way([&](CallRing* ring) {
        Pair pair = make_pair();
        std::string much(16 << 20, 'x');
        std::array<std::string_view, 1> word{much};
        auto& first = send(pair, word);
        auto& second = send(pair, word);
        make_all(ring);
        EXPECT_GT(first.result, 0);
        EXPECT_LT(first.result, static_cast<ssize_t>(much.size()));
        EXPECT_EQ(second.result, -EAGAIN);
    });
}

TEST_F(SocketCallTest, WhatNobodyWaitsForAnyMoreIsNotMade) {
    each_way([&](CallRing* ring) {
        Loop loop(0, ring ? CallRing::make_one() : nullptr);
        Pair pair = make_pair(loop);
        Pair other = make_pair(loop);
        put_into(pair.theirs, "kept");
        std::array<char, 8> into{};
        loop.post([&] {
            auto gone = std::make_unique<SocketCall>(*pair.ours, into);
            auto stays = std::make_unique<SocketCall>(*other.ours, into);
            loop.add_call(*gone);
            gone->waiting = stays->waiting = std::noop_coroutine();
            loop.add_call(*stays);
            gone.reset();
            calls_.push_back(std::move(stays));
            loop.post([&] { loop.post([&] { loop.stop(); }); });  // after the calls of this turn
        });
        loop.run();
        EXPECT_EQ(calls_[0]->result, -EAGAIN);
        EXPECT_EQ(::recv(pair.ours->fd(), into.data(), into.size(), 0), 4);
        calls_.clear();
    });
}

TEST_F(SocketCallTest, TheRingDoesNothingButReceiveAndSend) {
    auto ring = CallRing::make_one();
    if (!ring) GTEST_SKIP() << "no io_uring here";
    for (int operation = 0; operation < IORING_OP_LAST; operation++) {
        auto number = static_cast<uint8_t>(operation);
        bool allowed = number == IORING_OP_RECV || number == IORING_OP_SEND;
        EXPECT_EQ(ring->answer_to(number), allowed ? -EBADF : -EACCES) << operation;
    }
}

// A server that gives back what it gets, and clients that compare. All at once, so that a turn of
// the loop has many calls to make.
class Echo {
public:
    static constexpr int kClients = 40;
    static constexpr int kLines = 30;

    Echo(World& world, Listener& listener) : world_(world), listener_(listener) {}

    Task<void> run() {
        world_.executor.spawn(serve());
        for (int i = 0; i < kClients; i++) world_.executor.spawn(talk(i));
        while (left_ > 0 && co_await done_.wait(patience())) {
        }
    }
    int answered() const { return answered_; }

private:
    static Deadline patience() { return Deadline::after(monotonic_now(), 60s); }

    Task<void> serve() {
        while (true) {
            auto stream = co_await listener_.accept();
            if (!stream) co_return;
            world_.executor.spawn(give_back(std::move(*stream)));
        }
    }
    static Task<void> give_back(std::unique_ptr<Stream> stream) {
        std::array<char, 4096> part;
        while (true) {
            if (!co_await stream->wait_readable(patience())) co_return;
            auto got = co_await stream->read(part, patience());
            if (!got || *got == 0) co_return;
            // Now in one piece, now in two.
            std::string_view whole(part.data(), *got);
            std::array<std::string_view, 2> pieces{whole.substr(0, whole.size() / 2),
                                                   whole.substr(whole.size() / 2)};
            bool halved = whole.size() % 2 == 0;
            std::array<std::string_view, 1> piece{whole};
            auto written = halved ? co_await stream->write(pieces, patience())
                                  : co_await stream->write(piece, patience());
            if (!written) co_return;
        }
    }
    Task<void> talk(int number) {
        auto stream = *co_await world_.net.connect(listener_.local(), {}, patience());
        for (int line = 0; line < kLines; line++) {
            // Every fifth client leaves while the server may have something to do for it.
            bool leaves = number % 5 == 4 && line == kLines / 2;
            std::string said(static_cast<std::size_t>(1 + (number * 977 + line * 131) % 9000),
                             static_cast<char>('a' + (number + line) % 26));
            std::array<std::string_view, 1> piece{said};
            if (!co_await stream->write(piece, patience()) || leaves) break;
            std::string heard(said.size(), 0);
            for (std::size_t have = 0; have < heard.size();) {
                auto got = co_await stream->read(std::span(heard).subspan(have), patience());
                EXPECT_TRUE(got && *got > 0);
                if (!got || *got == 0) break;
                have += *got;
            }
            EXPECT_EQ(heard, said) << number << ' ' << line;
            answered_ += heard == said ? 1 : 0;
        }
        stream->close();
        left_--;
        done_.notify_all();
    }

    World& world_;
    Listener& listener_;
    Signal done_{world_.executor, world_.clock};
    int left_ = kClients;
    int answered_ = 0;
};

TEST(ManyAtOnce, AreServedWithRingsAndWithout) {
    for (bool rings : {false, true}) {
        NoLog log;
        RealWorld real({.shards = 1, .workers = 1, .rings = rings}, log);
        World world = real.world();
        auto listener = *world.net.listen(IpEndpoint{*IpAddress::parse("127.0.0.1"), 0}, {});
        auto task = [&]() -> Task<void> {
            Echo echo(world, *listener);
            co_await echo.run();
            EXPECT_EQ(echo.answered(), Echo::kClients * Echo::kLines -
                                           Echo::kClients / 5 * (Echo::kLines - Echo::kLines / 2))
                << "rings: " << rings;
            real.stop();
        };
        real.executor().post_to(0, [&] { real.executor().spawn(task()); });
        real.run();
    }
}

}  // namespace
}  // namespace postrider::world::real
