// queue/options_test.cc: the rows of the retry schedules, their jitter, and the change of clocks.

#include "queue/options.h"

#include <gtest/gtest.h>

#include <set>

namespace postrider::queue {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct Row {
    FailureKind kind;
    std::vector<Duration> want;  // after the first failure, the second...
};

void expect_rows(const RetrySchedule& schedule, const std::vector<Row>& rows) {
    for (const Row& row : rows) {
        RetryRow exact = schedule[static_cast<std::size_t>(row.kind)];
        exact.jitter_percent = 0;
        for (uint32_t n = 0; n < row.want.size(); n++) {
            EXPECT_EQ(retry_delay(exact, n + 1, 7), row.want[n]) << name(row.kind) << " " << n + 1;
        }
    }
}

TEST(RetrySchedule, RemoteRowsAreAsDocumented) {
    std::vector<Duration> usual = {minutes(5),  minutes(10),  minutes(20),  minutes(40),
                                   minutes(80), minutes(160), minutes(240), minutes(240)};
    expect_rows(remote_schedule(), {{FailureKind::Other, usual},
                                    {FailureKind::Connection, usual},
                                    {FailureKind::Greeting, usual},
                                    {FailureKind::Dns, usual},
                                    {FailureKind::Mail4yz, usual},
                                    {FailureKind::Mailbox, usual},
                                    {FailureKind::Policy, usual},
                                    {FailureKind::Greylisted, {minutes(2), minutes(4), minutes(8)}},
                                    {FailureKind::TooManyRecipients,
                                     {minutes(1), minutes(2), minutes(4), minutes(8), minutes(16),
                                      minutes(32), minutes(60), minutes(60)}},
                                    {FailureKind::Tls, {minutes(10), minutes(20)}},
                                    {FailureKind::Full, {minutes(15), minutes(30), minutes(60)}}});
}

TEST(RetrySchedule, LocalRowsAreShort) {
    expect_rows(local_schedule(), {{FailureKind::Full, {seconds(10), seconds(20), seconds(40)}},
                                   {FailureKind::Mailbox, {seconds(10), seconds(20)}}});
    RetryRow exact = local_schedule()[0];
    exact.jitter_percent = 0;
    EXPECT_EQ(retry_delay(exact, 1000, 0), minutes(15));
}

TEST(RetryDelay, JitterStaysInItsBoundsAndSpreads) {
    RetryRow row{minutes(100), hours(4), 15};
    std::set<int64_t> seen;
    Duration least = hours(9), most{};
    for (uint64_t seed = 0; seed < 1000; seed++) {
        Duration delay = retry_delay(row, 1, seed << 8);
        least = std::min(least, delay);
        most = std::max(most, delay);
        seen.insert(delay.count());
        EXPECT_EQ(delay, retry_delay(row, 1, seed << 8));
    }
    EXPECT_GE(least, minutes(85));
    EXPECT_LE(most, minutes(115));
    EXPECT_LT(least, minutes(87));
    EXPECT_GT(most, minutes(113));
    EXPECT_GT(seen.size(), 990u);
}

TEST(MonotonicDue, KeepsTheDistance) {
    Wall now{1'000'000'000};
    EXPECT_EQ(monotonic_due(now + minutes(3), now, {5}, hours(4)), Monotonic{5} + minutes(3));
}

TEST(MonotonicDue, PastIsNow) {
    EXPECT_EQ(monotonic_due({0}, {1'000'000'000}, {5}, hours(4)), Monotonic{5});
    EXPECT_EQ(monotonic_due({std::numeric_limits<int64_t>::min()}, {1}, {5}, hours(4)),
              Monotonic{5});
}

TEST(MonotonicDue, ClockSetBackDoesNotPostponeForEver) {
    Wall far{int64_t{1} << 60};
    EXPECT_EQ(monotonic_due(far, {0}, {5}, hours(4)), Monotonic{5} + hours(4));
}

}  // namespace
}  // namespace postrider::queue
