// queue/scheduler_done_test.cc: what becomes of an entry whose attempt has ended, expiry, delay
// notices and the verbs of the operator.

#include "queue/scheduler.h"
#include "queue/testing.h"

namespace postrider::queue {
namespace {

using namespace testing_words;

std::vector<RecipientResult> results(
    std::initializer_list<std::tuple<uint32_t, Verdict, FailureKind>> list) {
    std::vector<RecipientResult> all;
    for (auto [recipient, verdict, kind] : list) {
        all.push_back({.recipient = recipient, .verdict = verdict, .kind = kind});
    }
    return all;
}

TEST(Done, TemporaryFailureIsTriedAgainByItsRow) {
    Bench b(plain());
    b.add("a");
    auto job = b.job();
    Settlement s = b.done(*job, Verdict::Temporary, FailureKind::Greylisted);
    EXPECT_EQ(s.outcome, Outcome::Deferred);
    EXPECT_EQ(s.due, at(minutes(2)));
    EXPECT_EQ(s.attempts, 1u);
    EXPECT_FALSE(s.delay_notice);
    EXPECT_EQ(b.sleep(), at(minutes(2)));
    b.now = s.due;
    job = b.job();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->attempt, 2u);
    s = b.done(*job, Verdict::Temporary, FailureKind::Mailbox);
    EXPECT_EQ(s.due, at(minutes(2)) + minutes(10));
}

TEST(Done, OnlyThoseThatFailedForNowGoOn) {
    Bench b(plain());
    b.add("a", "s", 0, {0, 1, 2, 3});
    auto job = b.job();
    Settlement s = b.queue.done(job->handle,
                                results({{0, Verdict::Relayed, {}},
                                         {1, Verdict::Temporary, FailureKind::Mailbox},
                                         {2, Verdict::Permanent, FailureKind::Mailbox},
                                         {3, Verdict::Temporary, FailureKind::Full}}),
                                b.now);
    EXPECT_EQ(s.outcome, Outcome::Deferred);
    b.now = s.due;
    EXPECT_EQ(b.job()->recipients, (std::vector<uint32_t>{1, 3}));
}

TEST(Done, RecipientWithoutAResultGoesOnWaiting) {
    Bench b(plain());
    b.add("a", "s", 0, {0, 1});
    auto job = b.job();
    Settlement s = b.queue.done(job->handle, results({{0, Verdict::Relayed, {}}}), b.now);
    EXPECT_EQ(s.outcome, Outcome::Deferred);
    b.now = s.due;
    EXPECT_EQ(b.job()->recipients, (std::vector<uint32_t>{1}));
}

TEST(Done, ResultsInAnyOrderAreUnderstood) {
    Bench b(plain());
    b.add("a", "s", 0, {0, 1, 2});
    auto job = b.job();
    Settlement s = b.queue.done(
        job->handle,
        results(
            {{2, Verdict::Relayed, {}}, {0, Verdict::Relayed, {}}, {1, Verdict::Permanent, {}}}),
        b.now);
    EXPECT_EQ(s.outcome, Outcome::Finished);
}

TEST(Done, TooManyRecipientsGoAtOnceInTheNextTransaction) {
    Bench b(plain());
    b.add("a", "s", 0, {0, 1, 2});
    auto job = b.job();
    Settlement s = b.queue.done(job->handle,
                                results({{0, Verdict::Relayed, {}},
                                         {1, Verdict::Temporary, FailureKind::TooManyRecipients},
                                         {2, Verdict::Temporary, FailureKind::TooManyRecipients}}),
                                b.now);
    EXPECT_EQ(s.outcome, Outcome::Deferred);
    EXPECT_TRUE(s.rest_at_once);
    EXPECT_EQ(s.due, b.now);
    EXPECT_EQ(s.attempts, 0u);
    EXPECT_EQ(b.job()->recipients, (std::vector<uint32_t>{1, 2}));
}

TEST(Done, TooManyRecipientsAndOtherFailuresPart) {
    Bench b(plain());
    b.add("a", "s", 0, {0, 1, 2});
    auto job = b.job();
    Settlement s = b.queue.done(job->handle,
                                results({{0, Verdict::Relayed, {}},
                                         {1, Verdict::Temporary, FailureKind::Mailbox},
                                         {2, Verdict::Temporary, FailureKind::TooManyRecipients}}),
                                b.now);
    EXPECT_TRUE(s.rest_at_once);
    EXPECT_EQ(s.due, at(minutes(5)));
    auto rest = b.job();
    ASSERT_TRUE(rest);
    EXPECT_EQ(rest->recipients, (std::vector<uint32_t>{2}));
    EXPECT_EQ(b.done(*rest, Verdict::Relayed).outcome, Outcome::Finished);
    b.now = s.due;
    EXPECT_EQ(b.job()->recipients, (std::vector<uint32_t>{1}));
}

TEST(Done, TooManyRecipientsWithNobodyTakenWaits) {
    Bench b(plain());
    b.add("a", "s", 0, {0, 1});
    auto job = b.job();
    Settlement s = b.done(*job, Verdict::Temporary, FailureKind::TooManyRecipients);
    EXPECT_FALSE(s.rest_at_once);
    EXPECT_EQ(s.due, at(minutes(1)));
    EXPECT_EQ(s.attempts, 1u);
}

TEST(Done, StaleHandleChangesNothing) {
    Bench b(plain());
    b.add("a");
    auto job = b.job();
    b.done(*job, Verdict::Relayed);
    b.add("a");  // takes the same place
    EXPECT_EQ(b.done(*job, Verdict::Relayed).outcome, Outcome::Finished);
    EXPECT_EQ(b.queue.totals().entries, 1u);
    EXPECT_FALSE(b.queue.remove(job->handle, b.now));
    EXPECT_FALSE(b.queue.hold(job->handle, b.now));
}

TEST(PutBack, CountsNeitherAsAnAttemptNorAgainstTheSite) {
    Bench b(plain());
    b.add("a");
    auto job = b.job();
    EXPECT_TRUE(b.queue.put_back(job->handle, at(seconds(3)), b.now));
    b.now = at(seconds(3));
    job = b.job();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->attempt, 1u);
    EXPECT_EQ(b.site("a").failures, 0);
}

