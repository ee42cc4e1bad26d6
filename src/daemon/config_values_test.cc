// daemon/config_values_test.cc: the notations of the configuration.

#include "daemon/config_values.h"

#include <gtest/gtest.h>

namespace postrider::daemon {
namespace {

using namespace std::chrono_literals;

TEST(ConfigValues, DurationsAreReadAsSpecified) {
    struct Case {
        std::string_view text;
        Duration want;
    };
    constexpr Case kCases[] = {
        {"0s", 0s},       {"10s", 10s}, {"250ms", 250ms}, {"5m", 5min},
        {"1h30m", 90min}, {"5d", 120h}, {"1w", 168h},     {"1d2h3m4s5ms", 26h + 184s + 5ms},
        {"90m", 5400s},
    };
    for (const Case& c : kCases) {
        auto got = parse_duration(c.text);
        ASSERT_TRUE(got) << c.text;
        EXPECT_EQ(*got, c.want) << c.text;
    }
}

TEST(ConfigValues, WhatIsNoDurationIsRefused) {
    constexpr std::string_view kBad[] = {"",
                                         "5",
                                         "m",
                                         "-5m",
                                         "5 m",
                                         "5x",
                                         "5m1h",
                                         "5m5m",
                                         "1.5h",
                                         "5M",
                                         "+5m",
                                         "99999999999999999999s",
                                         "99999999999w",
                                         "300y"};
    for (std::string_view text : kBad) EXPECT_FALSE(parse_duration(text)) << text;
}

TEST(ConfigValues, DurationsAreWrittenShort) {
    EXPECT_EQ(duration_text(0s), "0s");
    EXPECT_EQ(duration_text(90min), "1h30m");
    EXPECT_EQ(duration_text(120h), "5d");
    EXPECT_EQ(duration_text(1s + 5ms), "1s5ms");
}

TEST(ConfigValues, SizesAreReadAsSpecified) {
    struct Case {
        std::string_view text;
        uint64_t want;
    };
    constexpr Case kCases[] = {{"0", 0},
                               {"1048576", 1'048'576},
                               {"25 MiB", 26'214'400},
                               {"10KiB", 10'240},
                               {"1 GiB", 1'073'741'824},
                               {"2 TiB", 2'199'023'255'552},
                               {"5 MB", 5'000'000},
                               {"7 B", 7}};
    for (const Case& c : kCases) {
        auto got = parse_size(c.text);
        ASSERT_TRUE(got) << c.text;
        EXPECT_EQ(*got, c.want) << c.text;
    }
    constexpr std::string_view kBad[] = {"",
                                         "MiB",
                                         "-1",
                                         "1.5 MiB",
                                         "1  MiB",
                                         "1 mib",
                                         "1 M",
                                         "0x10",
                                         "1 MiB ",
                                         " 1",
                                         "1 ",
                                         "18446744073709551616",
                                         "9999999999 TiB"};
    for (std::string_view text : kBad) EXPECT_FALSE(parse_size(text)) << text;
}

TEST(ConfigValues, SizesAreWrittenInTheLargestWholeUnit) {
    EXPECT_EQ(size_text(26'214'400), "25 MiB");
    EXPECT_EQ(size_text(1536), "1536");
    EXPECT_EQ(size_text(1'073'741'824), "1 GiB");
}

TEST(ConfigValues, EndpointsAreReadAsSpecified) {
    constexpr std::string_view kSame[] = {"0.0.0.0:25", "[::]:25", "127.0.0.1:0",
                                          "[2001:db8::1]:65535"};
    for (std::string_view word : kSame) {
        auto got = parse_endpoint(word);
        ASSERT_TRUE(got) << word;
        EXPECT_EQ(world::text(*got), word);
    }
    auto socket = parse_endpoint("unix:/run/x");
    ASSERT_TRUE(socket);
    EXPECT_EQ(std::get<world::UnixEndpoint>(*socket).path, "/run/x");
    const std::string kLong = "unix:/" + std::string(107, 'x');
    const std::string_view kBad[] = {"",
                                     "25",
                                     "0.0.0.0",
                                     "0.0.0.0:",
                                     ":25",
                                     "::1:25",
                                     "[::1]",
                                     "[127.0.0.1]:25",
                                     "0.0.0.0:65536",
                                     "0.0.0.0:-1",
                                     "0.0.0.0:25 ",
                                     "localhost:25",
                                     "unix:run/x",
                                     "unix:",
                                     kLong};
    for (std::string_view word : kBad) EXPECT_FALSE(parse_endpoint(word)) << word;
}

TEST(ConfigValues, NextHostsAreReadAsSpecified) {
    struct Case {
        std::string_view text, want;
    };
    constexpr Case kCases[] = {
        {"mail.example.net", "mail.example.net:25"},
        {"Mail.Example.NET:587", "mail.example.net:587"},
        {"[192.0.2.1]", "[192.0.2.1]:25"},
        {"[192.0.2.1]:2525", "[192.0.2.1]:2525"},
        {"192.0.2.1", "[192.0.2.1]:25"},
        {"192.0.2.1:65535", "[192.0.2.1]:65535"},
        {"[2001:DB8::1]:25", "[2001:db8::1]:25"},
        {"2001:db8::1", "[2001:db8::1]:25"},
    };
    for (const Case& c : kCases) {
        auto got = parse_next_host(c.text);
        ASSERT_TRUE(got) << c.text;
        EXPECT_EQ(got->text(), c.want);
        EXPECT_EQ(parse_next_host(got->text())->text(), c.want);
    }
    constexpr std::string_view kBad[] = {"",
                                         ":25",
                                         "localhost",
                                         "mail.example.net:",
                                         "mail.example.net:0",
                                         "mail.example.net:65536",
                                         "mail.example.net:smtp",
                                         "mail.example.net:25 ",
                                         "mail.example.net:25:25",
                                         "[mail.example.net]:25",
                                         "[192.0.2.1",
                                         "[192.0.2.1]25",
                                         "[192.0.2.1]:",
                                         "[]:25",
                                         "]:25",
                                         "192.0.2.256",
                                         "unix:/run/x"};
    for (std::string_view word : kBad) EXPECT_FALSE(parse_next_host(word)) << word;
}

TEST(ConfigValues, ServersAreReadAsSpecified) {
    struct Case {
        std::string_view text, want;
    };
    constexpr Case kCases[] = {
        {"192.0.2.53", "192.0.2.53:53"},
        {"192.0.2.53:5353", "192.0.2.53:5353"},
        {"2001:db8::53", "[2001:db8::53]:53"},
        {"[2001:db8::53]", "[2001:db8::53]:53"},
        {"[2001:db8::53]:5353", "[2001:db8::53]:5353"},
    };
    for (const Case& c : kCases) {
        auto got = parse_server(c.text, 53);
        ASSERT_TRUE(got) << c.text;
        EXPECT_EQ(got->text(), c.want);
    }
    for (std::string_view word : {"", "dns.example", "192.0.2.53:0", "192.0.2.53@53", "[::1]:x"}) {
        EXPECT_FALSE(parse_server(word, 53)) << word;
    }
}

TEST(ConfigValues, DeliverToIsReadAsSpecified) {
    EXPECT_EQ(parse_deliver_to("lmtp:unix:/run/lmtp").value(),
              Destination(LmtpDestination{"unix:/run/lmtp"}));
    EXPECT_EQ(parse_deliver_to("lmtp:127.0.0.1:24").value(),
              Destination(LmtpDestination{"127.0.0.1:24"}));
    EXPECT_EQ(parse_deliver_to("lmtp:[2001:DB8::1]:24").value(),
              Destination(LmtpDestination{"[2001:db8::1]:24"}));
    EXPECT_EQ(parse_deliver_to("pipe:/bin/cat -u  x ").value(),
              Destination(PipeDestination{"/bin/cat -u  x"}));
    constexpr std::string_view kBad[] = {"",
                                         "lmtp:",
                                         "lmtp:unix:run/lmtp",
                                         "lmtp:a.b:24",
                                         "lmtp:127.0.0.1",
                                         "lmtp:127.0.0.1:0",
                                         "pipe:",
                                         "pipe:cat",
                                         "/bin/cat",
                                         "maildir:/x"};
    for (std::string_view word : kBad) EXPECT_FALSE(parse_deliver_to(word)) << word;
}

TEST(ConfigValues, ModesAreOctal) {
    EXPECT_EQ(parse_mode("0660"), 0660u);
    EXPECT_EQ(parse_mode("777"), 0777u);
    for (std::string_view text : {"", "0800", "1000", "rw", "-1", "0600 "}) {
        EXPECT_FALSE(parse_mode(text)) << text;
    }
}

TEST(ConfigValues, HostNamesAreFullyQualified) {
    EXPECT_EQ(parse_host_name("Mail.Example.ORG"), "mail.example.org");
    EXPECT_EQ(parse_host_name("a-b.3com.example"), "a-b.3com.example");
    const std::string kLabel(64, 'a');
    const std::string kBad[] = {"",
                                "localhost",
                                "mail.",
                                ".example",
                                "a..b",
                                "-a.b",
                                "a-.b",
                                "192.0.2.1",
                                "a_b.c",
                                "a b.c",
                                "b\xC3\xBC.de",
                                kLabel + ".example",
                                "a." + std::string(252, 'x')};
    for (const std::string& text : kBad) EXPECT_FALSE(parse_host_name(text)) << text;
}

TEST(ConfigValues, NearestWordIsFoundAndAFarOneIsNot) {
    constexpr std::string_view kKnown[] = {"listener", "recipients_max", "sync", "file", "level"};
    struct Case {
        std::string_view word, want;
    };
    constexpr Case kCases[] = {
        {"listne", "listener"},
        {"listenre", "listener"},
        {"recipient_max", "recipients_max"},
        {"sinc", "sync"},
        {"flie", "file"},
        {"Level", "level"},
        {"completely", ""},
        {"x", ""},
        {"", ""},
    };
    for (const Case& c : kCases) EXPECT_EQ(nearest(c.word, kKnown), c.want) << c.word;
}

}  // namespace
}  // namespace postrider::daemon
