// base/memory_account_test.cc: the sum never exceeds the limit and everything comes back.

#include "base/memory_account.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

constexpr std::size_t kStep = MemoryAccount::kStep;

TEST(MemoryAccount, ChargesGrowInStepsAndComeBack) {
    MemoryAccount account(10 * kStep);
    {
        MemoryCharge charge(account);
        EXPECT_TRUE(charge.grow_to(1));
        EXPECT_EQ(account.used(), kStep);
        EXPECT_TRUE(charge.grow_to(kStep));
        EXPECT_EQ(account.used(), kStep);
        EXPECT_TRUE(charge.grow_to(kStep + 1));
        EXPECT_EQ(account.used(), 2 * kStep);
        MemoryCharge moved = std::move(charge);
        EXPECT_EQ(account.used(), 2 * kStep);
    }
    EXPECT_EQ(account.used(), 0u);
}

TEST(MemoryAccount, RefusesWhatWouldExceedTheLimitAndChangesNothing) {
    MemoryAccount account(4 * kStep);
    MemoryCharge first(account);
    MemoryCharge second(account);
    ASSERT_TRUE(first.grow_to(3 * kStep));
    EXPECT_FALSE(second.grow_to(2 * kStep));
    EXPECT_EQ(account.used(), 3 * kStep);
    EXPECT_TRUE(second.grow_to(kStep));
    first.release();
    EXPECT_EQ(account.used(), kStep);
}

TEST(MemoryAccount, IsRoomyInItsFirstHalf) {
    MemoryAccount account(20 * kStep);
    MemoryCharge charge(account);
    ASSERT_TRUE(charge.grow_to(9 * kStep));
    EXPECT_TRUE(account.is_roomy());
    ASSERT_TRUE(charge.grow_to(10 * kStep));
    EXPECT_FALSE(account.is_roomy());
}

TEST(MemoryAccount, IsTightInItsLastTenth) {
    MemoryAccount account(20 * kStep);
    MemoryCharge charge(account);
    ASSERT_TRUE(charge.grow_to(18 * kStep));
    EXPECT_FALSE(account.is_tight());
    ASSERT_TRUE(charge.grow_to(19 * kStep));
    EXPECT_TRUE(account.is_tight());
}

}  // namespace
}  // namespace postrider
