#include "receive/proxy_header.h"

#include <gtest/gtest.h>

#include <string>

namespace postrider::receive {
namespace {

using State = ProxyHeaderReader::State;
using namespace std::string_literals;

// Fed as it asks for; what is left must not have been taken.
ProxyHeaderReader read(std::string_view input, std::size_t cut = SIZE_MAX,
                       std::size_t* used = nullptr) {
    ProxyHeaderReader reader;
    std::size_t at = 0;
    while (reader.state() == State::More && at < input.size()) {
        std::string_view piece = input.substr(at, std::min(reader.wants(), cut));
        reader.feed(piece);
        at += piece.size();
    }
    if (used) *used = at;
    return reader;
}

std::string said(const ProxyHeaderReader& reader) {
    switch (reader.state()) {
        case State::More:
            return "more";
        case State::Itself:
            return "itself";
        case State::Client:
            return reader.client().text();
        case State::NoHeader:
            return "none";
    }
    return "";
}

const std::string kSignature = "\r\n\r\n\0\r\nQUIT\n"s;
std::string v2(char version_command, char family, std::string_view rest) {
    std::string out = kSignature + version_command + family;
    out += static_cast<char>(rest.size() >> 8);
    out += static_cast<char>(rest.size() & 0xFF);
    return out + std::string(rest);
}
const std::string kV4 =
    "\xC0\x00\x02\x07\xC0\x00\x02\x19\x12\x67\x00\x19"s;  // 192.0.2.7:4711 to :25

struct Case {
    std::string input;
    const char* want;
};

// The examples of the specification's §2.1, and what it forbids.
TEST(ProxyHeader, LinesAreReadToTheLetter) {
    const Case cases[] = {
        {"PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255:65535"},
        {"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", "192.168.0.1:56324"},
        {"PROXY TCP6 2001:db8::7 2001:db8::1 4711 25\r\n", "[2001:db8::7]:4711"},
        {"PROXY TCP6 ffff:f:f:f:f:f:f:ffff ffff:f:f:f:f:f:f:ffff 65535 65535\r\n",
         "[ffff:f:f:f:f:f:f:ffff]:65535"},
        {"PROXY TCP6 ::ffff:192.0.2.7 ::1 1 2\r\n", "192.0.2.7:1"},
        {"PROXY UNKNOWN\r\n", "itself"},
        {"PROXY UNKNOWN ffff:f:f:f:f:f:f:ffff ffff:f:f:f:f:f:f:ffff 65535 65535\r\n", "itself"},
        {"PROXY TCP4 192.0.2.7 192.0.2.25 4711 25\n", "none"},
        {"PROXY TCP4 192.0.2.7 192.0.2.25 4711 25 \r\n", "none"},
        {"PROXY TCP4 192.0.2.7 192.0.2.25 4711  25\r\n", "none"},
        {"PROXY TCP4 192.0.2.7 192.0.2.25 4711\r\n", "none"},
        {"PROXY TCP4 192.0.2.7 192.0.2.25 65536 25\r\n", "none"},
        {"PROXY TCP4 192.0.2.7 192.0.2.25 04711 25\r\n", "none"},
        {"PROXY TCP4 192.0.2.7 192.0.2.25 -1 25\r\n", "none"},
        {"PROXY TCP4 192.0.2.256 192.0.2.25 4711 25\r\n", "none"},
        {"PROXY TCP4 2001:db8::7 2001:db8::1 4711 25\r\n", "none"},
        {"PROXY TCP6 192.0.2.7 192.0.2.25 4711 25\r\n", "none"},
        {"PROXY UDP4 192.0.2.7 192.0.2.25 4711 25\r\n", "none"},
        {"PROXY tcp4 192.0.2.7 192.0.2.25 4711 25\r\n", "none"},
        {"proxy TCP4 192.0.2.7 192.0.2.25 4711 25\r\n", "none"},
        {"PROXY \r\n\r\nQUIT", "none"},
        {"EHLO a.example\r\n", "none"},
        {"\r\n", "more"},
        {"PROXY UNKNOWN " + std::string(200, 'x'), "none"},
        {"PROXY TCP4 192.0.2.7", "more"},
    };
    for (const Case& one : cases) {
        EXPECT_EQ(said(read(one.input)), one.want) << one.input;
        EXPECT_EQ(said(read(one.input, 1)), one.want) << one.input;
    }
}

TEST(ProxyHeader, NothingBehindTheHeaderIsTaken) {
    const std::string line = "PROXY TCP4 192.0.2.7 192.0.2.25 4711 25\r\n";
    for (const std::string& header : {line, v2('\x21', '\x11', kV4), v2('\x20', '\0', "")}) {
        std::size_t used = 0;
        read(header + "EHLO a.example\r\n", SIZE_MAX, &used);
        EXPECT_EQ(used, header.size());
    }
}

TEST(ProxyHeader, BinaryHeadersAreReadToTheOctet) {
    const std::string v6 =
        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x07"s
        "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x67\x00\x19"s;
    const Case cases[] = {
        {v2('\x21', '\x11', kV4), "192.0.2.7:4711"},
        {v2('\x21', '\x21', v6), "[2001:db8::7]:4711"},
        {v2('\x20', '\0', ""), "itself"},
        {v2('\x20', '\x11', kV4), "itself"},  // LOCAL: the addresses have no meaning
        {v2('\x20', '\x31', "xyz"), "itself"},
        {v2('\x21', '\0', ""), "itself"},  // AF_UNSPEC
        {v2('\x21', '\x11',
            kV4 + "\x04\0\x03"
                  "abc"s),
         "192.0.2.7:4711"},  // NOOP is skipped
        {v2('\x21', '\x11', kV4 + "\xEE\0\0"s), "192.0.2.7:4711"},
        {v2('\x21', '\x11',
            kV4 + "\x04\0\x04"
                  "abc"s),
         "none"},
        {v2('\x21', '\x11', kV4 + "\x04"s), "none"},
        {v2('\x21', '\x11', kV4.substr(1)), "none"},
        {v2('\x21', '\x12', kV4), "none"},  // UDP
        {v2('\x21', '\x31', std::string(216, 'x')), "none"},
        {v2('\x22', '\x11', kV4), "none"},
        {v2('\x11', '\x11', kV4), "none"},
        {v2('\x21', '\x11', std::string(5000, 'x')), "none"},
        {v2('\x21', '\x11', kV4).substr(0, 20), "more"},
    };
    for (const Case& one : cases) {
        EXPECT_EQ(said(read(one.input)), one.want) << testing::PrintToString(one.input);
        EXPECT_EQ(said(read(one.input, 1)), one.want) << testing::PrintToString(one.input);
    }
}

// As HAProxy 2.6.12 sent it (send-proxy-v2, proxy-v2-options crc32c), from 127.0.0.9:5555.
TEST(ProxyHeader, AChecksumMustBeRight) {
    const std::string header = kSignature +
                               "\x21\x11\0\x13\x7f\0\0\x09\x7f\0\0\x01\x15\xb3\x1b\x59"s
                               "\x03\0\x04\x55\xbe\xf0\x70"s;
    EXPECT_EQ(said(read(header)), "127.0.0.9:5555");
    for (std::size_t at = 16; at < header.size(); at++) {
        std::string wrong = header;
        wrong[at] ^= 1;
        // In its type or length the field is another one, or none; never is a wrong address taken.
        if (at != 28 && at != 29) EXPECT_EQ(said(read(wrong)), "none") << at;
    }
    EXPECT_EQ(said(read(v2('\x21', '\x11', kV4 + "\x03\0\x02\0\0"s))), "none");
}

}  // namespace
}  // namespace postrider::receive