TEST(MoveTo, EntryIsDueAtItsNewSiteAndCountsThere) {
    Bench b(plain());
    b.add("domain:a");
    auto job = b.job();
    EXPECT_TRUE(b.queue.move_to(job->handle, "mx:m", SiteKind::Remote, b.now));
    EXPECT_EQ(b.site("mx:m").entries, 1u);
    EXPECT_EQ(b.site("domain:a").entries, 0u);
    EXPECT_EQ(b.site("domain:a").active, 0);
    job = b.job();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->site, "mx:m");
    EXPECT_EQ(job->attempt, 1u);
    EXPECT_EQ(b.done(*job, Verdict::Relayed).outcome, Outcome::Finished);
    EXPECT_EQ(b.queue.totals().entries, 0u);
}

TEST(MoveTo, OnlyAJobCanBeMovedOrGivenUp) {
    Bench b(plain());
    Handle waiting = b.add("a");
    EXPECT_FALSE(b.queue.move_to(waiting, "b", SiteKind::Remote, b.now));
    EXPECT_FALSE(b.queue.give_up_job(waiting, b.now));
    auto job = b.job();
    EXPECT_TRUE(b.queue.give_up_job(job->handle, b.now));
    EXPECT_FALSE(b.queue.give_up_job(job->handle, b.now));
    EXPECT_EQ(b.queue.totals().entries, 0u);
    EXPECT_EQ(b.queue.totals().active, 0u);
}

TEST(Expiry, FailedAttemptAfterTheLifetimeIsTheLast) {
    Bench b(plain());
    std::vector<uint32_t> one{0};
    b.queue.add(
        {.message = {1}, .recipients = one, .site = "a", .due = b.now, .lifetime = minutes(3)},
        b.now);
    auto job = b.job();
    b.now = at(minutes(3));  // a slow attempt
    EXPECT_EQ(b.done(*job, Verdict::Temporary).outcome, Outcome::Expired);
    EXPECT_EQ(b.queue.totals().entries, 0u);
}

