// sim/relay_test.cc: onward, in the simulator: whatever the next hosts, the net and the day do,
// each accepted recipient ends in exactly one outcome.
//
// Method: a client sends letters to hosts with manners (foreign_host.h); afterwards what it was
// told is held against what the hosts kept and what lies in the sender's mailbox.
// POSTRIDER_SEED_FACTOR multiplies the seeds.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "sim/relay_scene.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;

#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool kIsSlow = true;
#else
constexpr bool kIsSlow = false;
#endif

// For long runs: how many times as many seeds as usual.
uint64_t seed_factor() {
    const char* text = std::getenv("POSTRIDER_SEED_FACTOR");
    return text ? std::max<uint64_t>(1, std::strtoull(text, nullptr, 10)) : 1;
}

// A slow build takes less of everything.
uint64_t seeds_of(uint64_t usual) { return (kIsSlow ? (usual + 3) / 4 : usual) * seed_factor(); }
int fewer(int usual) { return kIsSlow ? usual / 5 : usual; }

// Waits of seconds instead of minutes: more happens in a day.
constexpr std::string_view kQuick = "backoff_first = \"2s\"\nbackoff_max = \"1m\"";

RelayScene::Sum expect_one_outcome_each(
    RelayScene& scene, const RelayScene::Fails& fails = [](const std::string& to) {
        return to.starts_with(kRefused);
    }) {
    RelayScene::Sum sum = scene.check(fails);
    for (const std::string& fault : scene.faults()) ADD_FAILURE() << fault;
    return sum;
}

// Letters with one to eight recipients of the domains, some refused, some with a null sender.
void post_letters(RelayScene& scene, int count, const std::vector<std::string>& domains) {
    SeededRandom random(scene.sim.seed(), /*label=*/91);
    for (int i = 0; i < count; i++) {
        Letter letter;
        if (random.chance(200)) letter.from = "";
        uint64_t recipients = 1 + random.below(8);
        for (uint64_t r = 0; r < recipients; r++) {
            std::string local = random.chance(150) ? std::string(kRefused) : "user";
            letter.to.push_back(local + std::to_string(i) + "." + std::to_string(r) + "@" +
                                domains[random.below(domains.size())]);
        }
        letter.octets = random.chance(50) ? 200'000 : random.between(100, 4'000);
        scene.client.post(std::move(letter));
    }
}

