// sim/sim_resolver_test.cc: the DNS of the simulated Internet, and routing over it.
//
// Goal: what a scenario writes into the table is what a host is told, faults included, and a seed
// repeats it. Method: questions of one host's task, in virtual time.

#include "sim/sim_resolver.h"

#include <gtest/gtest.h>

#include "route/hosts.h"
#include "sim/simulation.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using dns::Answer;
using dns::Name;
using dns::Type;
using Failure = Answer::Failure;
using Status = Answer::Status;

Name name(std::string_view text) { return *Name::parse(text); }

struct Scene {
    Simulation sim;
    Host& host;

    explicit Scene(uint64_t seed = 1)
        : sim(seed), host(sim.add_host("us", {*world::IpAddress::parse("192.0.2.99")})) {
        Dns& dns = sim.dns();
        dns.add("d.example", dns::Mx{10, name("mx.d.example")}, 700);
        dns.add("mx.d.example", dns::A{{192, 0, 2, 1}}, 500);
        dns.add("www.example", dns::Cname{name("cdn.example")}, 100);
        dns.add("cdn.example", dns::Cname{name("d.example")}, 50);
        dns.add("ring.example", dns::Cname{name("ring.example")});
    }

    // The answer, and how long it took.
    struct Timed {
        Answer answer;
        Duration took{};
    };
    Timed ask(std::string_view text, Type type, Duration patience = 10s) {
        Timed out;
        if (host.is_up()) host.kill();
        host.boot([&](world::World& world) -> Task<void> {
            Monotonic begun = world.clock.now();
            out.answer =
                co_await world.resolver.query({name(text), type}, Deadline::after(begun, patience));
            out.took = world.clock.now() - begun;
        });
        EXPECT_TRUE(sim.run_until([&] { return host.main_ended(); }, 10min));
        return out;
    }
    Status status(std::string_view text, Type type) { return ask(text, type).answer.status; }

    route::HostsAnswer find(const std::string& domain) {
        route::HostsAnswer out;
        route::HostsOptions options;
        if (host.is_up()) host.kill();
        host.boot([&](world::World& world) -> Task<void> {
            out = co_await route::find_hosts(world, domain, options,
                                             Deadline::after(world.clock.now(), 10s));
        });
        EXPECT_TRUE(sim.run_until([&] { return host.main_ended(); }, 10min));
        return out;
    }
};

TEST(SimResolver, AnswersFromTheTable) {
    Scene scene;
    Answer answer = scene.ask("D.example", Type::Mx).answer;
    EXPECT_EQ(answer.status, Status::Ok);
    EXPECT_EQ(answer.records, std::vector<dns::Rdata>{(dns::Mx{10, name("mx.d.example")})});
    EXPECT_EQ(answer.ttl_seconds, 700u);
    EXPECT_FALSE(answer.secure);
    EXPECT_EQ(scene.status("d.example", Type::A), Status::NoData);
    EXPECT_EQ(scene.status("example", Type::A), Status::NoData);  // something is below it
    EXPECT_EQ(scene.status("gone.example", Type::A), Status::NxDomain);
}

TEST(SimResolver, FollowsAliases) {
    Scene scene;
    Answer answer = scene.ask("www.example", Type::Mx).answer;
    EXPECT_EQ(answer.status, Status::Ok);
    EXPECT_EQ(answer.canonical_name, name("d.example"));
    EXPECT_EQ(answer.ttl_seconds, 50u);
    EXPECT_EQ(scene.status("www.example", Type::A), Status::NoData);
    EXPECT_EQ(scene.ask("ring.example", Type::A).answer.failure, Failure::ServFail);
}

TEST(SimResolver, NamesThatAreBrokenFailUntilTheyAreMended) {
    Scene scene;
    scene.sim.dns().break_names("d.example", Failure::ServFail);
    EXPECT_EQ(scene.ask("mx.d.example", Type::A).answer.failure, Failure::ServFail);
    EXPECT_EQ(scene.ask("www.example", Type::Mx).answer.failure, Failure::ServFail);
    EXPECT_EQ(scene.status("gone.example", Type::A), Status::NxDomain);
    scene.sim.dns().mend("d.example");
    EXPECT_EQ(scene.status("mx.d.example", Type::A), Status::Ok);
}

TEST(SimResolver, SilenceLastsUntilTheDeadline) {
    Scene scene;
    scene.sim.dns().faults.is_down = true;
    Scene::Timed timed = scene.ask("d.example", Type::Mx, 7s);
    EXPECT_EQ(timed.answer.failure, Failure::Timeout);
    EXPECT_GE(timed.took, 7s);
    EXPECT_LT(timed.took, 8s);
    timed = scene.ask("d.example", Type::Mx, 10min);
    EXPECT_EQ(timed.answer.failure, Failure::Timeout);
    EXPECT_LT(timed.took, Dns::kPatience + 1s);
}

