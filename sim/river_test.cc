// sim/river_test.cc: the whole river in the simulator: whatever the day brings, what was answered
// 250 is in its mailbox once, octet for octet.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>

#include "daemon/queue_commands.h"
#include "sim/mailbox_check.h"
#include "sim/relay_scene.h"
#include "sim/river_host.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;

// A server and its clients without accidents, but for those that a test makes.
struct River {
    explicit River(uint64_t seed, MailClientOptions clients = {},
                   const std::string& config = river_config())
        : sim(seed), server(sim, config), client(sim, clients) {
        sim.net().faults.latency_max = 3ms;
        server.boot();
        EXPECT_TRUE(sim.run_until([&] { return server.is_open(); }, 1min)) << server.open_error();
        client.start();
    }

    uint64_t accepted() { return client.book().accepted; }

    bool run_until_accepted(uint64_t more) {
        uint64_t wanted = accepted() + more;
        return sim.run_until([&] { return accepted() >= wanted; }, 1h);
    }

    // Clients get rid of what they have begun, the queue becomes empty, and all is looked at.
    void expect_everything_arrives() {
        client.pause();
        EXPECT_TRUE(sim.run_until([&] { return client.is_idle(); }, 1h));
        EXPECT_TRUE(server.run_until_empty(24h));
        check.run(server.host().disk().files(), client.book(), {});
        for (const std::string& fault : check.faults()) ADD_FAILURE() << fault;
        for (const std::string& fault : client.book().faults) ADD_FAILURE() << fault;
    }

    Simulation sim;
    RiverHost server;
    MailClient client;
    MailboxCheck check;
};

TEST(River, AMessageGoesInAndLiesInItsMaildir) {
    River river(1, {.sessions = 1, .messages_per_session_max = 1});
    ASSERT_TRUE(river.run_until_accepted(1));
    river.expect_everything_arrives();
    EXPECT_EQ(river.accepted(), 1u);
    EXPECT_GE(river.check.copies(), 1u);
}

TEST(River, AFullDiskRefusesWritesOutcomesAndServesAgain) {
    River river(3, {.large_per_1000 = 0}, river_config("", "", "20 MiB"));
    ASSERT_TRUE(river.run_until_accepted(50));
    MailBook& book = river.client.book();
    DiskFaults& faults = river.server.host().disk_faults();
    // The segments that are ready are used up first; then nothing new gets in until deliveries have
    // emptied one: for that their outcomes must be written.
    faults.capacity = river.server.host().disk().files().used_pages() * 4096 + (20ull << 20);
    ASSERT_TRUE(river.sim.run_until([&] { return book.codes[452] > 500; }, 1h));
    river.client.pause();
    EXPECT_TRUE(river.sim.run_until([&] { return river.client.is_idle(); }, 1h));
    EXPECT_TRUE(river.server.run_until_empty(1h)) << "outcomes are written all the same";

    faults.capacity = 16ull << 30;
    river.client.resume();
    EXPECT_TRUE(river.run_until_accepted(50)) << "service returns by itself";
    river.expect_everything_arrives();
}

// Not one octet is left, for the mailboxes neither.
TEST(River, ADiskFullToTheLastOctetSurvivesALossOfPower) {
    River river(4);
    ASSERT_TRUE(river.run_until_accepted(50));
    FileSystem& files = river.server.host().disk().files();
    DiskFaults& faults = river.server.host().disk_faults();
    faults.capacity = files.used_pages() * 4096 + (3ull << 20);
    ASSERT_TRUE(river.sim.run_until([&] { return river.client.book().codes[452] > 500; }, 1h));
    river.server.power_loss();
    river.sim.run_for(10ms);
    river.server.boot();
    ASSERT_TRUE(river.sim.run_until([&] { return river.server.is_open(); }, 1min))
        << river.server.open_error();
    river.sim.run_for(2s);
    faults.capacity = 16ull << 30;
    EXPECT_TRUE(river.run_until_accepted(50));
    river.expect_everything_arrives();
}

TEST(River, AFailingSyncIsAnswered451AndServiceReturns) {
    River river(5);
    ASSERT_TRUE(river.run_until_accepted(50));
    DiskFaults& faults = river.server.host().disk_faults();
    faults.fail_every_sync = true;
    ASSERT_TRUE(river.sim.run_until([&] { return river.client.book().codes[451] > 20; }, 1h));
    uint64_t accepted = river.accepted();
    river.sim.run_for(2s);
    EXPECT_EQ(river.accepted(), accepted) << "nothing is accepted that is not durable";

    faults.fail_every_sync = false;
    EXPECT_TRUE(river.run_until_accepted(50)) << "service returns by itself";
    river.expect_everything_arrives();
}

