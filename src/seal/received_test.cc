// seal/received_test.cc: the text of the Received field, word by word, and what cannot get into it.

#include "seal/received.h"

#include <gtest/gtest.h>

namespace postrider::seal {
namespace {

constexpr Wall kAt{1795295045'123456};  // Sat, 21 Nov 2026 21:04:05 +0000 (date -u -d @1795295045)
constexpr MessageId kId{32};            // text 0000000000010

std::string field(const ClientFacts& client, std::string_view reverse_name = "",
                  const Mailbox* recipient = nullptr) {
    return received_field({.client = client,
                           .reverse_name = reverse_name,
                           .host = "mx.example.org",
                           .id = kId,
                           .recipient = recipient,
                           .at = kAt});
}

ClientFacts from(std::string helo) {
    return {.address = "192.0.2.7", .helo = std::move(helo), .protocol = "ESMTP"};
}

TEST(ReceivedField, NamesClientHostProtocolIdRecipientAndDate) {
    Mailbox ann{"ann", "example.org"};
    EXPECT_EQ(field(from("mail.example.com"), "out.example.com", &ann),
              "Received: from mail.example.com (out.example.com [192.0.2.7])\r\n"
              "\tby mx.example.org with ESMTP id 0000000000010 for <ann@example.org>;\r\n"
              "\tSat, 21 Nov 2026 21:04:05 +0000\r\n");
}

// RFC 6710 §7.
TEST(ReceivedField, APriorityThatWasAskedForIsNamed) {
    ClientFacts client = from("a.example");
    std::string got = received_field({.client = client,
                                      .host = "mx.example.org",
                                      .id = MessageId{1},
                                      .priority = int8_t{-4},
                                      .at = Wall{1'700'000'000'000'000}});
    EXPECT_TRUE(got.contains(" PRIORITY -4; Tue, ")) << got;
}

TEST(ReceivedField, ClientWithoutReverseNameIsUnknown) {
    EXPECT_EQ(field(from("a.example")),
              "Received: from a.example (unknown [192.0.2.7]) by mx.example.org with ESMTP\r\n"
              "\tid 0000000000010; Sat, 21 Nov 2026 21:04:05 +0000\r\n");
}

TEST(ReceivedField, IPv6AddressIsWrittenAsItsLiteral) {
    ClientFacts client{.address = "2001:db8::1", .helo = "[IPv6:2001:db8::1]", .protocol = "SMTP"};
    EXPECT_NE(field(client).find("from [IPv6:2001:db8::1] (unknown [IPv6:2001:db8::1])"),
              std::string::npos);
}

TEST(ReceivedField, TlsStandsInAComment) {
    ClientFacts client = from("a.example");
    client.protocol = "ESMTPS";
    client.tls = "TLSv1.3 TLS_AES_256_GCM_SHA384";
    EXPECT_NE(field(client).find("with ESMTPS\r\n\t(TLSv1.3 TLS_AES_256_GCM_SHA384) id "),
              std::string::npos)
        << field(client);
}

TEST(ReceivedField, MessageMadeHereHasNoFromClause) {
    EXPECT_EQ(field({.protocol = "local"}),
              "Received: by mx.example.org with local id 0000000000010;\r\n"
              "\tSat, 21 Nov 2026 21:04:05 +0000\r\n");
}

struct Helo {
    std::string_view name, helo, want;
};

class HeloThatIsNoName : public testing::TestWithParam<Helo> {};

TEST_P(HeloThatIsNoName, IsShownInACommentWithoutHarm) {
    std::string text = field(from(std::string(GetParam().helo)));
    EXPECT_NE(text.find(GetParam().want), std::string::npos) << text;
}

INSTANTIATE_TEST_SUITE_P(
    ReceivedField, HeloThatIsNoName,
    testing::Values(
        Helo{"Parentheses", "a) by evil (b",
             "from [192.0.2.7] (unknown [192.0.2.7]) (HELO a??by?evil??b)\r\n\tby mx.example.org"},
        Helo{"LineEnd", "a\r\nSubject: x", "(HELO a??Subject:?x)"},
        Helo{"Backslash", "a\\", "(HELO a?)"},
        Helo{"Nul", std::string_view("a\0b", 3), "(HELO a?b)"},
        Helo{"EightBit", "m\xC3\xBCller", "(HELO m??ller)"}, Helo{"Semicolon", "a;b", "(HELO a;b)"},
        Helo{"EmptyLabel", "a..b", "(HELO a..b)"},
        Helo{"OpenLiteral", "[1.2.3.4", "(HELO [1.2.3.4)"},
        Helo{"Empty", "", "from [192.0.2.7] (unknown [192.0.2.7]) by mx.example.org"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(ReceivedField, NoOctetFromOutsideBreaksTheField) {
    // Every octet, in every place that comes from outside: one field, folded only by us.
    for (int octet = 0; octet < 256; octet++) {
        std::string evil = std::string("x") + static_cast<char>(octet) + "y";
        ClientFacts client{.address = evil, .helo = evil, .protocol = "ESMTP", .tls = evil};
        Mailbox recipient{evil, "example.org"};
        std::string text = field(client, evil, &recipient);
        ASSERT_TRUE(text.ends_with("\r\n"));
        int depth = 0;
        for (std::size_t i = 0; i < text.size(); i++) {
            auto c = static_cast<unsigned char>(text[i]);
            if (c == '\r') {
                ASSERT_EQ(text[i + 1], '\n');
                ASSERT_TRUE(i + 2 == text.size() || text[i + 2] == '\t') << octet;
            } else if (c == '\n') {
                ASSERT_EQ(text[i - 1], '\r') << octet;
            } else {
                ASSERT_TRUE(c >= 32 || c == '\t') << octet;
                ASSERT_NE(c, 127) << octet;
            }
            if (text.substr(0, i).find(" for <") != std::string::npos) continue;
            depth += c == '(' ? 1 : c == ')' ? -1 : 0;
            ASSERT_TRUE(depth == 0 || depth == 1) << octet << text;
        }
        EXPECT_EQ(depth, 0) << octet;
    }
}

TEST(ReceivedField, LinesStayUnder78OctetsWhereWordsAllow) {
    Mailbox recipient{std::string(20, 'r'), std::string(30, 'd') + ".example"};
    ClientFacts client = from(std::string(60, 'h') + ".example");
    client.tls = "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256";
    std::string text = field(client, std::string(40, 'n') + ".example", &recipient);
    std::size_t begin = 0;
    for (std::size_t end; (end = text.find("\r\n", begin)) != std::string::npos; begin = end + 2) {
        EXPECT_LE(end - begin, 78u) << text.substr(begin, end - begin);
    }
    std::string longest = field(from(std::string(250, 'h') + ".org"));
    EXPECT_LT(longest.find("\r\n", 12), 998u);
}

}  // namespace
}  // namespace postrider::seal
