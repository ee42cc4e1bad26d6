// world/real/answer_cache_test.cc: answers are given as long as they are good, and no more of them
// are kept than were allowed.

#include "world/real/answer_cache.h"

#include <gtest/gtest.h>

namespace postrider::world::real {
namespace {

using namespace std::chrono_literals;
using dns::Answer;
using Status = Answer::Status;

dns::Question question(int number) {
    return {*dns::Name::parse(std::to_string(number) + ".example"), dns::Type::A};
}

Answer answer(uint32_t ttl_seconds, Status status = Status::Ok) {
    Answer out{.status = status, .ttl_seconds = ttl_seconds};
    if (status == Status::Ok) out.records = {dns::A{{192, 0, 2, 1}}};
    return out;
}

TEST(AnswerCache, AnAnswerIsGivenUntilItsTtlEnds) {
    AnswerCache cache(10);
    Monotonic t{5'000'000'000};
    cache.put(question(1), answer(10), t);
    EXPECT_EQ(cache.find(question(1), t), answer(10));
    EXPECT_EQ(cache.find(question(1), t + 3500ms), answer(7));
    EXPECT_EQ(cache.find(question(1), t + 9999ms), answer(1));
    EXPECT_FALSE(cache.find(question(1), t + 10s));
    EXPECT_EQ(cache.size(), 0u);
}

TEST(AnswerCache, AnotherTypeIsAnotherQuestion) {
    AnswerCache cache(10);
    cache.put(question(1), answer(10), {});
    EXPECT_FALSE(cache.find({question(1).name, dns::Type::Mx}, {}));
}

TEST(AnswerCache, NegativeAnswersAreKeptAndFailuresAreNot) {
    AnswerCache cache(10);
    cache.put(question(1), answer(10, Status::NxDomain), {});
    cache.put(question(2), answer(10, Status::NoData), {});
    cache.put(question(3), answer(10, Status::Temporary), {});
    cache.put(question(4), answer(0), {});
    EXPECT_TRUE(cache.find(question(1), {}));
    EXPECT_TRUE(cache.find(question(2), {}));
    EXPECT_FALSE(cache.find(question(3), {}));
    EXPECT_FALSE(cache.find(question(4), {}));
}

TEST(AnswerCache, NothingIsKeptLongerThanTheMaximum) {
    AnswerCache cache(10);
    cache.put(question(1), answer(UINT32_MAX), {});
    EXPECT_TRUE(cache.find(question(1), Monotonic{} + kAnswerKeptMax - 1ns));
    EXPECT_FALSE(cache.find(question(1), Monotonic{} + kAnswerKeptMax));
}

TEST(AnswerCache, TheOldestGoesWhenThereIsNoRoom) {
    AnswerCache cache(2);
    cache.put(question(1), answer(10), {});
    cache.put(question(2), answer(10), {});
    cache.put(question(1), answer(20), {});  // renewed: now the youngest
    cache.put(question(3), answer(10), {});
    EXPECT_EQ(cache.size(), 2u);
    EXPECT_EQ(cache.find(question(1), {}), answer(20));
    EXPECT_FALSE(cache.find(question(2), {}));
    EXPECT_TRUE(cache.find(question(3), {}));
}

TEST(AnswerCache, MayBeSwitchedOff) {
    AnswerCache cache(0);
    cache.put(question(1), answer(10), {});
    EXPECT_FALSE(cache.find(question(1), {}));
}

}  // namespace
}  // namespace postrider::world::real
