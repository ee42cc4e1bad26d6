// Messages that others collected, sent to a host without 8BITMIME. Few have 8-bit content, so all
// get some: what can be converted is 7-bit and decodes to the same. Origin and licence:
// src/mail/testdata/vectors/SOURCES.md.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>

#include "mail/mime.h"
#include "mail/seven_bit.h"

namespace postrider {
namespace {

const std::string kFolder = POSTRIDER_SOURCE_DIR "/src/mail/testdata/vectors/";

// With CRLF at the end of each line, as a client sends it.
std::string content(const std::filesystem::path& path) {
    std::ifstream in(path, std::ios::binary);
    EXPECT_TRUE(in) << path;
    std::string out;
    for (std::string line; std::getline(in, line);) {
        std::erase(line, '\r');
        out += line + "\r\n";
    }
    return out;
}

std::vector<std::filesystem::path> messages() {
    std::vector<std::filesystem::path> out;
    for (const char* folder :
         {"mime/mime4j", "mime/python", "mime/mimekit/messages", "dsn/sisimai/eml",
          "dsn/sisimai/not", "dsn/kumomta/rfc3464", "dsn/kumomta/rfc5965"}) {
        for (const auto& entry : std::filesystem::directory_iterator(kFolder + folder)) {
            std::string name = entry.path().filename();
            bool other = name.ends_with(".xml") || name.contains("_decoded_") ||
                         name.contains("E.") || !name.contains('.');
            if (!other) out.push_back(entry.path());
        }
    }
    std::ranges::sort(out);
    return out;
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; });
}

// Types and decoded bodies of all parts, those of attached messages too.
std::string read_out(std::string_view message, int depth = 0) {
    std::string out;
    for (const MimePart& part : mime_parts(message)) {
        bool attached = part.content_type.type == "message/rfc822" && depth < 10;
        out += fmt::format("--- {} {}\n", part.content_type.type, part.depth);
        if (attached) {
            out += read_out(part.body, depth + 1);
        } else if (!part.content_type.is_multipart()) {
            out += part.decoded() + "\n";
        }
    }
    return out;
}

// From shortly before the place where the two part.
std::string differing_place(std::string_view got, std::string_view want) {
    std::size_t at = std::ranges::mismatch(got, want).in1 - got.begin();
    at -= std::min<std::size_t>(at, 20);
    return fmt::format("\ngot:  {}\nwant: {}", testing::PrintToString(got.substr(at, 60)),
                       testing::PrintToString(want.substr(at, 60)));
}

struct Result {
    std::string obstacle, message;
};

Result convert(std::string_view message) {
    SevenBitPlan plan;
    plan.feed(message);
    plan.finish();
    if (!plan.obstacle().empty()) return {plan.obstacle(), ""};
    SevenBitConverter converter(plan);
    converter.feed(message);
    converter.finish();
    return {"", converter.take_output()};
}

std::size_t longest_line(std::string_view text) {
    std::size_t longest = 0;
    while (!text.empty()) {
        std::size_t end = std::min(text.find("\r\n"), text.size());
        longest = std::max(longest, end);
        text.remove_prefix(std::min(end + 2, text.size()));
    }
    return longest;
}

// The message with an octet above 127 for each "a" in the bodies of parts that are not encoded.
std::string with_eight_bits(std::string message) {
    for (const MimePart& part : mime_parts(message)) {
        bool holds =
            part.content_type.is_multipart() || part.content_type.type.starts_with("message/");
        if (holds || part.encoding != TransferEncoding::None) continue;
        std::size_t begin = part.body.data() - message.data();
        for (std::size_t i = begin; i < begin + part.body.size(); i++) {
            if (message[i] == 'a') message[i] = '\xe4';
        }
    }
    return message;
}

TEST(SevenBitVectors, WhatIsConvertedDecodesToTheSame) {
    int all = 0, converted = 0, encoded = 0, differing = 0;
    std::map<std::string, int> obstacles;
    for (const auto& path : messages()) {
        std::string message = with_eight_bits(content(path));
        all++;
        if (is_ascii(message)) {
            encoded++;
            continue;
        }
        Result got = convert(message);
        if (!got.obstacle.empty()) {
            obstacles[got.obstacle]++;
            continue;
        }
        EXPECT_TRUE(is_ascii(got.message)) << path;
        EXPECT_LE(longest_line(got.message), std::max<std::size_t>(998, longest_line(message)))
            << path;
        bool same = read_out(got.message) == read_out(message);
        converted += same;
        differing += !same;
        EXPECT_TRUE(same) << path << differing_place(read_out(got.message), read_out(message));
    }
    int given_back = 0;
    for (const auto& [why, count] : obstacles) {
        fmt::print("given back since {}: {}\n", why, count);
        given_back += count;
    }
    fmt::print(
        "vectors mime and dsn to 7 bits: {} of {} converted, {} given back, {} have no "
        "8-bit content, {} differences\n",
        converted, all, given_back, encoded, differing);
    EXPECT_EQ(all, 616);
    EXPECT_EQ(converted, 267);
}

}  // namespace
}  // namespace postrider
