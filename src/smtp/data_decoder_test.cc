#include "smtp/data_decoder.h"

#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

using namespace std::string_literals;

// What came of some input: content, then how it ended, then how much input was left.
struct Outcome {
    std::string content;
    std::string end = "open";
    std::size_t left = 0;
    friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& o) {
    return out << '"' << ::testing::PrintToString(o.content) << "\" " << o.end << ' ' << o.left;
}

std::string_view text_of(ContentRule rule) {
    switch (rule) {
        case ContentRule::BareCr:
            return "bare CR";
        case ContentRule::BareLf:
            return "bare LF";
        case ContentRule::Nul:
            return "NUL";
        case ContentRule::LineTooLong:
            return "line too long";
        case ContentRule::TooLarge:
            return "too large";
    }
    return "?";
}

bool has_eight_bit(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) > 127; });
}

// Input is given in pieces of `cut` octets. Content of a broken message does not count.
Outcome decode(std::string_view all, const ContentRules& rules, std::size_t cut) {
    DataDecoder decoder(rules);
    Outcome outcome;
    std::string broken;
    while (!all.empty()) {
        const std::string piece(all.substr(0, cut));
        all.remove_prefix(piece.size());
        std::string_view input = piece;
        for (;;) {
            const DataDecoder::Step step = decoder.next(input);
            if (step.kind == DataDecoder::Step::Kind::NeedInput) break;
            if (step.kind == DataDecoder::Step::Kind::Chunk) {
                EXPECT_TRUE(broken.empty());
                outcome.content += step.chunk;
            } else if (step.kind == DataDecoder::Step::Kind::Broken) {
                EXPECT_TRUE(broken.empty()) << "said twice";
                broken = text_of(step.rule);
            } else {
                EXPECT_EQ(decoder.octets(),
                          broken.empty() ? outcome.content.size() : decoder.octets());
                if (broken.empty()) EXPECT_EQ(decoder.eight_bit(), has_eight_bit(outcome.content));
                outcome.end = broken.empty() ? "ended" : broken + ", ended";
                if (!broken.empty()) outcome.content.clear();
                outcome.left = input.size() + all.size();
                return outcome;
            }
        }
        EXPECT_TRUE(input.empty());
    }
    if (!broken.empty()) outcome = {"", broken, 0};
    return outcome;
}

struct Case {
    const char* name;
    std::string input;
    Outcome want;
    ContentRules rules = {};
};

