// daemon/log_line_test.cc: nothing from outside can forge a line.

#include "daemon/log_line.h"

#include <gtest/gtest.h>

namespace postrider::daemon {
namespace {

std::string time_text(Wall time) {
    std::string out;
    append_time(out, time);
    return out;
}

// Values by `date -u -d @...`.
TEST(LogLine, TimesAreRfc3339) {
    EXPECT_EQ(time_text({0}), "1970-01-01T00:00:00.000000Z");
    EXPECT_EQ(time_text({1'795'294'681'123'456}), "2026-11-21T20:58:01.123456Z");
    EXPECT_EQ(time_text({951'827'696'000'001}), "2000-02-29T12:34:56.000001Z");
    EXPECT_EQ(time_text({-1}), "1969-12-31T23:59:59.999999Z");
}

TEST(LogLine, TimesOutsideFourDigitsOfYearStayLines) {
    EXPECT_EQ(time_text({INT64_MAX}).size(), 27u);
    EXPECT_EQ(time_text({INT64_MIN}).size(), 27u);
}

std::string line(LogFormat format, std::vector<LogField> fields) {
    std::string out;
    append_line(out, format, {0}, Event::Delivered, fields);
    return out;
}

TEST(LogLine, LogfmtLineIsAsSpecified) {
    EXPECT_EQ(line(LogFormat::Logfmt, {{"id", "0D5"}, {"to", "a@b.example"}, {"n", int64_t{-5}}}),
              "time=1970-01-01T00:00:00.000000Z level=info event=Delivered id=0D5 to=a@b.example "
              "n=-5\n");
}

TEST(LogLine, JsonLineIsAsSpecified) {
    EXPECT_EQ(
        line(LogFormat::Json, {{"id", "0D5"}, {"to", "a b"}, {"n", int64_t{7}}}),
        "{\"time\":\"1970-01-01T00:00:00.000000Z\",\"level\":\"info\",\"event\":\"Delivered\","
        "\"id\":\"0D5\",\"to\":\"a b\",\"n\":7}\n");
}

struct Case {
    std::string_view name;
    std::string value;
    std::string_view logfmt;  // what stands after x=
    std::string_view json;    // what stands after "x":
};

const Case kCases[] = {
    {"PlainIsBare", "abc@d-e.f:[1]<2>", "abc@d-e.f:[1]<2>", "\"abc@d-e.f:[1]<2>\""},
    {"EmptyIsQuoted", "", "\"\"", "\"\""},
    {"SpaceIsQuoted", "a b", "\"a b\"", "\"a b\""},
    {"EqualsSignIsQuoted", "a=b", "\"a=b\"", "\"a=b\""},
    {"QuoteIsEscaped", "a\"b", R"("a\"b")", R"("a\"b")"},
    {"BackslashIsEscaped", "a\\b", R"("a\\b")", R"("a\\b")"},
    {"LineFeedIsEscaped", "a\nlevel=error", R"("a\nlevel=error")", R"("a\nlevel=error")"},
    {"CarriageReturnIsEscaped", "a\rb", R"("a\rb")", R"("a\rb")"},
    {"NulIsEscaped", std::string("a\0b", 3), R"("a\u0000b")", R"("a\u0000b")"},
    {"TerminalEscapeIsEscaped", "\x1B[2J", R"("\u001b[2J")", R"("\u001b[2J")"},
    {"DeleteIsEscaped", "\x7F", R"("\u007f")", R"("\u007f")"},
    {"Utf8IsKept", "J\xC3\xBCrgen \xF0\x9F\x98\x80", "\"J\xC3\xBCrgen \xF0\x9F\x98\x80\"",
     "\"J\xC3\xBCrgen \xF0\x9F\x98\x80\""},
    {"HighControlIsEscaped",
     "\xC2\x9B"
     "2J",
     R"("\u009b2J")", R"("\u009b2J")"},
    {"NextLineIsEscaped", "\xC2\x85", R"("\u0085")", R"("\u0085")"},
    {"LineSeparatorIsEscaped", "\xE2\x80\xA8", R"("\u2028")", R"("\u2028")"},
    {"WritingDirectionIsEscaped", "\xE2\x80\xAE", R"("\u202e")", R"("\u202e")"},
    {"LoneOctetIsReplaced", "a\xFF", R"("a\ufffd")", R"("a\ufffd")"},
    {"TruncatedCharacterIsReplaced", "\xE2\x80", R"("\ufffd\ufffd")", R"("\ufffd\ufffd")"},
    {"OverlongFormIsReplaced", "\xC0\x8A", R"("\ufffd\ufffd")", R"("\ufffd\ufffd")"},
    {"OverlongFormOfThreeIsReplaced", "\xE0\x80\x8A", R"("\ufffd\ufffd\ufffd")",
     R"("\ufffd\ufffd\ufffd")"},
    {"SurrogateIsReplaced", "\xED\xA0\x80", R"("\ufffd\ufffd\ufffd")", R"("\ufffd\ufffd\ufffd")"},
    {"BeyondUnicodeIsReplaced", "\xF4\x90\x80\x80", R"("\ufffd\ufffd\ufffd\ufffd")",
     R"("\ufffd\ufffd\ufffd\ufffd")"},
};

TEST(LogLine, ValuesAreEscapedAsSpecified) {
    for (const Case& c : kCases) {
        std::string logfmt = line(LogFormat::Logfmt, {{"x", c.value}});
        EXPECT_EQ(logfmt.substr(logfmt.find(" x=") + 3), std::string(c.logfmt) + "\n") << c.name;
        std::string json = line(LogFormat::Json, {{"x", c.value}});
        EXPECT_EQ(json.substr(json.find("\"x\":") + 4), std::string(c.json) + "}\n") << c.name;
    }
}

TEST(LogLine, LongValueEndsAtItsLimit) {
    std::string got = line(LogFormat::Logfmt, {{"x", std::string(5000, 'a')}, {"y", int64_t{1}}});
    EXPECT_EQ(got.substr(got.find(" x=")), " x=" + std::string(2048, 'a') + "... y=1\n");
}

TEST(LogLine, LongValueIsNotCutInsideACharacter) {
    std::string value = std::string(2047, 'a') + "\xC3\xBC and more";
    std::string got = line(LogFormat::Logfmt, {{"x", value}});
    EXPECT_EQ(got.substr(got.find(" x=")), " x=" + std::string(2047, 'a') + "...\n");
}

}  // namespace
}  // namespace postrider::daemon
