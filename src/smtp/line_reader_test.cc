#include "smtp/line_reader.h"

#include <vector>

#include <gtest/gtest.h>

#include "base/limits.h"

namespace postrider::smtp {
namespace {

using namespace std::string_literals;

// What was read from pieces of `cut` octets: texts, and errors behind a "!".
std::vector<std::string> read(std::string_view all, std::size_t cut) {
    LineReader reader;
    std::vector<std::string> lines;
    while (!all.empty()) {
        const std::string piece(all.substr(0, cut));
        all.remove_prefix(piece.size());
        std::string_view input = piece;
        while (const auto line = reader.next(input)) {
            lines.push_back(line->error.empty() ? std::string(line->text)
                                                : "!" + std::string(line->error));
        }
        EXPECT_TRUE(input.empty());
        EXPECT_LE(reader.memory_octets(), 2 * kCommandLineOctetsMax);
    }
    return lines;
}

TEST(LineReader, LinesAreTheSameForEveryCut) {
    const std::string all = "one\r\n two \t \r\n\r\nthree\nfo\rur\r\n\0\r\nfive\r\r\nsix\r\nrest"s;
    const std::vector<std::string> want = {"one",
                                           " two",
                                           "",
                                           "!lines end with CR and LF",
                                           "!a control character in the line",
                                           "!a control character in the line",
                                           "!a control character in the line",
                                           "six"};
    for (std::size_t cut = 1; cut <= all.size(); ++cut) EXPECT_EQ(read(all, cut), want) << cut;
}

TEST(LineReader, LongestLineIsTakenAndLongerIsSwallowed) {
    const std::string longest(kCommandLineOctetsMax - 2, 'x');
    for (const std::size_t cut : {std::size_t{1}, std::size_t{7}, std::size_t{2047},
                                  std::size_t{2048}, std::size_t{2049}, SIZE_MAX}) {
        EXPECT_EQ(read(longest + "\r\nnext\r\n", cut), (std::vector{longest, "next"s})) << cut;
        EXPECT_EQ(read(longest + "x\r\nnext\r\n", cut),
                  (std::vector{"!the line is too long"s, "next"s}))
            << cut;
    }
}

TEST(LineReader, WholeLineIsAViewAndPartialLineIsFreed) {
    LineReader reader;
    const std::string whole = "a line that is long enough to need memory of its own\r\n";
    std::string_view input = whole;
    EXPECT_EQ(reader.next(input)->text.data(), whole.data());
    const std::size_t empty = LineReader().memory_octets();
    EXPECT_EQ(reader.memory_octets(), empty);
    input = std::string_view(whole).substr(0, 40);
    EXPECT_FALSE(reader.next(input));
    EXPECT_GT(reader.memory_octets(), empty);
    input = std::string_view(whole).substr(40);
    EXPECT_TRUE(reader.next(input));
    reader.release();
    EXPECT_EQ(reader.memory_octets(), empty);
}

}  // namespace
}  // namespace postrider::smtp
