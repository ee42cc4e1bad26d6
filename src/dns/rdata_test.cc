// dns/rdata_test.cc: records from the wire.
//
// Goal: each type as its RFC lays it out, and nothing for what is cut or too long. Method: octets
// by hand.

#include "dns/rdata.h"

#include <gtest/gtest.h>

#include <vector>

namespace postrider::dns {
namespace {

using Octets = std::vector<uint8_t>;

struct WireCase {
    std::string_view name;
    Type type;
    Octets wire;
    std::string want;  // as text(); empty: malformed
};

const WireCase kWires[] = {
    {"Address", Type::A, {192, 0, 2, 1}, "192.0.2.1"},
    {"AddressTooShort", Type::A, {192, 0, 2}, ""},
    {"AddressTooLong", Type::A, {192, 0, 2, 1, 0}, ""},
    {"Address6",
     Type::Aaaa,
     {0x20, 1, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
     "2001:db8::1"},
    {"Address6OfFourOctets", Type::Aaaa, {192, 0, 2, 1}, ""},
    {"MailHost", Type::Mx, {0, 10, 2, 'M', 'x', 1, 'a', 0}, "10 mx.a"},
    {"LargestPreference", Type::Mx, {0xFF, 0xFF, 1, 'a', 0}, "65535 a"},
    {"NullMailHost", Type::Mx, {0, 0, 0}, "0 ."},
    {"MailHostWithoutAName", Type::Mx, {0, 10}, ""},
    {"MailHostWithOctetsBehind", Type::Mx, {0, 10, 1, 'a', 0, 0}, ""},
    {"MailHostCut", Type::Mx, {0, 10, 2, 'm'}, ""},
    {"Alias", Type::Cname, {1, 'a', 1, 'B', 0}, "a.b"},
    {"Pointer", Type::Ptr, {1, 'a', 1, 'b', 0}, "a.b"},
    {"PointerWithOctetsBehind", Type::Ptr, {1, 'a', 0, 1}, ""},
    {"Text", Type::Txt, {3, 'a', '"', 0xFF}, "\"a\\\"\\255\""},
    {"TextsArePutTogether", Type::Txt, {2, 'a', 'b', 0, 1, 'c'}, "\"abc\""},
    {"EmptyString", Type::Txt, {0}, "\"\""},
    {"TextWithoutAString", Type::Txt, {}, ""},
    {"TextCut", Type::Txt, {3, 'a', 'b'}, ""},
    {"Tlsa", Type::Tlsa, {3, 1, 1, 0xAB, 0x0C}, "3 1 1 ab0c"},
    {"TlsaWithoutData", Type::Tlsa, {3, 1, 1}, ""},
};

TEST(Rdata, IsReadAsSpecified) {
    for (const WireCase& c : kWires) {
        SCOPED_TRACE(c.name);
        auto rdata = parse_rdata(c.type, c.wire);
        EXPECT_EQ(rdata ? text(*rdata) : "", c.want);
        if (rdata) EXPECT_EQ(type_of(*rdata), c.type);
    }
}

// The registry's numbers and names.
TEST(Rdata, TypesHaveTheNumbersOfTheRegistry) {
    const std::pair<int, std::string_view> kTypes[] = {
        {1, "A"}, {5, "CNAME"}, {12, "PTR"}, {15, "MX"}, {16, "TXT"}, {28, "AAAA"}, {52, "TLSA"}};
    for (auto [number, word] : kTypes) EXPECT_EQ(name(static_cast<Type>(number)), word);
}

}  // namespace
}  // namespace postrider::dns
