// route/address_key_test.cc: which spellings are the same address.

#include "route/address_key.h"

#include <gtest/gtest.h>

namespace postrider::route {
namespace {

std::string local_key(std::string_view local_part, LocalPartCase mode = LocalPartCase::Folded) {
    return std::string(LocalKey(local_part, mode).view());
}

TEST(AddressKey, AsciiCaseOfTheLocalPartIsFolded) { EXPECT_EQ(local_key("John.DOE"), "john.doe"); }

TEST(AddressKey, OctetsAboveAsciiStayAsTheyAre) {
    EXPECT_EQ(local_key("J\xC3\x9CRGEN"), "j\xC3\x9Crgen");
}

TEST(AddressKey, CaseIsKeptWhenAskedFor) {
    EXPECT_EQ(local_key("John", LocalPartCase::Kept), "John");
}

TEST(AddressKey, PostmasterNeverHasCase) {
    EXPECT_EQ(local_key("PostMaster", LocalPartCase::Kept), "postmaster");
}

TEST(AddressKey, LocalPartOf64OctetsFitsAndOneMoreDoesNot) {
    EXPECT_FALSE(LocalKey(std::string(64, 'a'), LocalPartCase::Folded).too_long());
    EXPECT_TRUE(LocalKey(std::string(65, 'a'), LocalPartCase::Folded).too_long());
}

// A-labels by hand with the `idn2` program of libidn2's authors and RFC 5891's own example names.
TEST(AddressKey, BothFormsOfAnInternationalisedDomainAreOne) {
    EXPECT_EQ(domain_key("b\xC3\xBC"
                         "cher.example"),
              "xn--bcher-kva.example");
    EXPECT_EQ(domain_key("B\xC3\x9C"
                         "CHER.example"),
              "xn--bcher-kva.example");
    EXPECT_EQ(domain_key("XN--BCHER-KVA.Example"), "xn--bcher-kva.example");
    EXPECT_EQ(domain_key("fa\xC3\x9F.example"), "xn--fa-hia.example");  // not fass: 5892 §2.6
}

TEST(AddressKey, WhatIsNoDomainHasNoKey) {
    EXPECT_EQ(domain_key("\xC3\x28.example"), std::nullopt);  // not UTF-8
    EXPECT_EQ(domain_key(std::string("\xC3\xBC\0.x", 5)), std::nullopt);
}

}  // namespace
}  // namespace postrider::route
