// queue/scheduler_test.cc: turns, limits and shares; how attempts end is in scheduler_done_test.cc.

#include "queue/scheduler.h"

#include <map>

#include "queue/testing.h"

namespace postrider::queue {
namespace {

using namespace testing_words;

TEST(Scheduler, EmptyQueueSaysEmpty) {
    Bench b;
    EXPECT_TRUE(std::holds_alternative<Empty>(b.queue.next(b.now)));
}

TEST(Scheduler, WhatIsDueIsGivenOutOnceWithAllItsRecipients) {
    Bench b;
    b.add("a", "s", 0, {3, 4, 5});
    auto job = b.job();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->message, MessageId{256});
    EXPECT_EQ(job->recipients, (std::vector<uint32_t>{3, 4, 5}));
    EXPECT_EQ(job->site, "a");
    EXPECT_EQ(job->attempt, 1u);
    EXPECT_FALSE(b.job());
    EXPECT_EQ(b.done(*job, Verdict::Relayed).outcome, Outcome::Finished);
    EXPECT_TRUE(std::holds_alternative<Empty>(b.queue.next(b.now)));
    EXPECT_EQ(b.queue.totals().entries, 0u);
}

TEST(Scheduler, ScatteredRecipientsAreKept) {
    Bench b;
    b.add("a", "s", 0, {1, 7, 9000});
    EXPECT_EQ(b.job()->recipients, (std::vector<uint32_t>{1, 7, 9000}));
}

TEST(Scheduler, WhatIsNotDueIsSleptFor) {
    Bench b;
    std::vector<uint32_t> one{0};
    b.queue.add({.message = {1}, .recipients = one, .site = "a", .due = at(seconds(30))}, b.now);
    EXPECT_EQ(b.sleep(), at(seconds(30)));
    b.now = at(seconds(30)) - Duration(1);
    EXPECT_FALSE(b.job());
    b.now = at(seconds(30));
    EXPECT_TRUE(b.job());
}

TEST(Fairness, MessageToAnotherSitePassesFiftyThousandForAHangingOne) {
    Bench b;
    for (int i = 0; i < 50'000; i++) b.add("mx:hangs.example");
    std::vector<Job> hanging = b.jobs();  // as many as the site may have; none ever ends
    EXPECT_EQ(hanging.size(), 5u);
    b.add("mx:other.example");
    auto job = b.job();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->site, "mx:other.example");
}

TEST(Fairness, SitesTakeTurns) {
    Options options = plain();
    options.active_max = 6;
    options.active_unproven_percent = 100;
    Bench b(options);
    for (int i = 0; i < 100; i++) b.add("big");
    b.add("small");
    b.add("tiny");
    std::vector<std::string> order;
    for (const Job& job : b.jobs()) order.emplace_back(job.site);
    EXPECT_EQ(order, (std::vector<std::string>{"big", "small", "tiny", "big", "big", "big"}));
}

TEST(Fairness, SendersInsideASiteTakeTurns) {
    Options options = plain();
    options.remote.limits = {.connections_max = 1, .connections_first = 1};
    Bench b(options);
    std::map<MessageId, std::string> sender_of;
    auto add = [&](const std::string& sender) {
        b.add("a", sender);
        sender_of[{b.last_id << 8}] = sender;
    };
    for (int i = 0; i < 1000; i++) add("newsletter");
    add("ann");
    add("bob");
    add("ann");
    std::string order;
    for (int i = 0; i < 7; i++) {
        auto job = b.job();
        ASSERT_TRUE(job);
        order += sender_of[job->message] + " ";
        b.done(*job, Verdict::Relayed);
    }
    EXPECT_EQ(order, "newsletter ann bob newsletter ann newsletter newsletter ");
}

TEST(Fairness, DeadDestinationsLeaveRoomForTheLiving) {
    Options options = plain();
    options.active_max = 100;
    Bench b(options);
    b.add("living");
    auto first = b.job();
    b.done(*first, Verdict::Relayed);  // proven
    for (int i = 0; i < 10'000; i++) b.add("dead" + std::to_string(i));
    EXPECT_EQ(b.jobs().size(), 50u);  // half of active_max, all hanging
    for (int i = 0; i < 3; i++) b.add("living");
    std::vector<Job> living = b.jobs();
    ASSERT_EQ(living.size(), 3u);
    for (const Job& job : living) EXPECT_EQ(job.site, "living");
}

TEST(Priority, HigherGoesFirstInsideASite) {
    Options options = plain();
    options.remote.limits = {.connections_max = 1, .connections_first = 1};
    Bench b(options);
    std::map<MessageId, int> priority_of;
    for (int priority : {-9, 0, 2, -2, 9, 4, -4}) {
        b.add("a", "s", priority);
        priority_of[{b.last_id << 8}] = priority;
    }
    std::vector<int> order;
    for (int i = 0; i < 7; i++) {
        auto job = b.job();
        order.push_back(priority_of[job->message]);
        b.done(*job, Verdict::Relayed);
    }
    EXPECT_EQ(order, (std::vector<int>{9, 4, 2, 0, -2, -9, -4}));
}

TEST(Priority, LowOneIsNotStarvedByAStreamOfHighOnes) {
    Options options = plain();
    options.remote.limits = {.connections_max = 1, .connections_first = 1};
    Bench b(options);
    b.add("a", "slow", -9);
    MessageId low{b.last_id << 8};
    bool found = false;
    int turns = 0;
    for (; turns < 200 && !found; turns++) {
        b.add("a", "fast", 9);
        auto job = b.job();
        ASSERT_TRUE(job);
        found = job->message == low;
        b.done(*job, Verdict::Relayed);
        b.now = b.now + minutes(1);
    }
    EXPECT_TRUE(found);
    EXPECT_GE(turns, 50);  // ten levels of five minutes
    EXPECT_LE(turns, 53);
}

TEST(Concurrency, GrowsWithSuccessUpToItsLimit) {
    Options options = plain();
    options.remote.limits = {.connections_max = 8, .connections_first = 2};
    Bench b(options);
    for (int i = 0; i < 200; i++) b.add("a");
    std::vector<std::size_t> rounds;
    for (int round = 0; round < 8; round++) {
        std::vector<Job> jobs = b.jobs();
        rounds.push_back(jobs.size());
        for (const Job& job : jobs) b.done(job, Verdict::Relayed);
    }
    EXPECT_EQ(rounds, (std::vector<std::size_t>{2, 3, 4, 5, 6, 7, 8, 8}));
}

TEST(Concurrency, IsHalvedByAFailureAndNeverBelowOne) {
    Options options = plain();
    options.remote.limits = {.connections_max = 8, .connections_first = 8};
    options.remote.suspend_after_failures = 100;
    Bench b(options);
    for (int i = 0; i < 50; i++) b.add("a");
    std::vector<int> seen;
    std::vector<Job> jobs = b.jobs();
    ASSERT_EQ(jobs.size(), 8u);
    for (int i = 0; i < 5; i++) {
        b.done(jobs[static_cast<std::size_t>(i)], Verdict::Temporary, FailureKind::Connection);
        seen.push_back(b.site("a").connections);
    }
    EXPECT_EQ(seen, (std::vector<int>{4, 2, 1, 1, 1}));
    EXPECT_FALSE(b.job());  // three are still open
}

TEST(Concurrency, FourYzToOneMailboxSaysNothingAgainstTheSite) {
    Bench b(plain());
    for (int i = 0; i < 20; i++) b.add("a");
    for (const Job& job : b.jobs()) b.done(job, Verdict::Temporary, FailureKind::Mailbox);
    EXPECT_EQ(b.site("a").connections, 6);
    EXPECT_EQ(b.site("a").failures, 0);
}

TEST(Concurrency, TotalIsNeverAboveActiveMax) {
    Options options = plain();
    options.active_max = 10;
    options.active_unproven_percent = 100;
    Bench b(options);
    for (int i = 0; i < 100; i++) b.add("site" + std::to_string(i));
    EXPECT_EQ(b.jobs().size(), 10u);
}

TEST(Suspension, DeadSiteIsLeftAloneAndThenProbedByOne) {
    Bench b(plain());
    for (int i = 0; i < 100; i++) b.add("dead");
    std::vector<Job> jobs = b.jobs();
    ASSERT_EQ(jobs.size(), 5u);
    for (const Job& job : jobs) b.done(job, Verdict::Temporary, FailureKind::Connection);
    SiteView site = b.site("dead");
    ASSERT_TRUE(site.suspended_until);
    EXPECT_EQ(*site.suspended_until, at(minutes(2)));  // the last two failures did not add to it
    EXPECT_EQ(b.sleep(), at(minutes(2)));
    EXPECT_TRUE(b.queue.is_suspended("dead", b.now));
    EXPECT_FALSE(b.queue.is_suspended("another", b.now));

    b.now = at(minutes(2));
    EXPECT_FALSE(b.queue.is_suspended("dead", b.now)) << "it is to be probed";
    std::vector<Job> probe = b.jobs();
    ASSERT_EQ(probe.size(), 1u);
    EXPECT_TRUE(probe[0].probe);
    b.done(probe[0], Verdict::Temporary, FailureKind::Connection);
    EXPECT_EQ(*b.site("dead").suspended_until, at(minutes(2)) + minutes(4));

    b.now = at(minutes(6));
    probe = b.jobs();
    ASSERT_EQ(probe.size(), 1u);
    b.done(probe[0], Verdict::Relayed);
    EXPECT_FALSE(b.site("dead").suspended_until);
    EXPECT_GE(b.jobs().size(), 1u);
}

// A message that is refused or put off for its own sake must not stop the others of its site.
TEST(Suspension, OnlyWhatIsTheSitesOwnMatterSuspendsIt) {
    const std::pair<FailureKind, bool> cases[] = {
        {FailureKind::Connection, true}, {FailureKind::Greeting, true},
        {FailureKind::Tls, true},        {FailureKind::Dns, true},
        {FailureKind::Mail4yz, false},   {FailureKind::Greylisted, false},
        {FailureKind::Full, false},      {FailureKind::Mailbox, false},
        {FailureKind::Policy, false},    {FailureKind::TooManyRecipients, false},
        {FailureKind::Other, false},
    };
    for (auto [kind, suspends] : cases) {
        Bench b(plain());
        for (int i = 0; i < 5; i++) b.add("site");
        for (const Job& job : b.jobs()) b.done(job, Verdict::Temporary, kind);
        EXPECT_EQ(b.site("site").suspended_until.has_value(), suspends) << name(kind);
    }
}

TEST(Rate, NotMoreThanAllowedInAnInterval) {
    Options options = plain();
    options.sites["limited"] = {.connections_max = 50,
                                .connections_first = 50,
                                .rate_messages = 10,
                                .rate_interval = minutes(1)};
    Bench b(options);
    for (int i = 0; i < 100; i++) b.add("limited");
    EXPECT_EQ(b.jobs().size(), 10u);  // what was saved up
    EXPECT_EQ(b.sleep(), at(seconds(6)));
    b.now = at(seconds(60));
    EXPECT_EQ(b.jobs().size(), 10u);
    b.now = at(seconds(66));
    EXPECT_EQ(b.jobs().size(), 1u);
}

TEST(Rate, IsRememberedWhileTheSiteHasNoEntries) {
    Options options = plain();
    options.sites["limited"] = {.rate_messages = 1, .rate_interval = minutes(10)};
    Bench b(options);
    b.add("limited");
    b.done(*b.job(), Verdict::Relayed);
    b.add("limited");
    EXPECT_EQ(b.sleep(), at(minutes(10)));
}

TEST(Sites, IdleOnesAreForgottenAfterATime) {
    Options options = plain();
    Bench b(options);
    for (int i = 0; i < 40; i++) {
        b.add("site" + std::to_string(i));
        b.done(*b.job(), Verdict::Relayed);
    }
    EXPECT_EQ(b.queue.totals().sites, 40u);
    b.now = at(minutes(29));
    b.job();
    EXPECT_EQ(b.queue.totals().sites, 40u);
    b.add("site7");  // in use again
    b.now = at(minutes(31));
    for (int i = 0; i < 5; i++) b.job();
    EXPECT_EQ(b.queue.totals().sites, 1u);
}

TEST(Sites, IdleOnesAreBounded) {
    Options options = plain();
    options.idle_sites_max = 10;
    Bench b(options);
    for (int i = 0; i < 100; i++) {
        b.add("site" + std::to_string(i));
        b.done(*b.job(), Verdict::Relayed);
    }
    EXPECT_LE(b.queue.totals().sites, 11u);
}

TEST(NextOn, KeepsTheConnectionWhileNobodyElseWaits) {
    Bench b(plain());
    b.add("a");
    b.add("a");
    auto job = b.job();
    EXPECT_EQ(job->more, 1u);
    b.done(*job, Verdict::Relayed);
    auto second = b.queue.next_on("a", b.now);
    ASSERT_TRUE(second);
    b.done(*second, Verdict::Relayed);
    EXPECT_FALSE(b.queue.next_on("a", b.now));
    EXPECT_FALSE(b.queue.next_on("unknown", b.now));
}

TEST(NextOn, LeavesTheLastPlaceToOthersThatWait) {
    Options options = plain();
    options.active_max = 1;
    Bench b(options);
    b.add("a");
    b.add("a");
    b.add("a");
    auto job = b.job();
    b.done(*job, Verdict::Relayed);
    job = b.queue.next_on("a", b.now);
    ASSERT_TRUE(job);  // nobody else is there
    b.add("b");
    b.done(*job, Verdict::Relayed);
    EXPECT_FALSE(b.queue.next_on("a", b.now));
    std::string order;
    for (int i = 0; i < 2; i++) {
        job = b.job();
        ASSERT_TRUE(job);
        order += job->site;
        b.done(*job, Verdict::Relayed);
    }
    EXPECT_TRUE(order == "ab" || order == "ba") << order;
}

TEST(NextOn, SiteInTroubleGetsNone) {
    Bench b(plain());
    b.add("a");
    b.add("a");
    b.add("a");
    std::vector<Job> jobs = b.jobs();
    b.done(jobs[0], Verdict::Temporary, FailureKind::Connection);
    b.add("a");
    EXPECT_FALSE(b.queue.next_on("a", b.now));
}

TEST(Scheduler, HundredThousandEntriesOverManySitesAreAllGivenOut) {
    Options options = plain();
    Bench b(options);
    for (int i = 0; i < 100'000; i++) {
        b.add("site" + std::to_string(i % 1000), "sender" + std::to_string(i % 77), i % 19 - 9);
    }
    std::size_t finished = 0;
    for (int round = 0; round < 5'000 && finished < 100'000; round++) {
        for (const Job& job : b.jobs()) {
            b.done(job, Verdict::Relayed);
            finished++;
        }
    }
    EXPECT_EQ(finished, 100'000u);
    EXPECT_EQ(b.queue.totals().entries, 0u);
}

}  // namespace
}  // namespace postrider::queue