TEST(Relay, AMessageReachesTheHostThatTheMxRecordNames) {
    RelayScene scene(1);
    ForeignHost& far = scene.add_far("far.example");
    scene.client.post({.to = {"one@far.example", "two@far.example"}, .octets = 300'000});
    scene.boot();
    scene.run_until_accepted();
    scene.run_until_done(1h);
    scene.sim.run_for(1s);  // for QUIT
    auto sum = expect_one_outcome_each(scene);
    EXPECT_EQ(sum.taken, 2u);
    EXPECT_EQ(sum.confirmed, 2u) << "the client said QUIT";
    EXPECT_EQ(sum.repeats, 0u);
    EXPECT_EQ(far.connections(), 1u);
    ASSERT_EQ(far.contents().size(), 1u);
    std::string_view content = far.contents().begin()->second;
    EXPECT_TRUE(content.ends_with(scene.client.letters()[0].content));
    EXPECT_TRUE(content.starts_with("Received: from letters.example "));
}

struct Case {
    const char* name;
    Manners manners;
    bool repeats = false;  // the manner explains takes that repeat
};

std::vector<Case> all_manners() {
    std::vector<Case> cases{
        {"Polite", {}},
        {"WithoutPipelining", {.pipelining = false}},
        {"Greylists", {.greylisted = 10s}},
        {"PutsOffTwice", {.put_off_times = 2}},
        {"TakesThreeRecipientsAtOnce", {.recipients_max = 3}},
        {"TakesOneRecipientAtOnce", {.recipients_max = 1}},
        {"KeepsAndDropsTheReply", {.drops_reply_per_1000 = 400}, true},
        {"RepliesOctetByOctet", {.by_octets = true}},
        {"TakesItsTime", {.pause = 20s}},
        {"KeepsAndRepliesLate", {.end_pause = 9min}},
    };
    constexpr std::array kSteps{FarStep::Greeting, FarStep::Hello, FarStep::Mail,
                                FarStep::Rcpt,     FarStep::Data,  FarStep::End};
    constexpr std::array kNames{"Greeting", "Hello", "Mail", "Rcpt", "Data", "End"};
    static std::vector<std::string> names;
    names.reserve(2 * kSteps.size());
    for (std::size_t i = 0; i < kSteps.size(); i++) {
        names.push_back(std::string("Says421At") + kNames[i]);
        cases.push_back({names.back().c_str(), {.closes_at = kSteps[i], .closes_per_1000 = 300}});
        names.push_back(std::string("CutsAt") + kNames[i]);
        cases.push_back({names.back().c_str(), {.cuts_at = kSteps[i], .cuts_per_1000 = 300}});
    }
    return cases;
}

TEST(Relay, WhateverTheMannersEachRecipientHasOneOutcome) {
    uint64_t bounced = 0;
    for (const Case& one : all_manners()) {
        SCOPED_TRACE(one.name);
        uint64_t repeats = 0;
        for (uint64_t seed = 1; seed <= seeds_of(2); seed++) {
            RelayScene scene(seed, kQuick);
            scene.add_far("far.example", one.manners);
            scene.add_far("polite.example");
            post_letters(scene, kIsSlow ? 10 : 25, {"far.example", "polite.example"});
            scene.boot();
            scene.run_until_accepted();
            scene.run_until_done(72h);
            auto sum = expect_one_outcome_each(scene);
            EXPECT_GT(sum.taken, 20u);
            bounced += sum.bounced;
            repeats += sum.repeats;
        }
        EXPECT_EQ(repeats > 0, one.repeats) << repeats;
    }
    EXPECT_GT(bounced, 20u);
}

// --- bad days of our own host and of the net between

struct BadDays {
    int count = kIsSlow ? 8 : 15;
    uint32_t cuts_per_1000 = 0;     // of the net, instead of an end of our host
    uint32_t stops_per_1000 = 0;    // of these ends, it is asked to stop, with a few seconds' time
    uint32_t kills_per_1000 = 500;  // the same, killed; the others are losses of power
    bool forget_sync = false;       // a lie, to prove that it is seen
};

void live_through(RelayScene& scene, BadDays days) {
    SeededRandom random(scene.sim.seed(), /*label=*/92);
    scene.client.reply_time = 2s;
    scene.server.host().disk_faults().forget_sync = days.forget_sync;
    for (int day = 0; day < days.count; day++) {
        post_letters(scene, 6, {"far.example", "polite.example"});
        scene.sim.run_for(random.between(Duration(10ms), random.chance(500) ? 1s : 20s));
        Host& far = scene.far[random.below(scene.far.size())]->host();
        if (random.chance(days.cuts_per_1000)) {
            if (random.chance(500)) {
                scene.sim.net().cut(scene.server.host(), far);
                scene.sim.run_for(random.between(Duration(1s), 10min));
                scene.sim.net().heal_all();
            } else {
                scene.sim.net().reset_between(scene.server.host(), far);
            }
            continue;
        }
        scene.note_set_aside();
        if (random.chance(days.stops_per_1000)) {
            scene.stop(random.between(Duration(100ms), 5s));
        } else if (random.chance(days.kills_per_1000)) {
            scene.server.kill();
        } else {
            scene.server.power_loss();
        }
        scene.sim.run_for(random.between(Duration(1ms), 2s));
        scene.boot();
    }
}

void run_bad_days(RelayScene& scene, BadDays days, Manners manners) {
    scene.add_far("far.example", manners);
    scene.add_far("polite.example");
    scene.boot();
    live_through(scene, days);
    scene.run_until_accepted();
    scene.run_until_done(72h);
}

void expect_one_outcome_on(BadDays days) {
    const uint64_t seeds = seeds_of(8);
    const std::array<Manners, 4> manners{
        Manners{},
        Manners{.greylisted = 5s, .recipients_max = 3},
        Manners{.pause = 300ms, .drops_reply_per_1000 = 200},
        Manners{.end_pause = 2s, .closes_at = FarStep::Rcpt, .closes_per_1000 = 200},
    };
    uint64_t bounced = 0, taken = 0, set_aside = 0, repeats = 0, confirmed = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        RelayScene scene(seed, kQuick);
        run_bad_days(scene, days, manners[seed % manners.size()]);
        auto sum = expect_one_outcome_each(scene);
        bounced += sum.bounced;
        taken += sum.taken;
        set_aside += sum.set_aside;
        repeats += sum.repeats;
        confirmed += sum.confirmed;
        // Suspects are tried alone, so an end of ours can cost one message its last trial.
        EXPECT_LE(scene.set_aside_messages(), static_cast<std::size_t>(days.count)) << seed;
    }
    std::printf("relay: %llu taken, %llu repeats, %llu bounced, %llu set aside\n",
                static_cast<unsigned long long>(taken), static_cast<unsigned long long>(repeats),
                static_cast<unsigned long long>(bounced),
                static_cast<unsigned long long>(set_aside));
    EXPECT_GT(bounced, 5 * seeds);
    EXPECT_GT(taken, 50 * seeds);
    EXPECT_TRUE(repeats > 0 || seeds < 4)
        << "no accident fell between the far end's yes and our note of it";
    EXPECT_LT(repeats, taken / 4);
    EXPECT_GT(confirmed, taken / 2);
}

TEST(Relay, OutcomeAndReportNeverPartInALossOfPower) {
    expect_one_outcome_on({.kills_per_1000 = 0});
}

TEST(Relay, OutcomeAndReportNeverPartInAKill) { expect_one_outcome_on({.kills_per_1000 = 1000}); }

TEST(Relay, CutsOfTheNetBetweenLossesLoseNothingAndDoubleNoOutcome) {
    expect_one_outcome_on({.cuts_per_1000 = 700});
}

TEST(Relay, AStopWhileNextHostsAreSlowLosesNothingAndDoublesNoOutcome) {
    expect_one_outcome_on({.stops_per_1000 = 1000});
}

// What found nothing above must find what a disk without sync loses.
TEST(Relay, ALostOutcomeIsSeen) {
    bool seen = false;
    for (uint64_t seed = 1; seed <= 5 && !seen; seed++) {
        RelayScene scene(seed, kQuick);
        run_bad_days(scene, {.kills_per_1000 = 0, .forget_sync = true}, {.pause = 100ms});
        scene.check();
        seen = std::ranges::any_of(scene.faults(), [](const std::string& fault) {
            return fault.ends_with(": lost") || fault.ends_with("after it was settled");
        });
    }
    EXPECT_TRUE(seen);
}

TEST(Relay, AnExpiryAmongAccidentsIsReportedOnce) {
    const uint64_t seeds = seeds_of(6);
    const int letters = fewer(40);
    uint64_t bounced = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        RelayScene scene(seed, "expiry = \"5m\"\nbackoff_first = \"5s\"\nbackoff_max = \"30s\"");
        scene.add_far("never.example", {.put_off_times = 1'000'000});
        for (int i = 0; i < letters; i++) {
            scene.client.post({.to = {"a" + std::to_string(i) + "@never.example",
                                      "b" + std::to_string(i) + "@never.example"}});
        }
        scene.boot();
        scene.run_until_accepted();
        scene.sim.run_for(4min + 40s);
        SeededRandom random(seed, /*label=*/93);
        for (int day = 0; day < 20; day++) {
            scene.sim.run_for(random.between(Duration(1ms), random.chance(500) ? 200ms : 5s));
            scene.note_set_aside();
            if (random.chance(500)) {
                scene.server.kill();
            } else {
                scene.server.power_loss();
            }
            scene.boot();
        }
        // Those that were found too old at a start are tried for another hour (queue::kGrace).
        scene.run_until_done(3h);
        auto sum = expect_one_outcome_each(scene, [](const std::string&) { return true; });
        bounced += sum.bounced;
    }
    EXPECT_GT(bounced, seeds * uint64_t(letters) / 2);
}

