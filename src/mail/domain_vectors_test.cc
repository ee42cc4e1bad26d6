// The A-labels of Unicode's IdnaTestV2.txt, held against ascii_domain(). Origin and licence:
// src/mail/testdata/vectors/SOURCES.md.

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <string>
#include <vector>

#include "mail/domain.h"

namespace postrider {
namespace {

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; });
}

void append_utf8(std::string& out, uint32_t point) {
    auto tail = [&](int shift) { out += static_cast<char>(0x80 | ((point >> shift) & 0x3f)); };
    if (point < 0x80) {
        out += static_cast<char>(point);
    } else if (point < 0x800) {
        out += static_cast<char>(0xc0 | (point >> 6)), tail(0);
    } else if (point < 0x10000) {
        out += static_cast<char>(0xe0 | (point >> 12)), tail(6), tail(0);
    } else {
        out += static_cast<char>(0xf0 | (point >> 18)), tail(12), tail(6), tail(0);
    }
}

// "\uXXXX" and "\x{X...}" as the characters they stand for.
std::string unescaped(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        std::string_view digits;
        std::size_t used = 0;
        if (text.starts_with("\\u")) {
            digits = text.substr(2, 4);
            used = 6;
        } else if (text.starts_with("\\x{")) {
            digits = text.substr(3, text.find('}') - 3);
            used = digits.size() + 4;
        }
        uint32_t point = 0;
        if (used == 0) {
            out += text.front();
            used = 1;
        } else {
            std::from_chars(digits.data(), digits.data() + digits.size(), point, 16);
            append_utf8(out, point);
        }
        text.remove_prefix(used);
    }
    return out;
}

std::vector<std::string> columns(std::string line) {
    line.resize(std::min(line.find('#'), line.size()));
    std::vector<std::string> out;
    for (std::size_t at = 0; at <= line.size();) {
        std::size_t end = std::min(line.find(';', at), line.size());
        std::string_view field = std::string_view(line).substr(at, end - at);
        while (field.starts_with(' ')) field.remove_prefix(1);
        while (field.ends_with(' ')) field.remove_suffix(1);
        out.push_back(unescaped(field));
        at = end + 1;
    }
    return out;
}

// Why a name is judged otherwise than by the file.
//   refused: RFC 5892 disallows symbols, which UTS 46 takes; or the name has characters whose rules
//            for both directions (RFC 5893) changed between the tables of the two; or it ends with
//            a dot, which a Domain of RFC 5321 does not
//   taken:   V6, characters that libidn2 maps to others before it looks at them; B1, B4, B6, rules
//            for both directions, which it keeps label by label, the file for the whole name
struct Sum {
    int agreed = 0, all = 0, refused = 0, taken = 0, other = 0;
};

TEST(DomainVectors, ALabelsAreThoseOfTheUnicodeConsortium) {
    std::ifstream in(POSTRIDER_SOURCE_DIR "/src/mail/testdata/vectors/idna/idna_test_vectors.txt");
    ASSERT_TRUE(in);
    Sum sum;
    for (std::string line; std::getline(in, line);) {
        std::vector<std::string> field = columns(line);
        if (field.size() < 7 || is_ascii(field[0])) continue;
        ++sum.all;
        const std::string unicode = field[1].empty() ? field[0] : field[1];
        const std::string want = field[3].empty() ? unicode : field[3];
        const std::string status = field[4].empty() ? field[2] : field[4];
        const bool good = status.empty() || status == "[]";
        const auto got = ascii_domain(field[0]);
        if (got ? good && *got == want : !good) {
            ++sum.agreed;
        } else if (!got) {
            ++sum.refused;
        } else if (!good) {
            ++sum.taken;
            constexpr std::array kReasons = {"V6", "B1", "B4", "B6"};
            EXPECT_TRUE(std::ranges::any_of(kReasons, [&](const char* reason) {
                return field[2].contains(reason);
            })) << line;
        } else {
            ++sum.other;
            ADD_FAILURE() << line << "\n" << *got;
        }
    }
    const int differences = sum.refused + sum.taken;
    fmt::print("vectors idna/IdnaTestV2: {} of {}, {} differences\n", sum.agreed, sum.all,
               differences);
    EXPECT_EQ(sum.agreed + differences + sum.other, sum.all);
    EXPECT_LT(sum.refused, sum.all / 50);  // a younger libidn2 knows more characters
}

}  // namespace
}  // namespace postrider
