// receive/connection_table_test.cc: the counts of clients and their limits; blocks; hops.

#include "receive/connection_table.h"

#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "mail/header.h"
#include "receive/buffer_pool.h"
#include "receive/hop_counter.h"

namespace postrider::receive {
namespace {

const world::IpAddress kOne = *world::IpAddress::parse("192.0.2.1");
const world::IpAddress kOther = *world::IpAddress::parse("2001:db8::1");

TEST(ConnectionTable, OneAddressDoesNotTakeThePlacesOfOthers) {
    ConnectionTable table;
    ConnectionLimits limits{.in_all = 3, .per_address = 2};
    auto first = table.enter(kOne, limits);
    auto second = table.enter(kOne, limits);
    ASSERT_TRUE(first && second);
    auto third = table.enter(kOne, limits);
    ASSERT_FALSE(third);
    EXPECT_EQ(third.error(), ConnectionTable::Full::PerAddress);
    EXPECT_TRUE(table.enter(kOther, limits).has_value());
    EXPECT_EQ(table.count(), 2u) << "the place of the other was given back at once";
}

TEST(ConnectionTable, ANetworkIsCountedAsOne) {
    ConnectionTable table;
    ConnectionLimits limits{.per_network = 2};
    auto neighbour = [](std::string_view text) { return *world::IpAddress::parse(text); };
    {
        auto first = table.enter(kOne, limits);
        auto second = table.enter(neighbour("192.0.2.2"), limits);
        ASSERT_TRUE(first && second);
        auto third = table.enter(neighbour("192.0.2.3"), limits);
        ASSERT_FALSE(third);
        EXPECT_EQ(third.error(), ConnectionTable::Full::PerNetwork);
        EXPECT_TRUE(table.enter(neighbour("192.0.3.1"), limits).has_value());
    }
    EXPECT_TRUE(table.enter(kOne, limits).has_value());
    EXPECT_EQ(table.count(), 0u);
}

TEST(ConnectionTable, TheLimitInAllComesFirst) {
    ConnectionTable table;
    ConnectionLimits limits{.in_all = 1, .per_address = 1};
    auto first = table.enter(kOne, limits);
    ASSERT_TRUE(first);
    for (const auto& address : {kOne, kOther}) {
        auto refused = table.enter(address, limits);
        ASSERT_FALSE(refused);
        EXPECT_EQ(refused.error(), ConnectionTable::Full::InAll);
    }
}

TEST(ConnectionTable, APlaceThatMovedIsGivenBackOnce) {
    ConnectionTable table;
    {
        auto entered = table.enter(kOne, {});
        ASSERT_TRUE(entered);
        ConnectionTable::Place moved(std::move(*entered));
        EXPECT_EQ(table.count(), 1u);
    }
    EXPECT_EQ(table.count(), 0u);
}

TEST(ConnectionTable, ALimitOfNothingLetsNobodyInAndLeavesNothingBehind) {
    ConnectionTable table;
    EXPECT_FALSE(table.enter(kOne, {.in_all = 1, .per_address = 0}).has_value());
    EXPECT_EQ(table.count(), 0u);
    EXPECT_TRUE(table.enter(kOne, {.in_all = 1, .per_address = 1}).has_value());
}

TEST(ConnectionTable, ThreadsNeverPassTheLimitTogether) {
    ConnectionTable table;
    ConnectionLimits limits{.in_all = 5, .per_address = 5};
    std::vector<std::thread> threads;
    for (int i = 0; i < 4; i++) {
        threads.emplace_back([&] {
            for (int turn = 0; turn < 2000; turn++) {
                auto a = table.enter(kOne, limits);
                auto b = table.enter(kOther, limits);
                EXPECT_LE(table.count(), 5u);
            }
        });
    }
    for (auto& thread : threads) thread.join();
    EXPECT_EQ(table.count(), 0u);
}

TEST(BufferPool, LendsAgainWhatCameBack) {
    BufferPool pool;
    BufferPool::Block block = pool.take();
    char* address = block.get();
    pool.give(std::move(block));
    EXPECT_EQ(pool.take().get(), address);
    pool.give(nullptr);  // nothing comes of nothing
    EXPECT_NE(pool.take(), nullptr);
}

TEST(HopCounter, CountsAsTheHeaderWalkDoesInEveryCut) {
    constexpr std::string_view kHeader =
        "Received: a\r\n"
        "RECEIVED : white space before the colon\r\n"
        "received\t: a tab\r\n"
        "Received-SPF: pass\r\n"
        "X-Received: no\r\n"
        "Subject: folded\r\n"
        " Received: not a field\r\n"
        "Receive: no\r\n"
        "Received:\r\n"
        "Received: bare line end\n"
        "Received: last\r\n";
    ASSERT_EQ(count_fields(kHeader, "Received"), 6u);
    for (std::size_t cut = 1; cut <= kHeader.size(); cut++) {
        HopCounter counter;
        for (std::size_t at = 0; at < kHeader.size(); at += cut) {
            counter.feed(kHeader.substr(at, cut));
        }
        EXPECT_EQ(counter.hops(), 6u) << "cut into pieces of " << cut;
    }
}

}  // namespace
}  // namespace postrider::receive