const Case kCases[] = {
    {"EmptyMessageEndsAtOnce", ".\r\nQUIT\r\n", {"", "ended", 6}},
    {"DotEndsTheMessage", "a\r\n.\r\nrest", {"a\r\n", "ended", 4}},
    {"DotInALineIsADot", "a.\r\n.b\r\n", {"a.\r\nb\r\n", "open"}},
    {"StuffedDotIsTakenAway", "..\r\n...\r\n..x\r\n.\r\n", {".\r\n..\r\n.x\r\n", "ended"}},
    {"LfDotLfDoesNotEnd", "a\n.\nb\r\n.\r\n", {"", "bare LF, ended"}},
    {"CrLfDotLfDoesNotEnd", "a\r\n.\nb", {"", "bare LF"}},
    {"CrLfDotCrDoesNotEnd", "a\r\n.\rb", {"", "bare CR"}},
    {"CrDotCrDoesNotEnd", "a\r.\rb", {"", "bare CR"}},
    {"LfDotCrLfDoesNotEnd", "a\n.\r\nb", {"", "bare LF"}},
    {"CrDotCrLfDoesNotEnd", "a\r.\r\nb", {"", "bare CR"}},
    {"CrCrLfIsABareCr", "a\r\r\n.\r\n", {"", "bare CR, ended"}},
    {"DotCrCrLfDoesNotEnd", "\r\n.\r\r\nb", {"", "bare CR"}},
    {"NulIsRefused", "a\0b\r\n.\r\n"s, {"", "NUL, ended"}},
    {"NulBehindDotIsRefused", "a\r\n.\0\r\n.\r\nx"s, {"", "NUL, ended", 1}},
    {"TheFirstFaultCounts", "a\0b\n\r\n"s, {"", "NUL"}},
    {"AfterAFaultOnlyTheTrueEndEnds",
     "\n\n.\n.\r\n\r.\r\n\r\n..\r\n.\r\nx",
     {"", "bare LF, ended", 1}},
    {"LineOfTheGreatestLengthIsTaken",
     "12345678\r\n.\r\n",
     {"12345678\r\n", "ended"},
     {.line_octets_max = 10}},
    {"StuffedDotCountsNotForTheLine",
     ".12345678\r\n.\r\n",
     {"12345678\r\n", "ended"},
     {.line_octets_max = 10}},
    {"LongerLineIsRefused",
     "123456789\r\n.\r\n",
     {"", "line too long, ended"},
     {.line_octets_max = 10}},
    {"LineThatNeverEndsIsRefused", "12345678901", {"", "line too long"}, {.line_octets_max = 10}},
    {"MessageOfTheGreatestSizeIsTaken",
     "ab\r\n..c\r\n.\r\n",
     {"ab\r\n.c\r\n", "ended"},
     {.octets_max = 8}},
    {"LargerMessageIsRefused",
     "ab\r\ncd\r\n.\r\n.\r\n",
     {"", "too large, ended", 3},
     {.octets_max = 7}},
    {"LfBecomesCrlf", "a\nb\r\n.\r\n", {"a\r\nb\r\n", "ended"}, {BareLineEnds::Normalise}},
    {"CrBecomesCrlf", "a\rb\r\r\n.\r\n", {"a\r\nb\r\n\r\n", "ended"}, {BareLineEnds::Normalise}},
    {"NormalisedEndsNeverEnd",
     "a\n.\nb\n.\r\nc\r.\rd\r.\r\ne\r\n.\nf\r\n.\rg\r\n.\r\nh",
     {"a\r\n.\r\nb\r\n.\r\nc\r\n.\r\nd\r\n.\r\ne\r\n.\r\nf\r\n.\r\ng\r\n", "ended", 1},
     {BareLineEnds::Normalise}},
    {"StuffedDotBehindNormalisedEndIsTakenAway",
     "a\n..b\n...\r\n.\r\n",
     {"a\r\n.b\r\n..\r\n", "ended"},
     {BareLineEnds::Normalise}},
    {"NulIsNeverNormalised", "a\nb\0\r\n.\r\n"s, {"", "NUL, ended"}, {BareLineEnds::Normalise}},
};

TEST(DataDecoder, DoesWhatTheTableSaysForEveryCut) {
    for (const Case& c : kCases) {
        for (std::size_t cut = 1; cut <= c.input.size(); ++cut) {
            EXPECT_EQ(decode(c.input, c.rules, cut), c.want) << c.name << ", cut " << cut;
        }
    }
}

TEST(DataDecoder, EightBitOctetsAreNoticed) {
    DataDecoder decoder;
    std::string_view input = "abc\r\n";
    decoder.next(input);
    EXPECT_FALSE(decoder.eight_bit());
    input = "\xc3\xa9\r\n";
    decoder.next(input);
    EXPECT_TRUE(decoder.eight_bit());
}

TEST(DataDecoder, ManyLinesAreOneChunk) {
    std::string text;
    for (int i = 0; i < 1000; ++i) text += "A line of an ordinary message.\r\n";
    DataDecoder decoder;
    std::string_view input = text;
    const auto step = decoder.next(input);
    EXPECT_EQ(step.chunk.data(), text.data());
    EXPECT_EQ(step.chunk.size(), text.size());
}

