#include "mail/seven_bit.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace postrider {
namespace {

using namespace std::string_literals;

std::string converted(std::string_view message, std::size_t cut = SIZE_MAX) {
    SevenBitPlan plan;
    for (std::size_t at = 0; at < message.size(); at += std::min(cut, message.size() - at)) {
        plan.feed(message.substr(at, cut));
    }
    plan.finish();
    if (!plan.obstacle().empty()) return "obstacle: " + plan.obstacle();
    SevenBitConverter converter(plan);
    for (std::size_t at = 0; at < message.size(); at += std::min(cut, message.size() - at)) {
        converter.feed(message.substr(at, cut));
    }
    converter.finish();
    return converter.take_output();
}

struct Case {
    const char* name;
    std::string message, want;
};

// By hand; encodings by Python's quopri and base64.
const Case kCases[] = {
    {"one text",
     "From: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\nGr\xC3\xBC\xC3\x9F"
     "e = x \r\n.\r\n",
     "From: a\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe =3D x=20\r\n.\r\n"},
    {"no encoding field", "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n\xE4",
     "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n"
     "Content-Transfer-Encoding: quoted-printable\r\n\r\n=E4"},
    {"other than text",
     "MIME-Version: 1.0\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: 8BIT\r\n\r\n"
     "\xFF"
     "ab\r\n",
     "MIME-Version: 1.0\r\nContent-Type: application/x\r\n"
     "Content-Transfer-Encoding: base64\r\n\r\n/2FiDQo=\r\n"},
    {"parts, of which one has 8 bits",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; (a) boundary=\"b 1\"\r\n"
     "Content-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--b 1\r\n\r\nplain\r\n"
     "--b 1  \r\nContent-Type: image/x\r\nContent-Transfer-Encoding: binary\r\n\r\n\xFF\r\n\r\n"
     "--b 1--\r\nepilogue\r\n",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; (a) boundary=\"b 1\"\r\n"
     "Content-Transfer-Encoding: 7bit\r\n\r\npreamble\r\n--b 1\r\n\r\nplain\r\n"
     "--b 1  \r\nContent-Type: image/x\r\nContent-Transfer-Encoding: base64\r\n\r\n/w0K\r\n"
     "--b 1--\r\nepilogue\r\n"},
    {"a message within",
     "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
     "Subject: in\r\nContent-Type: text/html\r\n\r\n\xC3\xA4\r\n",
     "MIME-Version: 1.0\r\nContent-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
     "Subject: in\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: quoted-printable\r\n"
     "\r\n=C3=A4\r\n"},
    {"7 bits only: nothing but a wrong label changes",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\nabc=\r\n",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: 7bit\r\n\r\nabc=\r\n"},
    {"an encoded part stays",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: Base64\r\n\r\n/w==\r\n",
     "MIME-Version: 1.0\r\nContent-Transfer-Encoding: Base64\r\n\r\n/w==\r\n"},
    {"no MIME", "From: a\r\n\r\n\xE4\r\n", "obstacle: it is no MIME message"},
    {"8 bits in the header", "MIME-Version: 1.0\r\nSubject: \xE4\r\n\r\nx\r\n",
     "obstacle: there are 8-bit octets in a header field"},
    {"signed", "MIME-Version: 1.0\r\nDKIM-Signature: v=1\r\n\r\n\xE4\r\n",
     "obstacle: it is signed"},
    {"signed within",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
     "Content-Type: multipart/signed; boundary=c\r\n\r\n--c\r\n\r\n\xE4\r\n--c--\r\n--b--\r\n",
     "obstacle: it is signed"},
    {"8 bits in the preamble",
     "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\xE4\r\n--b--\r\n",
     "obstacle: there are 8-bit octets between its parts"},
    {"8 bits in base64", "MIME-Version: 1.0\r\nContent-Transfer-Encoding: base64\r\n\r\n\xE4\r\n",
     "obstacle: a part is not encoded as it says"},
    {"message/partial must not be encoded",
     "MIME-Version: 1.0\r\nContent-Type: message/partial\r\n\r\n\xE4\r\n",
     "obstacle: a part must not be encoded"},
    {"no boundary", "MIME-Version: 1.0\r\nContent-Type: multipart/mixed\r\n\r\n\xE4\r\n",
     "obstacle: a multipart has no boundary"},
};

TEST(SevenBit, IsWhatWasWrittenByHandInEveryCut) {
    for (const Case& one : kCases) {
        for (std::size_t cut : {SIZE_MAX, std::size_t{1}, std::size_t{7}}) {
            EXPECT_EQ(converted(one.message, cut), one.want) << one.name;
        }
    }
}

TEST(SevenBit, LinesStayWithinTheirLimit) {
    for (const char* type : {"text/plain", "image/png"}) {
        for (std::size_t length : {1, 24, 25, 26, 56, 57, 58, 75, 76, 77, 200, 997}) {
            std::string message = "MIME-Version: 1.0\r\nContent-Type: "s + type + "\r\n\r\n" +
                                  std::string(length, '\xE4') + "\r\n" + std::string(length, 'a') +
                                  " \r\n";
            std::string out = converted(message);
            std::size_t begin = 0;
            for (std::size_t end = out.find("\r\n"); end != std::string::npos;
                 begin = end + 2, end = out.find("\r\n", begin)) {
                EXPECT_LE(end - begin, 76U) << type << " " << length;
            }
            EXPECT_TRUE(std::ranges::none_of(out, [](char c) { return (c & '\x80') != 0; }));
        }
    }
}

TEST(SevenBit, NestingAndPartsAreBounded) {
    std::string deep = "MIME-Version: 1.0\r\n";
    for (int i = 0; i < 200; i++) {
        std::string boundary = "b" + std::to_string(i);
        deep +=
            fmt::format("Content-Type: multipart/mixed; boundary={0}\r\n\r\n--{0}\r\n", boundary);
    }
    EXPECT_EQ(converted(deep), "obstacle: its parts are nested too deeply");
    std::string many = "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (int i = 0; i < 10'001; i++) many += "--b\r\n\r\nx\r\n";
    EXPECT_EQ(converted(many), "obstacle: it has too many parts");
}

}  // namespace
}  // namespace postrider
