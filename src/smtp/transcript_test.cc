// smtp/transcript_test.cc: what is kept of a dialogue, and what is left out when it grows.

#include "smtp/transcript.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

TEST(Transcript, LinesOfARepliesAreWrittenAsTheyCame) {
    Transcript transcript;
    transcript.sent("EHLO me.example\r\n");
    transcript.received(Reply(550, {5, 7, 1}, "no\nnever"));
    transcript.received(Reply(250, ""));
    transcript.note("gone");
    EXPECT_EQ(transcript.text(),
              "C: EHLO me.example\nS: 550-5.7.1 no\nS: 550 5.7.1 never\nS: 250\n-- gone\n");
}

TEST(Transcript, BeginningAndEndAreKeptAndTheRestIsCounted) {
    Transcript transcript;
    for (int i = 0; i < 1000; ++i) transcript.sent(fmt::format("RCPT TO:<{}@x.example>", i));
    std::vector<Transcript::Line> lines = transcript.lines();
    EXPECT_EQ(lines.size(), Transcript::kLinesMax + 1);
    EXPECT_EQ(lines.front().text, "RCPT TO:<0@x.example>");
    EXPECT_EQ(lines.back().text, "RCPT TO:<999@x.example>");
    EXPECT_EQ(transcript.left_out(), 1000 - Transcript::kLinesMax);
    EXPECT_EQ(lines[Transcript::kLinesMax / 2].text, "744 lines left out");
}

TEST(Transcript, OctetsAreBoundedWhateverThePeerSends) {
    Transcript transcript;
    for (int i = 0; i < 100; ++i) transcript.received(Reply(250, std::string(5000, 'a')));
    std::size_t octets = 0;
    for (const Transcript::Line& line : transcript.lines()) octets += line.text.size();
    EXPECT_LE(octets, Transcript::kOctetsMax + 64);
}

TEST(Transcript, EachLineBearsTheTimeOfTheFirstStampAfterIt) {
    Transcript transcript;
    transcript.sent("A");
    transcript.stamp({100});
    transcript.sent("B");
    transcript.sent("C");
    transcript.stamp({200});
    transcript.stamp({300});
    std::vector<Transcript::Line> lines = transcript.lines();
    ASSERT_EQ(lines.size(), 3u);
    EXPECT_EQ(lines[0].at, Wall{100});
    EXPECT_EQ(lines[1].at, Wall{200});
    EXPECT_EQ(lines[2].at, Wall{200});
}

}  // namespace
}  // namespace postrider::smtp
