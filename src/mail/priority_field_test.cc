#include "mail/priority_field.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

std::string said(std::string_view block) {
    PriorityFields found = priority_fields(block);
    return std::to_string(found.fields.size()) + " " +
           (found.value ? std::to_string(*found.value) : "none");
}

// The first two are the examples of RFC 6758 §4.
TEST(PriorityField, OneOfTheRightFormCounts) {
    EXPECT_EQ(said("MT-Priority: -3\r\n"), "1 -3");
    EXPECT_EQ(said("MT-Priority: 4 (ultra)\r\n"), "1 4");
    EXPECT_EQ(said("From: a\r\nmt-priority:\r\n (a (nested \\) one)) 0\r\n\r\n"), "1 0");
    EXPECT_EQ(said("From: a\r\n\r\nMT-Priority: 4\r\n"), "0 none");
    for (const char* wrong : {"", " ", "-0", "10", "+1", "3 4", "3 (", "high", "--1", "-"}) {
        EXPECT_EQ(said("MT-Priority:" + std::string(wrong) + "\r\n"), "1 none") << wrong;
    }
    EXPECT_EQ(said("MT-Priority: 4\r\nMT-Priority: 4\r\n"), "2 none");
    EXPECT_EQ(said("MT-Priority: x\r\nA: b\r\nMT-Priority: 4\r\nMT-Priority: 2\r\n"), "3 none");
}

TEST(PriorityField, ItsPlaceIsTold) {
    std::string block = "From: a\r\nMT-Priority: 4\r\n (ultra)\r\nTo: b\r\n\r\n";
    PriorityFields found = priority_fields(block);
    ASSERT_EQ(found.fields.size(), 1U);
    EXPECT_EQ(block.substr(found.fields[0].begin, found.fields[0].size),
              "MT-Priority: 4\r\n (ultra)\r\n");
    EXPECT_EQ(priority_field(-9), "MT-Priority: -9\r\n");
}

}  // namespace
}  // namespace postrider