TEST(Expiry, NextAttemptIsNotSetBehindTheEndOfLife) {
    Bench b(plain());
    std::vector<uint32_t> one{0};
    b.queue.add(
        {.message = {1}, .recipients = one, .site = "a", .due = b.now, .lifetime = minutes(3)},
        b.now);
    Settlement s = b.done(*b.job(), Verdict::Temporary, FailureKind::Mailbox);
    EXPECT_EQ(s.due, at(minutes(3)));
    b.now = at(minutes(3));
    Decision decision = b.queue.next(b.now);
    auto* expire = std::get_if<Expire>(&decision);
    ASSERT_TRUE(expire);
    EXPECT_EQ(expire->last, FailureKind::Mailbox);
    EXPECT_EQ(expire->attempts, 1u);
    EXPECT_EQ(expire->recipients, one);
    EXPECT_TRUE(b.queue.remove(expire->handle, b.now));
    EXPECT_EQ(b.queue.totals().entries, 0u);
}

TEST(Expiry, ExpireThatCouldNotBeWrittenComesAgain) {
    Bench b(plain());
    std::vector<uint32_t> one{0};
    b.queue.add(
        {.message = {1}, .recipients = one, .site = "a", .due = b.now, .lifetime = minutes(3)},
        b.now);
    b.done(*b.job(), Verdict::Temporary);
    b.now = at(minutes(3));
    Decision decision = b.queue.next(b.now);
    ASSERT_TRUE(std::holds_alternative<Expire>(decision));
    EXPECT_TRUE(b.queue.put_back(std::get<Expire>(decision).handle, at(minutes(4)), b.now));
    EXPECT_EQ(b.sleep(), at(minutes(4)));
    b.now = at(minutes(4));
    EXPECT_TRUE(std::holds_alternative<Expire>(b.queue.next(b.now)));
}

TEST(Expiry, EntriesOfADeadSiteExpireThoughOnlyProbesWereTried) {
    Bench b(plain());
    for (int i = 0; i < 100; i++) b.add("dead");
    std::size_t expired = 0, tried = 0;
    for (int step = 0; step < 20'000 && b.queue.totals().entries > 0; step++) {
        Decision decision = b.queue.next(b.now);
        if (auto* job = std::get_if<Job>(&decision)) {
            tried++;
            Settlement s = b.done(*job, Verdict::Temporary, FailureKind::Connection);
            expired += s.outcome == Outcome::Expired ? 1 : 0;
        } else if (auto* expire = std::get_if<Expire>(&decision)) {
            expired++;
            EXPECT_EQ(expire->last, FailureKind::Connection);
            b.queue.remove(expire->handle, b.now);
        } else {
            b.now = std::get<SleepUntil>(decision).at;
        }
    }
    EXPECT_EQ(expired, 100u);
    EXPECT_EQ(b.now, at(hours(5 * 24)));
    EXPECT_LT(tried, 300u);  // one probe an hour, not a hundred entries by their own schedule
}

TEST(Expiry, TooOldAtRestartIsTriedOnceMoreBeforeItIsGivenUp) {
    // A restart with a clock that is years ahead must not bounce the whole queue.
    Bench b(plain());
    std::vector<uint32_t> one{0};
    for (uint64_t i = 1; i <= 1000; i++) {
        b.queue.add({.message = {i},
                     .recipients = one,
                     .site = "a",
                     .due = b.now,
                     .age = hours(24 * 365 * 3),
                     .attempts = 4},
                    b.now);
    }
    std::size_t delivered = 0;
    for (int step = 0; step < 10'000 && b.queue.totals().entries > 0; step++) {
        Decision decision = b.queue.next(b.now);
        ASSERT_FALSE(std::holds_alternative<Expire>(decision));
        auto* job = std::get_if<Job>(&decision);
        ASSERT_TRUE(job);
        EXPECT_EQ(job->attempt, 5u);
        b.done(*job, Verdict::Relayed);
        delivered++;
    }
    EXPECT_EQ(delivered, 1000u);
}

