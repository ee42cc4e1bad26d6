// base/id_test.cc: ids are unique, sort by age, and survive a clock that goes back.

#include "base/id.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

TEST(MessageId, TextIsThirteenOctetsAndReadsBackInEitherCase) {
    MessageId id{0x0123456789ABCDEF};
    EXPECT_EQ(id.text(), "028T5CY4TQKFF");  // by hand: 4 bits, then 12 groups of 5
    EXPECT_EQ(MessageId::parse("028T5CY4TQKFF"), id);
    EXPECT_EQ(MessageId::parse("028t5cy4tqkff"), id);
}

TEST(MessageId, WhatIsNoIdIsRefused) {
    for (std::string_view bad : {"", "028T5CY4TQKF", "028T5CY4TQKFFF", "028T5CY4TQKFI",
                                 "028T5CY4TQK F", "G000000000000", "ZZZZZZZZZZZZZ"}) {
        EXPECT_FALSE(MessageId::parse(bad)) << bad;
    }
    EXPECT_EQ(MessageId::parse("FZZZZZZZZZZZZ"), MessageId{~uint64_t{0}});
}

TEST(MessageIdSource, IdsGrowAlsoWhenTheClockStandsOrGoesBack) {
    MessageIdSource source(3, MessageId{0});
    MessageId a = source.next(Wall{1'000'000});
    MessageId b = source.next(Wall{1'000'000});
    MessageId c = source.next(Wall{5});
    MessageId d = source.next(Wall{2'000'000});
    EXPECT_LT(a, b);
    EXPECT_LT(b, c);
    EXPECT_LT(c, d);
    EXPECT_EQ(d.value, uint64_t{2'000'000} << 8 | 3);
}

TEST(MessageIdSource, NoIdIsAtOrBelowTheFloorOnAnyShard) {
    MessageId floor{uint64_t{7'000'000} << 8 | 255};
    for (int shard : {0, 1, 255}) EXPECT_GT(MessageIdSource(shard, floor).next(Wall{1}), floor);
}

TEST(MessageIdSource, ShardsNeverMakeTheSameId) {
    MessageIdSource zero(0, MessageId{0});
    MessageIdSource one(1, MessageId{0});
    for (int i = 0; i < 100; i++) EXPECT_NE(zero.next(Wall{9}), one.next(Wall{9}));
}

}  // namespace
}  // namespace postrider
