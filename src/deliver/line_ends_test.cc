// deliver/line_ends_test.cc: in a mailbox of this system a line ends with LF, and nothing else has
// changed, however the content was cut into blocks.

#include "deliver/line_ends.h"

#include <gtest/gtest.h>

#include <vector>

namespace postrider::deliver {
namespace {

struct Case {
    std::string crlf, lf;
};

const Case kCases[] = {
    {"", ""},
    {"\r\n", "\n"},
    {"a\r\nb\r\n\r\n", "a\nb\n\n"},
    {"no end", "no end"},
    {"a\nb", "a\nb"},
    {"\r", "\r"},
    {"a\rb\r\r\nc\r\r", "a\rb\r\nc\r\r"},
    {"\r\n\r\r\n\n\r", "\n\r\n\n\r"},
};

// As its users do it. The blocks lie in the middle of other octets, which must not count.
std::string in_blocks(const std::vector<std::string>& blocks) {
    LfConverter converter;
    std::string out;
    for (const std::string& block : blocks) {
        std::string memory = "\n<" + block + ">\n";
        std::string_view text =
            converter.convert(std::span(memory).subspan(2, block.size()), block.size());
        if (converter.cr_first()) out += '\r';
        out += text;
    }
    if (converter.cr_at_end()) out += '\r';
    return out;
}

TEST(LineEnds, OnlyLineEndsAreConverted) {
    for (const Case& c : kCases) {
        std::string out = "before\r\n";
        append_with_lf(out, c.crlf);
        EXPECT_EQ(out, "before\r\n" + c.lf);
    }
}

// Empty blocks too: a reader may give one.
TEST(LineEnds, HoweverAContentIsCutItIsTheSame) {
    for (const Case& c : kCases) {
        EXPECT_EQ(in_blocks({c.crlf}), c.lf);
        std::vector<std::string> octets;
        for (char one : c.crlf) octets.insert(octets.end(), {std::string(1, one), ""});
        EXPECT_EQ(in_blocks(octets), c.lf);
        for (std::size_t first = 0; first <= c.crlf.size(); first++) {
            for (std::size_t second = first; second <= c.crlf.size(); second++) {
                EXPECT_EQ(in_blocks({c.crlf.substr(0, first), c.crlf.substr(first, second - first),
                                     c.crlf.substr(second)}),
                          c.lf)
                    << first << " " << second;
            }
        }
    }
}

}  // namespace
}  // namespace postrider::deliver
