#include "mail/mime.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

namespace postrider {
namespace {

const std::string kFolder = POSTRIDER_SOURCE_DIR "/src/mail/testdata/vectors/mime/";

std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    std::stringstream out;
    out << in.rdbuf();
    return out.str();
}

TEST(ContentType, IsReadAsWritten) {
    struct {
        std::string_view value, type, boundary;
    } cases[] = {
        {" text/plain", "text/plain", ""},
        {"MULTIPART/Mixed; Boundary=abc", "multipart/mixed", "abc"},
        {"multipart/mixed; x=y; boundary=\"a b\\\"c\"", "multipart/mixed", "a b\"c"},
        {"multipart/mixed (comment; boundary=no) ;\r\n boundary = yes", "multipart/mixed", "yes"},
        {"multipart/mixed; boundary*0=ab; boundary*1=\"cd\"", "multipart/mixed", "abcd"},
        {"multipart/mixed boundary=abc", "multipart/mixed", "abc"},
        {"text", "text/plain", ""},
        {"", "text/plain", ""},
        {"multipart/mixed;;;=;boundary", "multipart/mixed", ""},
    };
    for (const auto& one : cases) {
        ContentType got = ContentType::parse(one.value);
        EXPECT_EQ(got.type, one.type) << one.value;
        EXPECT_EQ(got.parameter("boundary"), one.boundary) << one.value;
    }
}

TEST(MimeParts, AreFoundInTheirOrder) {
    std::string message =
        "Content-Type: multipart/mixed; boundary=o\r\n\r\npreamble\r\n"
        "--o\r\n\r\nfirst\r\n"
        "--o\t\r\nContent-Type: multipart/alternative; boundary=oi\r\n\r\n"
        "--oi\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: BASE64\r\n\r\nPGI+\r\n"
        "--oi--\r\nepilogue\r\n"
        "--o\r\nContent-Type: message/rfc822\r\n\r\nContent-Type: multipart/mixed; boundary=q\r\n"
        "\r\n--q\r\n\r\nnot ours\r\n--q--\r\n"
        "--o--\r\n--o\r\n\r\nbehind the end\r\n";
    auto parts = mime_parts(message);
    ASSERT_EQ(parts.size(), 5u);
    EXPECT_EQ(parts[1].body, "first");
    EXPECT_EQ(parts[2].content_type.type, "multipart/alternative");
    EXPECT_EQ(parts[3].decoded(), "<b>");
    EXPECT_EQ(parts[3].depth, 2);
    EXPECT_EQ(parts[4].content_type.type, "message/rfc822");
    EXPECT_EQ(parts[4].depth, 1);
}

TEST(MimeParts, NoNestingCostsMore) {
    std::string deep;
    for (int i = 0; i < 500; i++) {
        deep += fmt::format("Content-Type: multipart/mixed; boundary=b{}\r\n\r\n--b{}\r\n", i, i);
    }
    auto parts = mime_parts(deep);
    EXPECT_EQ(parts.back().depth, kMimeDepthMax);
    std::string wide = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (int i = 0; i < 100'000; i++) wide += "--b\r\n\r\n";
    EXPECT_LE(mime_parts(wide).size(), 2 * kMimePartsMax);
}

// The structure that mime4j states in XML: for each part how deep it lies, not going into attached
// messages. The text in these files is escaped, so every "<" begins a tag.
std::vector<int> depths_in_xml(std::string_view xml) {
    std::vector<int> depths;
    int messages = 0, multiparts = 0;
    for (std::size_t at = xml.find('<'); at != std::string_view::npos; at = xml.find('<', at + 1)) {
        std::string_view tag = xml.substr(at, xml.find('>', at) - at + 1);
        if (tag == "<message>") messages++;
        if (tag == "</message>") messages--;
        if (messages > 1) continue;
        if (tag == "<multipart>") multiparts++;
        if (tag == "</multipart>") multiparts--;
        if (tag == "<body-part>") depths.push_back(multiparts);
    }
    return depths;
}

// Where we divide otherwise, and why.
const std::map<std::string, std::string> kDifferences = {
    {"ending-boundaries", "words behind the boundary: a longer boundary would begin alike"},
};

TEST(MimeVectors, PartsAreThoseOfMime4j) {
    int agreed = 0, all = 0, differing = 0;
    for (const auto& entry : std::filesystem::directory_iterator(kFolder + "mime4j")) {
        if (entry.path().extension() != ".msg") continue;
        auto xml = entry.path();
        xml.replace_extension(".xml");
        all++;
        std::string message = content(entry.path());
        std::vector<int> got;
        for (const MimePart& part : mime_parts(message)) {
            if (part.depth > 0) got.push_back(part.depth);
        }
        bool same = got == depths_in_xml(content(xml));
        bool named = kDifferences.contains(entry.path().stem());
        agreed += same;
        differing += !same;
        EXPECT_NE(same, named) << entry.path().stem() << ": " << got.size() << " parts, theirs "
                               << depths_in_xml(content(xml)).size();
    }
    fmt::print("vectors mime/mime4j: {} of {}, {} differences\n", agreed, all, differing);
    EXPECT_EQ(all, 80);
}

TEST(MimeVectors, MalformedMessagesAreReadWithinTheirOctets) {
    int read = 0;
    for (const char* folder : {"python", "mimekit/messages"}) {
        for (const auto& entry : std::filesystem::directory_iterator(kFolder + folder)) {
            std::string message = content(entry.path());
            auto parts = mime_parts(message);
            EXPECT_FALSE(parts.empty());
            for (const MimePart& part : parts) {
                EXPECT_LE(part.depth, kMimeDepthMax);
                EXPECT_LE(part.body.data() + part.body.size(), message.data() + message.size());
                (void)part.decoded();
            }
            read++;
        }
    }
    fmt::print("vectors mime/python, mime/mimekit: {} of {}, 0 differences\n", read, read);
    EXPECT_EQ(read, 80);
}

TEST(MimeVectors, EncodersOfOthersAreUndone) {
    std::string folder = kFolder + "mimekit/encoders/";
    EXPECT_EQ(decode_base64(content(folder + "photo.b64")), content(folder + "photo.jpg"));
    EXPECT_EQ(decode_quoted_printable(content(folder + "wikipedia.qp")),
              content(folder + "wikipedia.txt"));
    fmt::print("vectors mime/mimekit/encoders: 2 of 2, 0 differences\n");
}

}  // namespace
}  // namespace postrider
