#include "mail/internet_time.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

// Moments by `date -u -d @SECONDS`.
TEST(InternetTime, IsWrittenAndReadAsUtc) {
    EXPECT_EQ(internet_time({0}), "1970-01-01T00:00:00Z");
    EXPECT_EQ(internet_time({int64_t{1'774'987'261} * 1'000'000 + 999}), "2026-03-31T20:01:01Z");
    EXPECT_EQ(parse_internet_time("2026-03-31T20:01:01Z"),
              (Wall{int64_t{1'774'987'261} * 1'000'000}));
    EXPECT_EQ(parse_internet_time("2024-02-29t00:00:00.5z"),
              (Wall{int64_t{1'709'164'800} * 1'000'000}));
    EXPECT_EQ(parse_internet_time("1990-12-31T23:59:60Z"),
              parse_internet_time("1990-12-31T23:59:59Z"));
    EXPECT_EQ(parse_internet_time("2026-03-31T20:01:01+00:00"),
              parse_internet_time("2026-03-31T20:01:01Z"));
}

TEST(InternetTime, WhatIsNoMomentInUtcIsRefused) {
    for (const char* wrong :
         {"", "2026", "2026-03-31", "2026-03-31T20:01:01", "2026-03-31 20:01:01Z",
          "2026-02-30T00:00:00Z", "2026-13-01T00:00:00Z", "2026-01-01T24:00:00Z",
          "2026-01-01T00:60:00Z", "2026-01-01T00:00:61Z", "2026-01-01T23:58:60Z",
          "2026-01-01T22:59:60Z", "2026-01-01T00:00:00.Z", "2026-01-01T00:00:00+01:00",
          "26-01-01T00:00:00Z", "2026-1-01T00:00:00Z", "2026-01-01T00:00:00Zx",
          "-026-01-01T00:00:00Z"}) {
        EXPECT_EQ(parse_internet_time(wrong), std::nullopt) << wrong;
    }
}

}  // namespace
}  // namespace postrider