// --- dead destinations

TEST(Relay, LettersForDeadHostsAllComeBackOnceAfterTheirTime) {
    const int letters = fewer(200);
    for (bool black_hole : {false, true}) {
        SCOPED_TRACE(black_hole ? "black hole" : "refused");
        RelayScene scene(7, "expiry = \"1h\"\ndelay_notice = \"10m\"\nbackoff_first = \"1m\"");
        // Nobody listens at this machine's port 25.
        Host& dead = scene.sim.add_host("dead", {*world::IpAddress::parse("203.0.113.9")});
        dead.boot([](world::World&) -> Task<void> { co_return; });
        scene.sim.dns().add("dead.example", dns::A{{203, 0, 113, 9}});
        if (black_hole) scene.sim.net().black_hole(dead.addresses().front());
        for (int i = 0; i < letters; i++) {
            scene.client.post({.from = i % 10 == 0 ? "" : "alice@river.example",
                               .to = {"user" + std::to_string(i) + "@dead.example"}});
        }
        scene.boot();
        scene.run_until_accepted();
        Monotonic accepted = scene.sim.now();
        scene.sim.run_for(50min);
        auto early = scene.reports();
        EXPECT_EQ(early.size(), uint64_t(letters) * 9 / 10)
            << "a notice of the delay for each sender";
        for (const auto& [key, count] : early) {
            EXPECT_EQ(count.failed, 0) << key.second << " failed before its time";
        }
        scene.run_until_done(24h);
        EXPECT_LT(scene.sim.now() - accepted, 75min);
        auto sum = expect_one_outcome_each(scene, [](const std::string&) { return true; });
        EXPECT_EQ(sum.bounced, uint64_t(letters) * 9 / 10);
        EXPECT_EQ(sum.silent, uint64_t(letters) / 10);
        EXPECT_EQ(sum.delayed, sum.bounced);
    }
}