TEST(Expiry, TooOldAtRestartIsGivenUpAnHourLaterWhenItsAttemptsFailed) {
    Bench b(plain());
    std::vector<uint32_t> one{0};
    b.queue.add(
        {.message = {1}, .recipients = one, .site = "a", .due = b.now, .age = hours(24 * 9)},
        b.now);
    auto job = b.job();
    ASSERT_TRUE(job);
    Settlement s = b.done(*job, Verdict::Temporary, FailureKind::Mailbox);
    ASSERT_EQ(s.outcome, Outcome::Deferred);
    b.now = s.due;
    for (int i = 0; i < 100; i++) {
        Decision decision = b.queue.next(b.now);
        if (std::holds_alternative<Expire>(decision)) break;
        if (auto* again = std::get_if<Job>(&decision)) {
            b.done(*again, Verdict::Temporary, FailureKind::Mailbox);
        } else {
            b.now = std::get<SleepUntil>(decision).at;
        }
    }
    EXPECT_EQ(b.now, at(hours(1)));
}

TEST(DelayNotice, IsAskedForByTheFailedAttemptThatEndsLate) {
    Options options = plain();
    options.delay_notice_after = hours(4);
    Bench b(options);
    b.add("a");
    auto job = b.job();
    b.now = at(hours(4));
    EXPECT_TRUE(b.done(*job, Verdict::Temporary).delay_notice);
}

TEST(DelayNotice, IsAskedForOnceOverAllAttempts) {
    Options options = plain();
    options.delay_notice_after = hours(4);
    Bench b(options);
    b.add("a");
    int notices = 0;
    for (int step = 0; step < 100 && b.now < at(hours(48)); step++) {
        Decision decision = b.queue.next(b.now);
        if (auto* job = std::get_if<Job>(&decision)) {
            notices += b.done(*job, Verdict::Temporary, FailureKind::Mailbox).delay_notice ? 1 : 0;
        } else if (std::holds_alternative<DelayNotice>(decision)) {
            notices++;
            EXPECT_GE(b.now, at(hours(4)));
        } else {
            b.now = std::get<SleepUntil>(decision).at;
        }
    }
    EXPECT_EQ(notices, 1);
}

TEST(DelayNotice, ComesAlsoForAnEntryThatItsSiteKeepsWaiting) {
    Options options = plain();
    options.delay_notice_after = hours(4);
    options.remote.limits = {.connections_max = 1, .connections_first = 1};
    Bench b(options);
    b.add("a");
    auto hangs = b.job();
    Handle waiting = b.add("a");
    EXPECT_EQ(b.sleep(), at(hours(4)));
    b.now = at(hours(4));
    Decision decision = b.queue.next(b.now);
    ASSERT_TRUE(std::holds_alternative<DelayNotice>(decision));
    EXPECT_EQ(std::get<DelayNotice>(decision).handle, waiting);
    EXPECT_EQ(b.sleep(), at(hours(5 * 24)));
}

TEST(DelayNotice, IsOffByDefault) {
    Bench b(plain());
    b.add("a");
    auto job = b.job();
    b.now = at(hours(24));
    EXPECT_FALSE(b.done(*job, Verdict::Temporary).delay_notice);
}

TEST(Operator, HeldEntryWaitsUntilReleasedAndDoesNotExpire) {
    Bench b(plain());
    Handle handle = b.add("a");
    EXPECT_TRUE(b.queue.hold(handle, b.now));
    EXPECT_TRUE(std::holds_alternative<Empty>(b.queue.next(b.now)));
    EXPECT_FALSE(b.queue.retry_now(handle, b.now));
    b.now = at(hours(24 * 30));
    EXPECT_TRUE(std::holds_alternative<Empty>(b.queue.next(b.now)));
    EXPECT_TRUE(b.queue.release(handle, b.now));
    EXPECT_TRUE(b.job());
}

TEST(Operator, ActiveEntryIsHeldWhenItsAttemptHasEnded) {
    Bench b(plain());
    Handle handle = b.add("a");
    auto job = b.job();
    EXPECT_TRUE(b.queue.hold(handle, b.now));
    EXPECT_EQ(b.done(*job, Verdict::Temporary).outcome, Outcome::Deferred);
    EXPECT_EQ(b.queue.totals().held, 1u);
    EXPECT_TRUE(std::holds_alternative<Empty>(b.queue.next(b.now)));
    EXPECT_TRUE(b.queue.release(handle, b.now));
    EXPECT_TRUE(b.job());
}

