#include "receive/client_history.h"

#include <gtest/gtest.h>

namespace postrider::receive {
namespace {

using namespace std::chrono_literals;

world::IpAddress ip(std::string_view text) { return *world::IpAddress::parse(text); }

const Monotonic kStart{Duration(1h).count()};

TEST(ClientHistory, NetworksAreThePrefixesOfTheirAddresses) {
    EXPECT_EQ(network_of(ip("192.0.2.77"), {}).text(), "192.0.2.0");
    EXPECT_EQ(network_of(ip("192.0.2.77"), {.v4_bits = 28}).text(), "192.0.2.64");
    EXPECT_EQ(network_of(ip("192.0.2.77"), {.v4_bits = 32}).text(), "192.0.2.77");
    EXPECT_EQ(network_of(ip("192.0.2.77"), {.v4_bits = 0}).text(), "0.0.0.0");
    EXPECT_EQ(network_of(ip("2001:db8:1:2ff::1"), {}).text(), "2001:db8:1:200::");
}

TEST(ClientHistory, WhoComesTooOftenInAMinuteIsTurnedAwayUntilItIsOver) {
    ClientHistory history;
    HistoryLimits limits{.connects_per_address = 3};
    for (int i = 0; i < 3; i++) {
        EXPECT_FALSE(history.connect(ip("192.0.2.1"), limits, kStart + i * 1s));
    }
    EXPECT_EQ(history.connect(ip("192.0.2.1"), limits, kStart + 59s),
              ClientHistory::Refusal::AddressTooFast);
    EXPECT_FALSE(history.connect(ip("192.0.2.2"), limits, kStart + 59s));
    EXPECT_FALSE(history.connect(ip("192.0.2.1"), limits, kStart + 60s));
}

TEST(ClientHistory, ANetworkIsCountedAsOne) {
    ClientHistory history;
    HistoryLimits limits{.connects_per_network = 2};
    EXPECT_FALSE(history.connect(ip("192.0.2.1"), limits, kStart));
    EXPECT_FALSE(history.connect(ip("192.0.2.2"), limits, kStart));
    EXPECT_EQ(history.connect(ip("192.0.2.3"), limits, kStart),
              ClientHistory::Refusal::NetworkTooFast);
    EXPECT_FALSE(history.connect(ip("192.0.3.1"), limits, kStart));
}

TEST(ClientHistory, AHarvestIsSlowedThenCutAndRemembered) {
    ClientHistory history;
    HistoryLimits limits{.unknown_recipients = 6, .remembered = 10min};
    world::IpAddress client = ip("2001:db8::1");
    Duration pauses[] = {0s, 0s, 0s, 1s, 2s, 3s};
    for (int i = 0; i < 6; i++) {
        auto consequence = history.unknown_recipient(client, limits, kStart);
        EXPECT_EQ(consequence.pause, pauses[i]) << i;
        EXPECT_EQ(consequence.cut, i == 5) << i;
    }
    EXPECT_EQ(history.connect(client, limits, kStart + 9min), ClientHistory::Refusal::Harvested);
    EXPECT_FALSE(history.connect(ip("2001:db8::2"), limits, kStart + 9min));
    EXPECT_FALSE(history.connect(client, limits, kStart + 10min));
    EXPECT_FALSE(history.unknown_recipient(client, limits, kStart + 10min).cut);
}

TEST(ClientHistory, OldMistakesAreForgotten) {
    ClientHistory history;
    HistoryLimits limits{.unknown_recipients = 2, .remembered = 10min};
    for (int i = 0; i < 10; i++) {
        EXPECT_FALSE(history.unknown_recipient(ip("192.0.2.1"), limits, kStart + i * 10min).cut);
    }
}

TEST(ClientHistory, MemoryIsBoundedAndMakesRoomAgain) {
    ClientHistory history;
    HistoryLimits limits{.connects_per_address = 1};
    auto nth = [](unsigned n) {
        return world::IpAddress{world::IpAddress::Family::V4,
                                {10, static_cast<uint8_t>(n >> 16), static_cast<uint8_t>(n >> 8),
                                 static_cast<uint8_t>(n)}};
    };
    for (unsigned n = 0; n < 2 * ClientHistory::kEntriesMax; n++) {
        EXPECT_FALSE(history.connect(nth(n), limits, kStart));
    }
    EXPECT_EQ(history.size(), ClientHistory::kEntriesMax);
    // Who is known stays known.
    EXPECT_TRUE(history.connect(nth(0), limits, kStart + 1s));
    EXPECT_FALSE(history.connect(nth(200'000), limits, kStart + 2min));
    EXPECT_EQ(history.size(), 1u);
}

TEST(ClientHistory, WithoutLimitsNothingIsKept) {
    ClientHistory history;
    EXPECT_FALSE(history.connect(ip("192.0.2.1"), {}, kStart));
    EXPECT_FALSE(history.unknown_recipient(ip("192.0.2.1"), {}, kStart).cut);
    EXPECT_EQ(history.size(), 0u);
}

}  // namespace
}  // namespace postrider::receive
