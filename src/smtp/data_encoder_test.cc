// smtp/data_encoder_test.cc: what goes over the wire after DATA, for content cut anywhere.

#include "smtp/data_encoder.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace postrider::smtp {
namespace {

using Kind = ContentFault::Kind;

// The wire octets of `chunks`, final dot included, or the fault.
Result<std::string, ContentFault> encode(const std::vector<std::string_view>& chunks,
                                         std::size_t room = DataEncoder::kPiecesMin) {
    DataEncoder encoder;
    std::string wire;
    std::vector<std::string_view> pieces(room);
    for (std::string_view chunk : chunks) {
        while (!chunk.empty()) {
            auto encoded = encoder.encode(chunk, pieces);
            if (!encoded) return std::unexpected(encoded.error());
            EXPECT_GT(encoded->consumed, 0u);
            for (std::size_t i = 0; i < encoded->pieces; ++i) wire += pieces[i];
            chunk.remove_prefix(encoded->consumed);
        }
    }
    auto end = encoder.finish();
    if (!end) return std::unexpected(end.error());
    return wire + std::string(*end);
}

struct Case {
    std::string_view name, content, want;
};

constexpr Case kCases[] = {
    {"EmptyContentIsADotAlone", "", ".\r\n"},
    {"LineEndIsKept", "a\r\n", "a\r\n.\r\n"},
    {"MissingLineEndIsAdded", "a", "a\r\n.\r\n"},
    {"FirstDotIsDoubled", ".a\r\n", "..a\r\n.\r\n"},
    {"DotAloneIsDoubled", "a\r\n.\r\nb\r\n", "a\r\n..\r\nb\r\n.\r\n"},
    {"TwoDotsBecomeThree", "..\r\n", "...\r\n.\r\n"},
    {"DotWithinALineIsLeftAlone", "a.b\r\nc.\r\n", "a.b\r\nc.\r\n.\r\n"},
    {"DotAtTheVeryEndIsDoubled", "a\r\n.", "a\r\n..\r\n.\r\n"},
    {"EmptyLinesAreKept", "\r\n\r\n", "\r\n\r\n.\r\n"},
    {"ManyDotsInARow", ".\r\n.\r\n.\r\n", "..\r\n..\r\n..\r\n.\r\n"},
    {"EightBitOctetsPass", "\xc3\xa9\xff\r\n", "\xc3\xa9\xff\r\n.\r\n"},
};

TEST(DataEncoder, EachCaseInEveryCutInThree) {
    for (const Case& c : kCases) {
        for (std::size_t i = 0; i <= c.content.size(); ++i) {
            for (std::size_t j = i; j <= c.content.size(); ++j) {
                auto wire = encode(
                    {c.content.substr(0, i), c.content.substr(i, j - i), c.content.substr(j)});
                ASSERT_TRUE(wire) << c.name << " cut at " << i << ", " << j;
                EXPECT_EQ(*wire, c.want) << c.name << " cut at " << i << ", " << j;
            }
        }
    }
}

struct FaultCase {
    std::string_view name, content;
    ContentFault want;
};

const FaultCase kFaults[] = {
    {"BareLf", "a\nb\r\n", {Kind::BareLf, 1}},
    {"BareLfAtTheStart", "\n", {Kind::BareLf, 0}},
    {"BareLfBehindALine", "a\r\n\n", {Kind::BareLf, 3}},
    {"BareCr", "a\rb\r\n", {Kind::BareCr, 1}},
    {"BareCrAtTheEnd", "ab\r", {Kind::BareCr, 2}},
    {"TwoCr", "a\r\r\n", {Kind::BareCr, 1}},
    {"CrBeforeADot", "a\r.\r\n", {Kind::BareCr, 1}},
    {"SmuggledEndWithLf", "a\r\n.\nMAIL", {Kind::BareLf, 4}},
    {"SmuggledEndWithCr", "a\r.\rMAIL", {Kind::BareCr, 1}},
    {"Nul", std::string_view("a\0b\r\n", 5), {Kind::Nul, 1}},
    {"NulAtALineStart", std::string_view("a\r\n\0", 4), {Kind::Nul, 3}},
    {"NulBehindCr", std::string_view("a\r\0", 3), {Kind::BareCr, 1}},
    {"NulBeforeABareCr", std::string_view("\0a\rb", 4), {Kind::Nul, 0}},
};

TEST(DataEncoder, BareCrBareLfAndNulNeverLeave) {
    for (const FaultCase& c : kFaults) {
        for (std::size_t i = 0; i <= c.content.size(); ++i) {
            auto wire = encode({c.content.substr(0, i), c.content.substr(i)});
            ASSERT_FALSE(wire) << c.name << " cut at " << i;
            EXPECT_EQ(wire.error(), c.want)
                << c.name << " cut at " << i << ": " << wire.error().text();
        }
    }
}

TEST(DataEncoder, ACrIsHeldBackUntilItsLfIsThere) {
    DataEncoder encoder;
    std::array<std::string_view, 8> pieces;
    auto encoded = encoder.encode("ab\r", pieces);
    ASSERT_TRUE(encoded);
    ASSERT_EQ(encoded->pieces, 1u);
    EXPECT_EQ(pieces[0], "ab");
    EXPECT_EQ(encoded->consumed, 3u);
}

TEST(DataEncoder, ContentWithoutLeadingDotsIsOneViewOfTheChunk) {
    std::string content;
    for (int i = 0; i < 500; ++i) content += "a line of text\r\n";
    DataEncoder encoder;
    std::array<std::string_view, DataEncoder::kPiecesMin> pieces;
    auto encoded = encoder.encode(content, pieces);
    ASSERT_TRUE(encoded);
    EXPECT_EQ(encoded->consumed, content.size());
    ASSERT_EQ(encoded->pieces, 1u);
    EXPECT_EQ(pieces[0].data(), content.data());
    EXPECT_EQ(pieces[0].size(), content.size());
}

// A second, slow form of RFC 5321 §4.5.2 as the judge of random content.
TEST(DataEncoder, AgreesWithAnOctetByOctetForm) {
    std::mt19937 random(20261121);
    for (int round = 0; round < 300; ++round) {
        std::string content;
        for (int i = 0; i < 60; ++i) {
            constexpr std::string_view kParts[] = {"\r\n", ".", "x", "\r\n.", "..", "yz"};
            content += kParts[random() % std::size(kParts)];
        }
        std::string want;
        for (std::size_t i = 0; i < content.size(); ++i) {
            bool line_start = i == 0 || content[i - 1] == '\n';
            if (line_start && content[i] == '.') want += '.';
            want += content[i];
        }
        want += content.ends_with("\r\n") ? ".\r\n" : "\r\n.\r\n";
        std::vector<std::string_view> chunks;
        for (std::string_view rest = content; !rest.empty();) {
            std::size_t size = std::min<std::size_t>(rest.size(), 1 + random() % 9);
            chunks.push_back(rest.substr(0, size));
            rest.remove_prefix(size);
        }
        auto wire = encode(chunks, 4 + random() % 8);
        ASSERT_TRUE(wire);
        EXPECT_EQ(*wire, want);
    }
}

}  // namespace
}  // namespace postrider::smtp