// --- fairness

TEST(Relay, AHangingSiteWithManyLettersDelaysNoOther) {
    const int waiting = kIsSlow ? int(std::min<uint64_t>(1'500 * seed_factor(), 50'000)) : 50'000;
    RelayScene scene(5, "", /*sessions=*/20);
    scene.add_far("hangs.example", {.hangs = true});
    constexpr std::array kOthers{"a.example", "b.example", "c.example"};
    for (const char* domain : kOthers) scene.add_far(domain);
    scene.boot();

    std::vector<std::size_t> others;
    auto post_other = [&] {
        std::string domain = kOthers[others.size() % kOthers.size()];
        others.push_back(
            scene.client.post({.to = {"user" + std::to_string(others.size()) + "@" + domain}}));
    };
    constexpr int kRounds = 20;
    for (int round = 0; round < kRounds; round++) {
        for (int i = 0; i < waiting / kRounds; i++) {
            scene.client.post({.to = {"user@hangs.example"}});
        }
        post_other();
        scene.run_until_accepted();
    }
    for (int later = 0; later < 30; later++) {  // while places are freed and taken again
        scene.sim.run_for(1min);
        post_other();
        scene.run_until_accepted();
    }
    scene.sim.run_for(5s);
    EXPECT_GE(scene.server.river().dispatcher().scheduler().totals().entries, std::size_t(waiting));
    Duration longest{};
    for (std::size_t number : others) {
        const Letter& letter = scene.client.letters()[number];
        bool found = false;
        for (const auto& far : scene.far) {
            auto takes = far->taken().find({letter.accepted.front(), letter.to.front()});
            if (takes == far->taken().end()) continue;
            found = true;
            Duration took = takes->second.front().at - letter.accepted_at;
            longest = std::max(longest, took);
            EXPECT_LE(took, 1s) << letter.to.front();
        }
        EXPECT_TRUE(found) << letter.to.front() << " was not delivered";
    }
    RecordProperty("waiting", waiting);
    std::printf("%d letters waited for the hanging site; the longest delay of another: %lld ms\n",
                waiting, static_cast<long long>(longest / 1ms));
}

// --- retries

