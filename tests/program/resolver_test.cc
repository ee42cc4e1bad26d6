// tests/program/resolver_test.cc: the real resolver and routing over it, against somebody else's
// name server.
//
// Goal: what stands in a zone arrives as it stands there; what does not exist, what fails and what
// is silent are kept apart; deadlines, shards and limits hold. Method: NSD on loopback as the
// forwarder, the zones beside this file; a bound socket that never answers.

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "route/hosts.h"
#include "tests/program/name_server.h"
#include "world/real/real_world.h"
#include "world/signal.h"

namespace postrider::world::real {
namespace {

using namespace std::chrono_literals;
using dns::Answer;
using dns::Name;
using dns::Type;
using Failure = Answer::Failure;
using Status = Answer::Status;

class RealResolverTest : public testing::Test {
protected:
    // One server for all tests but those that kill their own.
    static void SetUpTestSuite() {
        server_ = new NameServer();
        auto started = server_->start();
        ASSERT_TRUE(started) << started.error().message;
    }
    static void TearDownTestSuite() { delete std::exchange(server_, nullptr); }

    template <typename Body>
    void run(ResolverOptions options, Body body, int shards = 1) {
        NoLog log;
        RealWorld real({.shards = shards, .workers = 1, .resolver = std::move(options)}, log);
        World world = real.world();
        auto task = [&]() -> Task<void> {
            co_await body(world);
            real.stop();
        };
        real.executor().post_to(0, [&] { real.executor().spawn(task()); });
        real.run();
    }
    template <typename Body>
    void run(Body body) {
        run({.forwarders = {server_->forwarder()}}, body);
    }

    static Task<Answer> ask(World& world, std::string_view name, Type type,
                            Duration patience = 30s) {
        return world.resolver.query({*Name::parse(name), type},
                                    Deadline::after(world.clock.now(), patience));
    }