// The rules, octet by octet, written without regard to speed: the strict form only.
Outcome decode_slowly(std::string_view all, const ContentRules& rules) {
    std::string content, fault;
    std::size_t line = 0;
    bool at_start = true;  // of a line
    std::size_t i = 0;
    const auto take = [&](char c, char before) {
        if (!fault.empty()) return;
        if (content.size() == rules.octets_max)
            fault = "too large";
        else if (line >= rules.line_octets_max)
            fault = "line too long";
        else if (c != '\n' && before == '\r')
            fault = "bare CR";
        else if (c == '\n' && before != '\r')
            fault = "bare LF";
        else if (c == '\0')
            fault = "NUL";
        content += c;
        ++line;
    };
    char before = 0;
    while (i < all.size()) {
        const std::string_view rest = all.substr(i);
        if (at_start && rest.starts_with(".\r\n")) {
            if (!fault.empty()) return {"", fault + ", ended", all.size() - i - 3};
            return {content, "ended", all.size() - i - 3};
        }
        if (at_start) line = 0;
        if (at_start && rest == ".") break;
        if (at_start && rest == ".\r") break;
        if (at_start && rest.front() == '.') {
            at_start = false;
            before = 0;
            ++i;
            // Behind CRLF "." only the stuffed dot's line may come: CR without LF is bare at once.
            if (fault.empty() && all[i] == '\n') fault = "bare LF";
            if (fault.empty() && all[i] == '\r') fault = "bare CR";
            continue;
        }
        take(all[i], before);
        at_start = all[i] == '\n' && i > 0 && all[i - 1] == '\r';
        before = all[i++];
    }
    if (!fault.empty()) return {"", fault, 0};
    return {content, "open", 0};
}

TEST(DataDecoder, AgreesWithASlowReadingOfTheRules) {
    std::mt19937 random(20260101);
    const std::string alphabet = "\r\n.ab\0\r\n..\r\n"s;
    for (int round = 0; round < 20000; ++round) {
        std::string input;
        for (unsigned length = random() % 24; input.size() < length;) {
            switch (random() % 4) {
                case 0:
                    input += "\r\n";
                    break;
                case 1:
                    input += ".";
                    break;
                default:
                    input += alphabet[random() % alphabet.size()];
            }
        }
        if (random() % 2) {  // else almost every one is broken
            std::erase(input, '\0');
        }
        const ContentRules rules{.line_octets_max = 3 + random() % 8, .octets_max = random() % 20};
        const Outcome want = decode_slowly(input, rules);
        for (const std::size_t cut : {std::size_t{1}, std::size_t{1 + random() % 5}, SIZE_MAX}) {
            ASSERT_EQ(decode(input, rules, cut), want)
                << ::testing::PrintToString(input) << " cut " << cut << " line "
                << rules.line_octets_max << " size " << rules.octets_max;
        }
    }
}

TEST(DataDecoder, AgreesAboutLongTextsWithFewFaults) {
    std::mt19937 random(20261130);
    const std::string faults = "\r\n\0.\x80"s;
    int whole = 0, broken = 0;
    for (int round = 0; round < 4000; ++round) {
        std::string input;
        for (unsigned length = random() % 3000; input.size() < length;) {
            input += std::string(random() % 78, static_cast<char>('a' + random() % 26)) + "\r\n";
        }
        for (unsigned left = random() % 3; left > 0 && !input.empty(); --left) {
            input[random() % input.size()] = faults[random() % faults.size()];
        }
        input += ".\r\nQUIT\r\n";
        const ContentRules rules{.line_octets_max = 75 + random() % 20,
                                 .octets_max = random() % 8 ? 4000 : random() % 3000};
        const Outcome want = decode_slowly(input, rules);
        (want.end == "ended" ? whole : broken)++;
        for (const std::size_t cut : {std::size_t{1 + random() % 400}, SIZE_MAX}) {
            ASSERT_EQ(decode(input, rules, cut), want)
                << ::testing::PrintToString(input) << " cut " << cut << " line "
                << rules.line_octets_max << " size " << rules.octets_max;
        }
    }
    EXPECT_GT(whole, 1000);
    EXPECT_GT(broken, 1000);
}

}  // namespace
}  // namespace postrider::smtp