// Recovered messages are read from disk; a read that fails must not make the queue forget one.
TEST(River, ReadsThatFailForAMomentForgetNoMessage) {
    for (uint64_t seed = 1; seed <= 3; seed++) {
        River river(seed);
        ASSERT_TRUE(river.run_until_accepted(100));
        river.server.power_loss();
        river.client.pause();
        river.server.boot();
        const auto& lines = river.server.host().log_lines();
        auto recovered = [&] {
            return std::ranges::count(lines, Event::SpoolRecovered, &LogLine::event) == 2;
        };
        ASSERT_TRUE(river.sim.run_until(recovered, 1min));
        river.server.host().disk_faults().fail_next_reads = 8;
        river.expect_everything_arrives();
        EXPECT_TRUE(std::ranges::any_of(lines, [](const LogLine& line) {
            return line.event == Event::MessageUnreadable;
        })) << "no read failed: the test says nothing";
    }
}

TEST(River, MemoryStaysBelowItsLimitHoweverManyClientsCome) {
    MailClientOptions many{.sessions = 800,
                           .reply_time = 30s,
                           .messages_per_session_max = 2,
                           .large_per_1000 = 1000,
                           .remote_per_1000 = 0};
    River river(6, many,
                river_config("memory_max = \"32 MiB\"", "sessions_per_address_max = 1000"));
    river.sim.net().faults.latency_min = 20ms;
    river.sim.net().faults.latency_max = 200ms;
    std::size_t peak = 0;
    std::size_t limit = river.server.river().memory().limit();
    EXPECT_EQ(limit, 32u << 20);
    ASSERT_TRUE(river.sim.run_until(
        [&] {
            peak = std::max(peak, river.server.river().memory().used());
            return river.accepted() >= 300;
        },
        1h));
    EXPECT_LE(peak, limit);
    EXPECT_GT(peak, limit * 8 / 10) << "the limit was not reached: the test says nothing";
    EXPECT_GT(river.client.book().codes[452] + river.client.book().codes[421], 0u);
    river.expect_everything_arrives();
    EXPECT_EQ(river.server.river().memory().used(), 0u) << "everything is given back";
}

TEST(River, WhatComesForADeadHostTakesNoMemoryWhileItWaits) {
    constexpr int kLetters = 30;
    RelayScene scene(19, "backoff_first = \"1h\"");
    ForeignHost& far = scene.add_far("far.example", {.cuts_per_1000 = 1000});
    scene.boot();
    auto post = [&](int count) {
        for (int i = 0; i < count; i++) {
            scene.client.post({.to = {"user@far.example"}, .octets = 20'000});
        }
        scene.run_until_accepted();
    };
    for (int round = 0; round < kLetters; round++) {  // until it is left alone
        post(1);
        scene.sim.run_for(5s);
    }
    std::size_t before = scene.server.river().memory().used();
    post(kLetters);
    EXPECT_EQ(scene.server.river().memory().used(), before);
    far.manners = {};
    scene.run_until_done(24h);
    EXPECT_EQ(scene.check().taken, 2u * kLetters);
    EXPECT_TRUE(scene.faults().empty()) << scene.faults().front();
}

// An operator's question goes through the queue in slices, and others have their turn behind each.
TEST(River, ALookThroughTheQueueHoldsNobodyUp) {
    constexpr int kLetters = 100, kDomains = 30;  // an entry for each pair
    RelayScene scene(20, "backoff_first = \"1h\"");
    Letter letter;
    for (int i = 0; i < kDomains; i++) {
        std::string domain = "far" + std::to_string(i) + ".example";
        scene.add_far(domain, {.cuts_per_1000 = 1000});
        letter.to.push_back("user@" + domain);
    }
    scene.boot();
    for (int i = 0; i < kLetters; i++) scene.client.post(letter);
    scene.run_until_accepted();

    struct Counted : admin::Rows {
        Task<Status<Error>> write(admin::Json) override { co_return Status<Error>{}; }
        Task<Status<Error>> write_lines(std::string_view) override { co_return Status<Error>{}; }
    } rows;
    admin::Commands commands;
    daemon::add_queue_commands(commands, scene.server.river());
    std::optional<Result<admin::Json>> listed;
    int turns = 0;  // of somebody else, meanwhile
    scene.server.host().spawn(0, [&](world::World&) -> Task<void> {
        listed = co_await commands["queue list"](admin::Json{{"limit", 0U}}, rows);
    });
    scene.server.host().spawn(0, [&](world::World& world) -> Task<void> {
        while (!listed) {
            turns++;
            co_await world.executor.switch_to(0);
        }
    });
    ASSERT_TRUE(scene.sim.run_until([&] { return listed.has_value(); }, 1min));
    ASSERT_TRUE(listed->has_value());
    auto entries = (**listed)["entries"].get<int>();
    EXPECT_GE(entries, 2001) << "three slices";
    EXPECT_GE(turns, entries / 1000);
}

TEST(River, StoppingIsToldToIdleClientsAndLetsTransactionsEnd) {
    River river(7);
    ASSERT_TRUE(river.run_until_accepted(30));
    river.server.stop(30s);
    ASSERT_TRUE(river.sim.run_until([&] { return river.server.has_stopped(); }, 1min));
    EXPECT_GT(river.client.book().codes[421], 0u);
    river.server.kill();
    river.server.boot();
    ASSERT_TRUE(river.run_until_accepted(30));
    river.expect_everything_arrives();
}

}  // namespace
}  // namespace postrider::sim
