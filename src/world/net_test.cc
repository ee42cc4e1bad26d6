// world/net_test.cc: the text of addresses, networks and endpoints.
//
// Goal: what is read is what was meant, and each address has one text. Method: tables; the IPv6
// texts are the examples of RFC 5952 §4 and §5 and RFC 4291 §2.2.

#include "world/net.h"

#include <gtest/gtest.h>

namespace postrider::world {
namespace {

struct AddressCase {
    std::string_view written;
    std::string_view text;
    std::string_view literal;
};

constexpr AddressCase kAddresses[] = {
    {"192.0.2.1", "192.0.2.1", "[192.0.2.1]"},
    {"0.0.0.0", "0.0.0.0", "[0.0.0.0]"},
    {"255.255.255.255", "255.255.255.255", "[255.255.255.255]"},
    {"2001:db8::1", "2001:db8::1", "[IPv6:2001:db8::1]"},
    {"2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a",
     "[IPv6:2001:db8::8:800:200c:417a]"},
    {"2001:0db8::0001", "2001:db8::1", "[IPv6:2001:db8::1]"},
    {"2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1", "[IPv6:2001:db8:0:1:1:1:1:1]"},
    {"2001:0:0:1:0:0:0:1", "2001:0:0:1::1", "[IPv6:2001:0:0:1::1]"},
    {"2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1", "[IPv6:2001:db8::1:0:0:1]"},
    {"0:0:0:0:0:0:0:1", "::1", "[IPv6:::1]"},
    {"::", "::", "[IPv6:::]"},
    {"fe80::", "fe80::", "[IPv6:fe80::]"},
    {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8", "[IPv6:1:2:3:4:5:6:7:8]"},
    {"::192.0.2.1", "::c000:201", "[IPv6:::c000:201]"},
    {"::ffff:192.0.2.1", "192.0.2.1", "[192.0.2.1]"},
    {"::ffff:c000:201", "192.0.2.1", "[192.0.2.1]"},
};

TEST(IpAddress, EachIsReadAndHasOneText) {
    for (const AddressCase& c : kAddresses) {
        auto address = IpAddress::parse(c.written);
        ASSERT_TRUE(address) << c.written;
        EXPECT_EQ(address->text(), c.text);
        EXPECT_EQ(address->literal(), c.literal);
    }
}

TEST(IpAddress, WhatIsNoAddressIsRefused) {
    using namespace std::string_view_literals;
    constexpr std::string_view kWrong[] = {"",
                                           " ",
                                           "1",
                                           "1.2.3",
                                           "1.2.3.4.5",
                                           "1.2.3.256",
                                           "01.2.3.4",
                                           "1.2.3.4 ",
                                           " 1.2.3.4",
                                           "1.2.3.4/8",
                                           "[1.2.3.4]",
                                           "::1%lo",
                                           ":::",
                                           "1::2::3",
                                           "1:2:3:4:5:6:7",
                                           "1:2:3:4:5:6:7:8:9",
                                           "12345::",
                                           "g::",
                                           "[::1]",
                                           "IPv6:::1",
                                           "localhost",
                                           "1.2.3.4\0"sv,
                                           "::1\0x"sv,
                                           "0000:0000:0000:0000:0000:0000:255.255.255.2555"};
    for (std::string_view text : kWrong) EXPECT_FALSE(IpAddress::parse(text)) << text;
}

TEST(IpAddress, LoopbackIsTheWholeOf127AndOneOfIpv6) {
    EXPECT_TRUE(IpAddress::parse("127.0.0.1")->is_loopback());
    EXPECT_TRUE(IpAddress::parse("127.255.0.9")->is_loopback());
    EXPECT_TRUE(IpAddress::parse("::1")->is_loopback());
    EXPECT_TRUE(IpAddress::parse("::ffff:127.0.0.1")->is_loopback());
    EXPECT_FALSE(IpAddress::parse("128.0.0.1")->is_loopback());
    EXPECT_FALSE(IpAddress::parse("::")->is_loopback());
    EXPECT_FALSE(IpAddress::parse("::2")->is_loopback());
    EXPECT_FALSE(IpAddress::parse("1::1")->is_loopback());
}

struct NetworkCase {
    std::string_view network;
    std::string_view inside;
    std::string_view outside;
};

constexpr NetworkCase kNetworks[] = {
    {"192.0.2.0/24", "192.0.2.255", "192.0.3.0"},
    {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
    {"10.0.0.0/9", "10.127.255.255", "10.128.0.0"},
    {"0.0.0.0/0", "203.0.113.9", "::1"},
    {"192.0.2.128/25", "192.0.2.128", "192.0.2.127"},
    {"2001:db8::/32", "2001:db8:ffff::", "2001:db9::"},
    {"2001:db8::/33", "2001:db8:7fff::", "2001:db8:8000::"},
    {"::1", "::1", "::2"},
    {"::/0", "2001:db8::1", "192.0.2.1"},
    {"::ffff:192.0.2.0/120", "192.0.2.9", "192.0.3.1"},
};

TEST(IpNetwork, HoldsWhatIsInsideAndNothingElse) {
    for (const NetworkCase& c : kNetworks) {
        auto network = IpNetwork::parse(c.network);
        ASSERT_TRUE(network) << c.network;
        EXPECT_TRUE(network->contains(*IpAddress::parse(c.inside))) << c.network;
        EXPECT_FALSE(network->contains(*IpAddress::parse(c.outside))) << c.network;
    }
}

TEST(IpNetwork, WhatIsNoNetworkIsRefused) {
    constexpr std::string_view kWrong[] = {"",
                                           "/8",
                                           "192.0.2.0/",
                                           "192.0.2.0/33",
                                           "192.0.2.0/-1",
                                           "192.0.2.0/024",
                                           "192.0.2.0/2x",
                                           "192.0.2.0/24/1",
                                           "2001:db8::/129",
                                           "192.0.2.0/ 24",
                                           "192.0.2.0/+24"};
    for (std::string_view text : kWrong) EXPECT_FALSE(IpNetwork::parse(text)) << text;
}

TEST(IpNetwork, BitsBehindThePrefixAreRefusedAsAMistake) {
    EXPECT_FALSE(IpNetwork::parse("192.0.2.1/24"));
    EXPECT_FALSE(IpNetwork::parse("2001:db8::1/64"));
    EXPECT_FALSE(IpNetwork::parse("192.0.2.128/24"));
}

TEST(Endpoint, TextShowsAddressAndPort) {
    EXPECT_EQ((IpEndpoint{*IpAddress::parse("192.0.2.1"), 25}.text()), "192.0.2.1:25");
    EXPECT_EQ((IpEndpoint{*IpAddress::parse("2001:db8::1"), 25}.text()), "[2001:db8::1]:25");
    EXPECT_EQ(text(Endpoint(IpEndpoint{*IpAddress::parse("::1"), 0})), "[::1]:0");
    EXPECT_EQ(text(Endpoint(UnixEndpoint{"/run/postrider/admin"})), "unix:/run/postrider/admin");
}

}  // namespace
}  // namespace postrider::world