    static NameServer* server_;
};

NameServer* RealResolverTest::server_ = nullptr;

std::vector<std::string> texts(const Answer& answer) {
    std::vector<std::string> out;
    for (const dns::Rdata& rdata : answer.records) out.push_back(text(rdata));
    std::sort(out.begin(), out.end());
    return out;
}

// A UDP socket on loopback that takes questions and is silent.
class SilentServer {
public:
    SilentServer() : fd_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
        sockaddr_in at{};
        at.sin_family = AF_INET;
        at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t size = sizeof at;
        ::bind(fd_, reinterpret_cast<sockaddr*>(&at), size);
        ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
        port_ = ntohs(at.sin_port);
    }
    ~SilentServer() { ::close(fd_); }
    std::string forwarder() const { return "127.0.0.1@" + std::to_string(port_); }

private:
    int fd_;
    uint16_t port_ = 0;
};

struct RecordCase {
    std::string name;
    Type type;
    Status status;
    std::vector<std::string> want;
};

const RecordCase kRecords[] = {
    {"plain.example", Type::Mx, Status::Ok, {"10 mx1.example", "20 mx2.example"}},
    {"PLAIN.Example.", Type::Mx, Status::Ok, {"10 mx1.example", "20 mx2.example"}},
    {"mx2.example", Type::A, Status::Ok, {"192.0.2.2"}},
    {"mx2.example", Type::Aaaa, Status::Ok, {"2001:db8::2"}},
    {"null.example", Type::Mx, Status::Ok, {"0 ."}},
    {"alias.example", Type::Mx, Status::Ok, {"10 mx1.example", "20 mx2.example"}},
    {"alias.example", Type::Cname, Status::Ok, {"plain.example"}},
    {"texts.example", Type::Txt, Status::Ok, {"\"v=spf1 -all and more\\195\\188\""}},
    {"_25._tcp.mx1.example", Type::Tlsa, Status::Ok, {"3 1 1 ab01cd02"}},
    {"1.2.0.192.in-addr.arpa", Type::Ptr, Status::Ok, {"mx1.example"}},
    {"our.test", Type::Mx, Status::Ok, {"10 mx.our.test"}},
    {"mx1.example", Type::Mx, Status::NoData, {}},
    {"_tcp.mx1.example", Type::A, Status::NoData, {}},
    {"gone.example", Type::Mx, Status::NxDomain, {}},
    {"dangling.example", Type::Mx, Status::NxDomain, {}},
    {"ring1.example", Type::A, Status::Temporary, {}},
    {"not-served.invalid-zone", Type::A, Status::Temporary, {}},
};

TEST_F(RealResolverTest, WhatStandsInTheZoneArrives) {
    run([](World& world) -> Task<void> {
        for (const RecordCase& c : kRecords) {
            SCOPED_TRACE(c.name);
            Answer answer = co_await ask(world, c.name, c.type);
            EXPECT_EQ(answer.status, c.status) << answer.reason;
            EXPECT_EQ(texts(answer), c.want);
            EXPECT_EQ(answer.failure == Failure::None, answer.status != Status::Temporary);
            EXPECT_FALSE(answer.secure);
        }
    });
}

TEST_F(RealResolverTest, TtlsAreTheZones) {
    run([](World& world) -> Task<void> {
        Answer answer = co_await ask(world, "implicit.example", Type::A);
        EXPECT_EQ(answer.ttl_seconds, 300u);
        answer = co_await ask(world, "alias.example", Type::Mx);
        EXPECT_EQ(answer.ttl_seconds, 60u);
        EXPECT_EQ(answer.canonical_name, *Name::parse("plain.example"));
        // RFC 2308 §5: of negative answers, the last field of the SOA.
        answer = co_await ask(world, "gone.example", Type::A);
        EXPECT_EQ(answer.ttl_seconds, 120u);
        answer = co_await ask(world, "mx1.example", Type::Mx);
        EXPECT_EQ(answer.ttl_seconds, 120u);
        answer = co_await ask(world, "no-ttl.example", Type::A);
        EXPECT_EQ(answer.ttl_seconds, 0u);
    });
}

TEST_F(RealResolverTest, AnAnswerTooLargeForADatagramArrives) {
    run([](World& world) -> Task<void> {
        Answer answer = co_await ask(world, "large.example", Type::Txt);
        EXPECT_EQ(answer.status, Status::Ok) << answer.reason;
        if (answer.status == Status::Ok) {
            EXPECT_EQ(answer.all<dns::Txt>().at(0).text.size(), 7u * 250);
        }
    });
}

TEST_F(RealResolverTest, EachShardGetsItsAnswers) {
    run(
        {.forwarders = {server_->forwarder()}},
        [](World& world) -> Task<void> {
            constexpr int kPerShard = 50;
            int missing = 3 * kPerShard;
            Signal changed(world.executor, world.clock);
            auto one = [](World& w, int shard, int& open, Signal& done) -> Task<void> {
                Answer answer = co_await ask(w, "plain.example", Type::Mx);
                EXPECT_EQ(answer.status, Status::Ok);
                EXPECT_EQ(w.executor.current_shard(), shard);
                w.executor.post_to(0, [&] {
                    if (--open == 0) done.notify_all();
                });
            };
            for (int shard = 0; shard < 3; shard++) {
                world.executor.post_to(shard, [&world, &missing, &changed, one, shard] {
                    for (int i = 0; i < kPerShard; i++) {
                        world.executor.spawn(one(world, shard, missing, changed));
                    }
                });
            }
            while (missing > 0) co_await changed.wait(Deadline::never());
        },
        3);
}

TEST_F(RealResolverTest, SilenceEndsAtTheDeadline) {
    SilentServer silent;
    run({.forwarders = {silent.forwarder()}}, [](World& world) -> Task<void> {
        Monotonic begun = world.clock.now();
        Answer answer = co_await ask(world, "plain.example", Type::Mx, 300ms);
        EXPECT_EQ(answer.failure, Failure::Timeout);
        EXPECT_GE(world.clock.now() - begun, 300ms);
    });
}

TEST_F(RealResolverTest, TheSameQuestionIsOpenOnce) {
    SilentServer silent;
    run({.forwarders = {silent.forwarder()}, .outstanding_max = 1}, [](World& world) -> Task<void> {
        int open = 20;
        Signal changed(world.executor, world.clock);
        auto one = [](World& w, int& left, Signal& done) -> Task<void> {
            Answer answer = co_await ask(w, "plain.example", Type::Mx, 300ms);
            EXPECT_EQ(answer.failure, Failure::Timeout);
            if (--left == 0) done.notify_all();
        };
        for (int i = 0; i < 20; i++) world.executor.spawn(one(world, open, changed));
        co_await world.executor.switch_to(0);
        co_await world.executor.switch_to(0);
        Answer other = co_await ask(world, "mx1.example", Type::A, 100ms);
        EXPECT_EQ(other.failure, Failure::TooMany);
        while (open > 0) co_await changed.wait(Deadline::never());
        // Those who gave up made room.
        other = co_await ask(world, "mx1.example", Type::A, 50ms);
        EXPECT_EQ(other.failure, Failure::Timeout);
    });
}

TEST_F(RealResolverTest, QuestionsBeyondTheLimitWaitForRoom) {
    run({.forwarders = {server_->forwarder()}, .outstanding_max = 2},
        [](World& world) -> Task<void> {
            int open = 300;
            Signal changed(world.executor, world.clock);
            auto one = [](World& w, int number, int& left, Signal& done) -> Task<void> {
                // Each name three times, so that some find their answer when room comes.
                std::string name = fmt::format("h{}.example", number / 3);
                Answer answer = co_await ask(w, name, Type::A);
                EXPECT_EQ(answer.status, Status::NxDomain) << answer.reason;
                if (--left == 0) done.notify_all();
            };
            for (int i = 0; i < 300; i++) world.executor.spawn(one(world, i, open, changed));
            while (open > 0) co_await changed.wait(Deadline::never());
        });
}

TEST_F(RealResolverTest, StopsWhileQuestionsAreOpen) {
    SilentServer silent;
    run(
        {.forwarders = {silent.forwarder()}},
        [](World& world) -> Task<void> {
            auto one = [](World& w, std::string name) -> Task<void> {
                co_await ask(w, name, Type::A);
                ADD_FAILURE() << "nobody answers";
            };
            for (int shard = 0; shard < 2; shard++) {
                world.executor.post_to(shard, [&world, one, shard] {
                    for (int i = 0; i < 10; i++) {
                        world.executor.spawn(one(world, fmt::format("h{}-{}.example", shard, i)));
                    }
                });
            }
            co_await world.clock.sleep_for(50ms);
        },
        2);
}

TEST_F(RealResolverTest, AServerThatComesBackIsAsked) {
    NameServer own;
    run({.forwarders = {own.forwarder()}}, [&](World& world) -> Task<void> {
        Answer answer = co_await ask(world, "plain.example", Type::Mx, 3s);
        EXPECT_EQ(answer.status, Status::Temporary);
        auto started = own.start();
        EXPECT_TRUE(started);
        // libunbound keeps a failure for some seconds.
        Monotonic begun = world.clock.now();
        while (answer.status == Status::Temporary && world.clock.now() - begun < 60s) {
            answer = co_await ask(world, "plain.example", Type::Mx, 3s);
            co_await world.clock.sleep_for(100ms);
        }
        EXPECT_EQ(answer.status, Status::Ok) << answer.reason;
    });
}

TEST_F(RealResolverTest, AnswersAreKeptWhileTheServerIsGone) {
    NameServer own;
    ASSERT_TRUE(own.start());
    run({.forwarders = {own.forwarder()}}, [&](World& world) -> Task<void> {
        Answer before = co_await ask(world, "plain.example", Type::Mx);
        Answer gone = co_await ask(world, "gone.example", Type::Mx);
        own.kill();
        Answer after = co_await ask(world, "plain.example", Type::Mx);
        EXPECT_EQ(after.status, Status::Ok);
        EXPECT_EQ(texts(after), texts(before));
        EXPECT_EQ(gone.status, Status::NxDomain);
        gone = co_await ask(world, "gone.example", Type::Mx);
        EXPECT_EQ(gone.status, Status::NxDomain);
    });
}

TEST_F(RealResolverTest, SignaturesAreCheckedByTheTrustAnchors) {
    NameServer own;
    auto ready = own.sign_zones();
    ASSERT_TRUE(ready) << ready.error().message;
    ready = own.start();
    ASSERT_TRUE(ready) << ready.error().message;
    run({.forwarders = {own.forwarder()}, .trust_anchor_file = own.trust_anchors()},
        [](World& world) -> Task<void> {
            Answer answer = co_await ask(world, "secure", Type::Mx);
            EXPECT_EQ(answer.status, Status::Ok) << answer.reason;
            EXPECT_TRUE(answer.secure);
            answer = co_await ask(world, "gone.secure", Type::A);
            EXPECT_EQ(answer.status, Status::NxDomain) << answer.reason;
            EXPECT_TRUE(answer.secure);

            answer = co_await ask(world, "altered", Type::Mx);
            EXPECT_TRUE(answer.secure);
            answer = co_await ask(world, "mx.altered", Type::A);
            EXPECT_EQ(answer.failure, Failure::Bogus);
            EXPECT_NE(answer.reason, "");
            EXPECT_TRUE(answer.records.empty());

            answer = co_await ask(world, "plain.example", Type::Mx);
            EXPECT_EQ(answer.status, Status::Ok) << answer.reason;
            EXPECT_FALSE(answer.secure);

            // A host whose address is bogus is not tried.
            route::HostsOptions options;
            auto hosts = co_await route::find_hosts(world, "altered", options,
                                                    Deadline::after(world.clock.now(), 30s));
            EXPECT_EQ(hosts.status, route::HostsAnswer::Status::Temporary);
            hosts = co_await route::find_hosts(world, "secure", options,
                                               Deadline::after(world.clock.now(), 30s));
            EXPECT_TRUE(hosts.secure);
            EXPECT_TRUE(!hosts.hosts.empty() && hosts.hosts[0].secure);
        });
}

TEST_F(RealResolverTest, OptionsThatCannotBeAreTold) {
    NoLog log;
    RealWorld bad({.resolver = {.forwarders = {"no address"}}}, log);
    EXPECT_FALSE(bad.prepare_resolver());
    RealWorld missing({.resolver = {.trust_anchor_file = "/nonexistent/root.key"}}, log);
    EXPECT_FALSE(missing.prepare_resolver());
    RealWorld hints({.resolver = {.root_hints = "/nonexistent/root.hints"}}, log);
    EXPECT_FALSE(hints.prepare_resolver());
    RealWorld good({.resolver = {.forwarders = {"192.0.2.1", "2001:db8::1@5353"}}}, log);
    EXPECT_TRUE(good.prepare_resolver());

    run({.forwarders = {"no address"}}, [](World& world) -> Task<void> {
        Answer answer = co_await ask(world, "plain.example", Type::Mx);
        EXPECT_EQ(answer.failure, Failure::Broken);
    });
}

struct RouteCase {
    std::string domain;
    route::HostsAnswer::Status status;
    std::vector<std::string> want;  // "host address address"
};

TEST_F(RealResolverTest, RoutingFindsTheHostsOfTheZone) {
    using enum route::HostsAnswer::Status;
    const RouteCase kCases[] = {
        {"plain.example",
         Ok,
         {"mx1.example 192.0.2.1:25", "mx2.example [2001:db8::2]:25 192.0.2.2:25"}},
        {"alias.example",
         Ok,
         {"mx1.example 192.0.2.1:25", "mx2.example [2001:db8::2]:25 192.0.2.2:25"}},
        {"alias-of-host.example", Ok, {"mx-alias.example 192.0.2.1:25"}},
        {"implicit.example", Ok, {"implicit.example 192.0.2.3:25"}},
        {"us-second.example", Ok, {"mx1.example 192.0.2.1:25"}},
        {"null.example", NullMx, {}},
        {"gone.example", NoSuchDomain, {}},
        {"dangling.example", NoSuchDomain, {}},
        {"nowhere.example", NoAddress, {}},
        {"gone-hosts.example", NoAddress, {}},
        {"us-best.example", LoopToSelf, {}},
        {"us.example", LoopToSelf, {}},
        {"ring1.example", Temporary, {}},
        {"not-served.invalid-zone", Temporary, {}},
    };
    route::HostsOptions options{.own_names = {"us.example"}};
    run([&](World& world) -> Task<void> {
        for (const RouteCase& c : kCases) {
            SCOPED_TRACE(c.domain);
            auto answer = co_await route::find_hosts(world, c.domain, options,
                                                     Deadline::after(world.clock.now(), 30s));
            EXPECT_EQ(answer.status, c.status) << answer.reason;
            std::vector<std::string> got;
            for (const route::NextHost& host : answer.hosts) {
                got.push_back(host.name);
                for (const auto& address : host.addresses) got.back() += " " + address.text();
            }
            EXPECT_EQ(got, c.want);
        }
    });
}

}  // namespace
}  // namespace postrider::world::real
