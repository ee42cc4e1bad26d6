#include "spool/index.h"

#include <gtest/gtest.h>

namespace postrider::spool {
namespace {

constexpr MessageId kId{77};

RecipientChange change(uint32_t recipient, RecipientState state, std::string reason = "r") {
    RecipientChange out;
    out.id = kId;
    out.recipient = recipient;
    out.state = state;
    out.reason = std::move(reason);
    return out;
}

TEST(Index, AMessageIsGoneWithItsLastOutcome) {
    Index index;
    index.add(kId, {1, 4096, 10}, 2, false);
    EXPECT_EQ(index.change(change(1, RecipientState::Relayed)), Index::Effect::Changed);
    EXPECT_EQ(index.change(change(0, RecipientState::Waiting)), Index::Effect::Changed);
    EXPECT_TRUE(index.find(kId));
    EXPECT_EQ(index.change(change(0, RecipientState::Failed)), Index::Effect::Finished);
    EXPECT_FALSE(index.find(kId));
}

TEST(Index, AReasonIsKeptOnceAndAsLongAsSomebodyHasIt) {
    Index index;
    index.add(kId, {}, 3, false);
    EXPECT_EQ(index.reason_count(), 0u);
    for (uint32_t i = 0; i < 3; i++) index.change(change(i, RecipientState::Waiting, "busy"));
    EXPECT_EQ(index.reason_count(), 1u);
    index.change(change(1, RecipientState::Waiting, ""));
    EXPECT_EQ(index.reason_count(), 1u) << "no reason is none";
    index.forget(kId);
    EXPECT_EQ(index.reason_count(), 0u);
}

TEST(Index, AFinalStateNeverChanges) {
    Index index;
    index.add(kId, {}, 2, false);
    index.change(change(0, RecipientState::Delivered));
    EXPECT_EQ(index.change(change(0, RecipientState::Waiting)), Index::Effect::None);
    EXPECT_EQ(index.change(change(0, RecipientState::Failed)), Index::Effect::None);
    EXPECT_EQ(index.standings(kId)[0].state, RecipientState::Delivered);
}

TEST(Index, WhatIsUnknownChangesNothing) {
    Index index;
    EXPECT_EQ(index.change(change(0, RecipientState::Failed)), Index::Effect::None);
    index.add(kId, {}, 1, false);
    EXPECT_EQ(index.change(change(1, RecipientState::Failed)), Index::Effect::None);
}

TEST(Index, OnlyWhatDiffersFromTheBeginningIsWrittenAgain) {
    Index index;
    index.add(kId, {}, 3, false);
    index.change(change(2, RecipientState::Waiting, "451 later"));
    auto changes = index.changes(kId);
    ASSERT_EQ(changes.size(), 1u);
    EXPECT_EQ(changes[0].recipient, 2u);
    EXPECT_EQ(changes[0].reason, "451 later");
}

TEST(Index, AnOutcomeTakesBackTheAttemptsThatWereBegun) {
    Index index;
    index.add(kId, {}, 2, false);
    index.add_attempt(kId);
    index.add_attempt(kId);
    EXPECT_EQ(index.find(kId)->unfinished_attempts, 2);
    index.change(change(0, RecipientState::Waiting));
    EXPECT_EQ(index.find(kId)->unfinished_attempts, 0);
}

TEST(Index, LongReasonsAreSharedAndFreedWithTheirLastUser) {
    Index index;
    index.add(kId, {}, 2, false);
    std::string text(2000, 'x');
    for (int i = 0; i < 3; ++i) index.change(change(0, RecipientState::Waiting, text));
    index.change(change(1, RecipientState::Waiting, text));
    EXPECT_EQ(index.standings(kId)[1].reason.size(), 1024u);
    index.change(change(0, RecipientState::Waiting, "short"));
    EXPECT_EQ(index.standings(kId)[1].reason.size(), 1024u);
    EXPECT_EQ(index.standings(kId)[0].reason, "short");
    index.forget(kId);
}

TEST(Index, OneTakesOverAllOfAnotherWithItsReasons) {
    constexpr MessageId kOther{7};
    Index index;
    index.add(kId, {}, 1, false);
    index.change(change(0, RecipientState::Waiting, "451 later"));
    {
        Index other;
        RecipientChange later = change(0, RecipientState::Waiting, "451 later");
        later.id = kOther;
        other.add(kOther, {3, 4096, 10}, 2, true);
        other.change(later);
        later.recipient = 1;
        later.reason = "no answer";
        other.change(later);
        index.take_over(other);
        EXPECT_EQ(other.size(), 0u);
    }
    EXPECT_EQ(index.size(), 2u);
    EXPECT_EQ(index.reason_count(), 2u) << "one text is shared";
    EXPECT_EQ(index.find(kOther)->place, (Place{3, 4096, 10}));
    EXPECT_EQ(index.standings(kOther)[0].reason, "451 later");
    EXPECT_EQ(index.standings(kOther)[1].reason, "no answer");
    index.forget(kOther);
    EXPECT_EQ(index.reason_count(), 1u);
    EXPECT_EQ(index.standings(kId)[0].reason, "451 later");
    std::size_t seen = 0;
    index.visit([&](MessageId id, const Index::Known& known) {
        EXPECT_EQ(id, kId);
        EXPECT_EQ(known.waiting, 1u);
        ++seen;
    });
    EXPECT_EQ(seen, 1u);
}

TEST(Index, TheMessagesOfOneSegmentAreFoundInSlices) {
    Index index;
    for (uint64_t i = 1; i <= 500; ++i) {
        index.add({i}, {static_cast<uint32_t>(i % 5), 4096, 1}, 1, false);
    }
    std::vector<MessageId> found;
    std::size_t from = 0;
    do {
        from = index.collect(3, from, 64, found);
    } while (from != 0);
    EXPECT_EQ(found.size(), 100u);
    for (MessageId id : found) EXPECT_EQ(id.value % 5, 3u);
}

}  // namespace
}  // namespace postrider::spool