TEST(Operator, RetryNowGoesAheadOfScheduleAndSuspension) {
    Bench b(plain());
    std::vector<Job> jobs;
    for (int i = 0; i < 3; i++) b.add("dead");
    for (const Job& job : b.jobs()) {
        jobs.push_back(job);
        b.done(job, Verdict::Temporary, FailureKind::Connection);
    }
    EXPECT_FALSE(b.job());
    EXPECT_TRUE(b.queue.retry_now(jobs[1].handle, b.now));
    auto job = b.job();
    ASSERT_TRUE(job);
    EXPECT_EQ(job->handle, jobs[1].handle);
}

TEST(Operator, RemoveTakesAnythingThatIsNotActive) {
    Bench b(plain());
    Handle ready = b.add("a");
    EXPECT_TRUE(b.queue.remove(ready, b.now));
    EXPECT_FALSE(b.queue.remove(ready, b.now));
    Handle active = b.add("a");
    ASSERT_TRUE(b.job());
    EXPECT_FALSE(b.queue.remove(active, b.now));
    EXPECT_EQ(b.queue.totals().entries, 1u);
}

TEST(Operator, ASiteTellsWhatBecameOfItsRecipients) {
    Bench b(plain());
    b.add("a", "s", 0, {0, 1, 2, 3, 4, 5});
    b.add("b");
    std::vector<Job> jobs = b.jobs();
    ASSERT_EQ(jobs.size(), 2u);
    std::vector<RecipientResult> results;
    for (Verdict verdict : {Verdict::Relayed, Verdict::Permanent, Verdict::Delivered,
                            Verdict::Temporary, Verdict::Permanent, Verdict::Permanent}) {
        results.push_back({.recipient = static_cast<uint32_t>(results.size()), .verdict = verdict});
    }
    b.queue.done(jobs[0].site == "a" ? jobs[0].handle : jobs[1].handle, results, b.now);
    SiteView a = b.site("a"), other = b.site("b");
    EXPECT_EQ(a.delivered, 2u);
    EXPECT_EQ(a.deferred, 1u);
    EXPECT_EQ(a.failed, 3u);
    EXPECT_EQ(other.delivered + other.deferred + other.failed, 0u);
}

TEST(Operator, ScanFiltersAndGoesInSlices) {
    Bench b(plain());
    for (int i = 0; i < 30; i++) b.add(i % 3 == 0 ? "a" : "b", i % 2 == 0 ? "ann" : "bob");
    b.now = at(minutes(10));
    for (int i = 0; i < 10; i++) b.add("a", "ann");
    auto count = [&](const Filter& filter) {
        int found = 0;
        std::optional<uint32_t> from = 0;
        for (int slices = 0; from && slices < 100; slices++) {
            from = b.queue.scan(*from, 7, filter, b.now, [&](const EntryView& view) {
                found++;
                EXPECT_EQ(view.recipients.size(), 1u);
            });
        }
        return found;
    };
    EXPECT_EQ(count({}), 40);
    EXPECT_EQ(count({.site = "a"}), 20);
    EXPECT_EQ(count({.site = "a", .sender = "ann"}), 15);
    EXPECT_EQ(count({.sender = "bob"}), 15);
    EXPECT_EQ(count({.older_than = minutes(10)}), 30);
    EXPECT_EQ(count({.state = EntryState::Held}), 0);
    EXPECT_EQ(count({.site = "unknown"}), 0);
    EXPECT_EQ(count({.sender = "unknown"}), 0);
    EXPECT_EQ(count({.message = MessageId{5 << 8}}), 1);
}

TEST(Operator, NewLimitsCountAtOnce) {
    Bench b(plain());
    for (int i = 0; i < 50; i++) b.add("a");
    EXPECT_EQ(b.jobs().size(), 5u);
    Options options = plain();
    options.sites["a"] = {.connections_max = 2};
    b.queue.reconfigure(options, b.now);
    EXPECT_EQ(b.site("a").connections, 2);
    EXPECT_FALSE(b.job());
}

}  // namespace
}  // namespace postrider::queue
