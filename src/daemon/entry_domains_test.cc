#include "daemon/entry_domains.h"

#include <gtest/gtest.h>

namespace postrider::daemon {
namespace {

using Has = EntryDomains::Has;

TEST(EntryDomains, EachEntrySaysItsDomain) {
    EntryDomains domains;
    domains.note({0, 1}, "one.example");
    domains.note({1, 1}, "two.example");
    domains.note({2, 1}, "");
    EXPECT_EQ(domains.has({0, 1}, "one.example"), Has::All);
    EXPECT_EQ(domains.has({0, 1}, "two.example"), Has::No);
    EXPECT_EQ(domains.has({0, 1}, "one.example.org"), Has::No);
    EXPECT_EQ(domains.has({1, 1}, "two.example"), Has::All);
    EXPECT_EQ(domains.has({2, 1}, "one.example"), Has::Unknown) << "it has several";
}

TEST(EntryDomains, WhatWasNotNotedIsUnknown) {
    EntryDomains domains;
    domains.note({3, 1}, "one.example");
    EXPECT_EQ(domains.has({1, 1}, "one.example"), Has::Unknown);
    EXPECT_EQ(domains.has({3, 2}, "one.example"), Has::Unknown) << "another entry in that place";
    EXPECT_EQ(domains.has({9, 1}, "one.example"), Has::Unknown);
}

TEST(EntryDomains, ANameIsKeptOnceAndGivenBack) {
    EntryDomains domains;
    for (uint32_t i = 0; i < 100; i++) domains.note({i, 1}, "one.example");
    EXPECT_EQ(domains.size(), 1u);
    for (uint32_t i = 0; i < 100; i++) domains.note({i, 2}, "d" + std::to_string(i));
    EXPECT_EQ(domains.size(), 100u);
    EXPECT_EQ(domains.has({7, 2}, "d7"), Has::All);
    EXPECT_EQ(domains.has({7, 1}, "one.example"), Has::Unknown);
    for (uint32_t round = 3; round < 50; round++) {
        for (uint32_t i = 0; i < 100; i++) domains.note({i, round}, "r" + std::to_string(round));
    }
    EXPECT_EQ(domains.size(), 1u) << "what nobody bears is not kept";
    EXPECT_EQ(domains.has({0, 49}, "r49"), Has::All);
}

}  // namespace
}  // namespace postrider::daemon
