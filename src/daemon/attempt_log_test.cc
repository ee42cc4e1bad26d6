// daemon/attempt_log_test.cc: what is remembered is bounded, and the newest is kept.

#include "daemon/attempt_log.h"

#include <gtest/gtest.h>

namespace postrider::daemon {
namespace {

AttemptRecord record(uint32_t number, std::size_t dialogue_octets = 10) {
    return {.number = number, .dialogue = std::string(dialogue_octets, 'x')};
}

TEST(AttemptLog, AttemptsOfAMessageComeOldestFirst) {
    AttemptLog log;
    log.add(MessageId{1}, record(1));
    log.add(MessageId{2}, record(1));
    log.add(MessageId{1}, record(2));
    ASSERT_NE(log.of(MessageId{1}), nullptr);
    ASSERT_EQ(log.of(MessageId{1})->size(), 2u);
    EXPECT_EQ(log.of(MessageId{1})->back().number, 2u);
    EXPECT_EQ(log.of(MessageId{3}), nullptr);
}

TEST(AttemptLog, OfManyTheFirstAndTheNewestStay) {
    AttemptLog log;
    for (uint32_t i = 1; i <= 100; i++) log.add(MessageId{1}, record(i));
    ASSERT_EQ(log.of(MessageId{1})->size(), AttemptLog::kPerMessageMax);
    EXPECT_EQ(log.of(MessageId{1})->front().number, 1u);
    EXPECT_EQ(log.of(MessageId{1})->back().number, 100u);
}

TEST(AttemptLog, TheOldestAreForgottenWhenItIsFull) {
    AttemptLog log;
    for (uint64_t i = 1; i <= 100; i++) {
        log.add(MessageId{i}, record(1, AttemptLog::kOctetsMax / 10));
        EXPECT_LE(log.octets(), AttemptLog::kOctetsMax);
    }
    EXPECT_EQ(log.of(MessageId{1}), nullptr);
    EXPECT_NE(log.of(MessageId{100}), nullptr);
}

TEST(AttemptLog, RepeatedAttemptsOfOneMessageDoNotGrowIt) {
    AttemptLog log;
    for (uint32_t i = 1; i <= 10'000; i++) log.add(MessageId{1}, record(i, 8000));
    EXPECT_LE(log.octets(), AttemptLog::kPerMessageMax * 9000);
}

}  // namespace
}  // namespace postrider::daemon