TEST(SimResolver, ALatencyBeyondTheDeadlineIsATimeout) {
    Scene scene;
    scene.sim.dns().faults.latency_min = scene.sim.dns().faults.latency_max = 3s;
    EXPECT_EQ(scene.ask("d.example", Type::Mx, 2s).answer.failure, Failure::Timeout);
    Scene::Timed timed = scene.ask("d.example", Type::Mx, 4s);
    EXPECT_EQ(timed.answer.status, Status::Ok);
    EXPECT_GE(timed.took, 3s);
}

TEST(SimResolver, AScriptChangesItsMind) {
    Scene scene;
    Answer lie{.status = Status::NxDomain};
    Answer truth{.status = Status::NoData};
    scene.sim.dns().script("d.example", Type::Mx, {lie, truth});
    EXPECT_EQ(scene.status("d.example", Type::Mx), Status::NxDomain);
    EXPECT_EQ(scene.status("d.example", Type::Mx), Status::NoData);
    EXPECT_EQ(scene.status("d.example", Type::Mx), Status::NoData);
    scene.sim.dns().script("d.example", Type::Mx, {});
    EXPECT_EQ(scene.status("d.example", Type::Mx), Status::Ok);
}

TEST(SimResolver, OnlySignedChainsAreSecure) {
    Scene scene;
    scene.sim.dns().sign("d.example");
    EXPECT_TRUE(scene.ask("mx.d.example", Type::A).answer.secure);
    EXPECT_FALSE(scene.ask("www.example", Type::Mx).answer.secure);
    scene.sim.dns().sign("example");
    EXPECT_TRUE(scene.ask("www.example", Type::Mx).answer.secure);
}

TEST(SimResolver, ASeedRepeatsItsAnswers) {
    auto run = [](uint64_t seed) {
        Scene scene(seed);
        scene.sim.dns().faults.servfails_per_1000 = 300;
        scene.sim.dns().faults.timeouts_per_1000 = 100;
        std::string out;
        for (int i = 0; i < 50; i++) {
            out += static_cast<char>('0' + int(scene.ask("d.example", Type::Mx).answer.failure));
        }
        return std::pair(out, scene.sim.trace_hash());
    };
    EXPECT_EQ(run(5), run(5));
    EXPECT_NE(run(5), run(6));
    EXPECT_NE(run(5).first.find('1'), std::string::npos);  // Timeout
    EXPECT_NE(run(5).first.find('2'), std::string::npos);  // ServFail
}

TEST(SimResolver, RoutingGoesThroughIt) {
    Scene scene;
    route::HostsAnswer found = scene.find("www.example");
    ASSERT_EQ(found.status, route::HostsAnswer::Status::Ok);
    EXPECT_EQ(found.site, "mx:mx.d.example");
    EXPECT_EQ(found.hosts.at(0).addresses.at(0).text(), "192.0.2.1:25");

    scene.sim.dns().faults.is_down = true;
    EXPECT_EQ(scene.find("d.example").status, route::HostsAnswer::Status::Temporary);
    scene.sim.dns().faults.is_down = false;
    scene.sim.dns().break_names("mx.d.example", Failure::Timeout);
    EXPECT_EQ(scene.find("d.example").status, route::HostsAnswer::Status::Temporary);
    EXPECT_EQ(scene.find("gone.example").status, route::HostsAnswer::Status::NoSuchDomain);
}

// Whatever DNS does, routing ends by its deadline and says something that holds together.
TEST(SimResolver, RoutingEndsUnderEveryFault) {
    int found = 0, temporary = 0;
    for (uint64_t seed = 0; seed < 300; seed++) {
        Scene scene(seed);
        scene.sim.dns().add("d.example", dns::Mx{20, name("mx2.d.example")});
        scene.sim.dns().add("mx2.d.example", dns::Aaaa{{0x20, 1, 0x0D, 0xB8}});
        scene.sim.dns().faults.servfails_per_1000 = 200;
        scene.sim.dns().faults.timeouts_per_1000 = 200;
        route::HostsAnswer answer = scene.find("d.example");
        EXPECT_FALSE(answer.is_permanent()) << "seed " << seed;
        (answer.status == route::HostsAnswer::Status::Ok ? found : temporary)++;
    }
    EXPECT_GT(found, 50);
    EXPECT_GT(temporary, 50);
}

// A host that dies while its questions are open leaves nothing behind (the address sanitizer
// looks).
TEST(SimResolver, AHostMayDieInAQuestion) {
    for (uint64_t seed = 0; seed < 50; seed++) {
        Scene scene(seed);
        route::HostsOptions options;
        scene.host.boot([&](world::World& world) -> Task<void> {
            while (true) {
                (void)co_await route::find_hosts(world, "d.example", options,
                                                 Deadline::after(world.clock.now(), 10s));
            }
        });
        scene.sim.run_for(std::chrono::milliseconds(seed * 13));
        scene.host.power_loss();
        scene.sim.run_for(1s);
    }
}

}  // namespace
}  // namespace postrider::sim
