// Entries with moments of their own: held until, given up at, told at.

#include <gtest/gtest.h>

#include "queue/testing.h"

namespace postrider::queue {
namespace {

using namespace testing_words;

NewEntry entry(Duration due = {}) {
    static constexpr uint32_t kRecipients[] = {0};
    return {.message = {1 << 8}, .recipients = kRecipients, .site = "a", .due = at(due)};
}

// How many notices come until `end`, and when the first does; every attempt fails for now.
struct Notices {
    int count = 0;
    Monotonic first;
};
Notices notices_until(Bench& b, Monotonic end) {
    Notices out;
    auto told = [&] {
        if (out.count++ == 0) out.first = b.now;
    };
    for (int step = 0; step < 1000; step++) {
        Decision decision = b.queue.next(b.now);
        if (auto* job = std::get_if<Job>(&decision)) {
            if (b.done(*job, Verdict::Temporary, FailureKind::Mailbox).delay_notice) told();
        } else if (std::holds_alternative<DelayNotice>(decision)) {
            told();
        } else if (auto* sleep = std::get_if<SleepUntil>(&decision)) {
            if (sleep->at > end) break;
            b.now = sleep->at;
        } else {
            break;
        }
    }
    return out;
}

TEST(OwnMoments, ANoticeComesAtItsOwnTimeAndOnce) {
    Options options = plain();
    options.delay_notice_after = hours(4);
    Bench b(options);
    NewEntry one = entry();
    one.notice_after = seconds(7);
    b.queue.add(one, b.now);
    Notices notices = notices_until(b, at(hours(24)));
    EXPECT_EQ(notices.count, 1);
    EXPECT_EQ(notices.first, at(seconds(7)));
}

TEST(OwnMoments, WhatWasToldBeforeIsNotToldAgain) {
    Bench b(plain());
    NewEntry one = entry();
    one.notice_after = seconds(7);
    one.noticed = true;
    b.queue.add(one, b.now);
    EXPECT_EQ(notices_until(b, at(hours(24))).count, 0);
}

TEST(OwnMoments, ALifetimeOfItsOwnEndsTheEntry) {
    Bench b(plain());
    NewEntry one = entry();
    one.lifetime = seconds(30);
    Handle handle = b.queue.add(one, b.now);
    auto job = b.job();
    ASSERT_TRUE(job);
    Settlement settled = b.done(*job, Verdict::Temporary, FailureKind::Mailbox);
    EXPECT_EQ(settled.due, at(seconds(30)));
    b.now = at(seconds(30));
    Decision decision = b.queue.next(b.now);
    ASSERT_TRUE(std::holds_alternative<Expire>(decision));
    EXPECT_EQ(std::get<Expire>(decision).handle, handle);
}

TEST(OwnMoments, ItsTimeBeginsWhenItIsReleased) {
    Options options = plain();
    options.delay_notice_after = hours(4);
    Bench b(options);
    NewEntry one = entry(hours(10));
    one.age = -hours(10);
    b.queue.add(one, b.now);
    EXPECT_EQ(b.sleep(), at(hours(10)));
    Duration age{};
    b.queue.scan(0, 10, {}, b.now, [&](const EntryView& view) { age = view.age; });
    EXPECT_EQ(age, Duration{});
    EXPECT_EQ(notices_until(b, at(hours(13))).count, 0);
    EXPECT_EQ(notices_until(b, at(hours(20))).count, 1);
}

TEST(OwnMoments, RecipientsThatGoApartKeepThem) {
    Bench b(plain());
    static constexpr uint32_t kTwo[] = {0, 1};
    NewEntry one = entry();
    one.recipients = kTwo;
    one.notice_after = hours(1);
    b.queue.add(one, b.now);
    auto job = b.job();
    ASSERT_TRUE(job);
    std::vector<RecipientResult> results = {
        {.recipient = 0, .verdict = Verdict::Temporary, .kind = FailureKind::Mailbox},
        {.recipient = 1, .verdict = Verdict::Temporary, .kind = FailureKind::TooManyRecipients}};
    results.push_back({.recipient = 2, .verdict = Verdict::Delivered});
    b.queue.done(job->handle, std::span(results).first(2), b.now);
    EXPECT_GE(notices_until(b, at(hours(24))).count, 1);
    EXPECT_TRUE(b.queue.totals().entries >= 1);
}

}  // namespace
}  // namespace postrider::queue