// "Sat, 21 Nov 2026 22:31:19 +0000", in seconds since 1970.
int64_t seconds_of(const std::string& date) {
    std::tm parts{};
    EXPECT_NE(strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S", &parts), nullptr) << date;
    return timegm(&parts);
}

TEST(Relay, NoAttemptComesBeforeItsTimeOrLongAfterIt) {
    const int letters = fewer(60);
    RelayScene scene(9, "backoff_first = \"1m\"\nbackoff_max = \"20m\"");
    ForeignHost& far = scene.add_far("far.example", {.put_off_times = 6});
    for (int i = 0; i < letters; i++) {
        scene.client.post({.to = {"user" + std::to_string(i) + "@far.example"}});
    }
    scene.boot();
    scene.run_until_accepted();
    scene.run_until_done(24h);
    EXPECT_EQ(expect_one_outcome_each(scene).taken, uint64_t(letters));

    // Both clocks run alike here.
    double start = double(scene.server.host().world().clock.wall().us) / 1e6 -
                   double(scene.sim.now().ns) / 1e9;
    std::map<std::string, std::vector<double>> due;  // seconds of the simulation, rounded down
    for (const LogLine& line : scene.server.host().log_lines()) {
        if (line.event != Event::Deferred) continue;
        std::size_t to = line.text.find(" to=") + 4;
        std::size_t next = line.text.find(" next=") + 6;
        due[line.text.substr(to, line.text.find(' ', to) - to)].push_back(
            double(seconds_of(line.text.substr(next))) - start);
    }
    EXPECT_EQ(due.size(), uint64_t(letters));
    for (const auto& [to, times] : due) {
        const auto& asked = far.asked().at(to);
        ASSERT_EQ(times.size(), 6u);
        ASSERT_EQ(asked.size(), 7u);
        for (std::size_t i = 0; i < times.size(); i++) {
            double at = double(asked[i + 1].ns) / 1e9;
            EXPECT_GE(at, times[i]) << to << ", attempt " << i + 2;
            EXPECT_LE(at, times[i] + 61) << to << ", attempt " << i + 2;
        }
        EXPECT_GE(asked[1] - asked[0], 51s) << "a minute, less 15 %";
        EXPECT_GE(asked[5] - asked[4], 13min) << "it becomes longer";
    }
}

TEST(Relay, AHostThatComesBackGetsEverythingWithinAnHourAndAHalf) {
    const int letters = fewer(100);
    RelayScene scene(10, "backoff_first = \"1m\"\nbackoff_max = \"20m\"");
    ForeignHost& far = scene.add_far("far.example", {.cuts_per_1000 = 1000});
    for (int i = 0; i < letters; i++) {
        scene.client.post({.to = {"user" + std::to_string(i) + "@far.example"}});
    }
    scene.boot();
    scene.run_until_accepted();
    scene.sim.run_for(6h);
    EXPECT_LT(far.connections(), 200u) << "a site in trouble is probed, not stormed";
    far.manners = {};
    Monotonic back = scene.sim.now();
    scene.run_until_done(24h);
    // The longest suspension is an hour, and the longest wait 20 minutes, both up to 15 % more.
    EXPECT_LT(scene.sim.now() - back, 92min);
    EXPECT_EQ(expect_one_outcome_each(scene).taken, uint64_t(letters));
}

// --- resolver and clock

TEST(Relay, AResolverThatIsDownSendsNothingBack) {
    const int letters = fewer(100);
    RelayScene scene(11);
    ForeignHost& far = scene.add_far("far.example");
    scene.sim.dns().faults.is_down = true;
    for (int i = 0; i < letters; i++) {
        scene.client.post({.to = {"user" + std::to_string(i) + "@far.example",
                                  "other@domain" + std::to_string(i % 7) + ".example"}});
    }
    for (int i = 0; i < 7; i++) {
        scene.sim.dns().add("domain" + std::to_string(i) + ".example",
                            dns::Mx{5, *dns::Name::parse("mx.far.example")});
    }
    scene.boot();
    scene.run_until_accepted();
    scene.sim.run_for(3h);
    EXPECT_TRUE(scene.reports().empty());
    EXPECT_TRUE(far.taken().empty());
    scene.sim.dns().faults.is_down = false;
    scene.sim.dns().faults.servfails_per_1000 = 300;
    scene.run_until_done(48h);
    auto sum = expect_one_outcome_each(scene);
    EXPECT_EQ(sum.taken, uint64_t(letters) * 2);
    EXPECT_EQ(sum.repeats, 0u);
}

TEST(Relay, AClockThatJumpsADayExpiresNothingEarlyAndDoublesNothing) {
    const int letters = fewer(50);
    for (Duration jump : {Duration(24h), Duration(-24h)}) {
        SCOPED_TRACE(jump > Duration{} ? "forwards" : "backwards");
        RelayScene scene(13, "expiry = \"3h\"\ndelay_notice = \"0s\"\nbackoff_max = \"20m\"");
        scene.add_far("far.example", {.put_off_times = 4});  // taken within two hours
        scene.add_far("never.example", {.put_off_times = 1'000});
        for (int i = 0; i < letters; i++) {
            scene.client.post({.to = {"user" + std::to_string(i) + "@far.example",
                                      "user" + std::to_string(i) + "@never.example"}});
        }
        scene.boot();
        scene.run_until_accepted();
        scene.sim.run_for(4min);
        scene.server.host().jump_wall(jump);
        scene.sim.run_for(2h + 50min);
        EXPECT_TRUE(scene.reports().empty()) << "failed before its time";
        EXPECT_EQ(scene.far[0]->contents().size(), uint64_t(letters));
        scene.run_until_done(2h);
        auto sum = expect_one_outcome_each(
            scene, [](const std::string& to) { return to.ends_with("@never.example"); });
        EXPECT_EQ(sum.taken, uint64_t(letters));
        EXPECT_EQ(sum.repeats, 0u);
        EXPECT_EQ(sum.bounced, uint64_t(letters));
    }
}

}  // namespace
}  // namespace postrider::sim
