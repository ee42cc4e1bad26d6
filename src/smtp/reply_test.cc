#include "smtp/reply.h"

#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

TEST(Reply, EveryLineBearsCodeAndEnhancedCode) {
    EXPECT_EQ(Reply(550, {5, 1, 1}, "no such mailbox").wire(), "550 5.1.1 no such mailbox\r\n");
    EXPECT_EQ(Reply(550, {5, 7, 1}, "one\ntwo\nthree").wire(),
              "550-5.7.1 one\r\n550-5.7.1 two\r\n550 5.7.1 three\r\n");
    EXPECT_EQ(Reply(250, "ok").wire(), "250 ok\r\n");
    EXPECT_EQ(Reply(250, {2, 0, 0}, "").wire(), "250 2.0.0 \r\n");
    EXPECT_EQ(Reply(250, "").wire(), "250 \r\n");
}

TEST(Reply, IntermediateReplyBearsNoEnhancedCode) {
    EXPECT_EQ(Reply(354, {3, 0, 0}, "go on").wire(), "354 go on\r\n");
}

TEST(Reply, FinalLineBreakAddsNoLine) { EXPECT_EQ(Reply(214, "a\n").wire(), "214 a\r\n"); }

TEST(Reply, EmptyLineInTheMiddleStays) {
    EXPECT_EQ(Reply(214, "a\n\nb").wire(), "214-a\r\n214-\r\n214 b\r\n");
}

TEST(Reply, ControlAndEightBitOctetsAreReplaced) {
    using namespace std::string_literals;
    EXPECT_EQ(Reply(550, "a\rb\0c\x7f\xc3\xa9\t!"s).wire(), "550 a?b?c???\t!\r\n");
}

TEST(Reply, NoLineIsLongerThan512Octets) {
    for (const std::string& text :
         {std::string(3000, 'x'), std::string(502, 'x'), std::string(503, 'x'), [] {
              std::string words;
              for (int i = 0; i < 400; ++i) words += "word ";
              return words;
          }()}) {
        const std::string wire = Reply(550, {5, 1, 1}, text).wire();
        std::string joined;
        for (std::size_t at = 0; at < wire.size();) {
            const std::size_t end = wire.find("\r\n", at);
            ASSERT_NE(end, std::string::npos);
            EXPECT_LE(end + 2 - at, 512u);
            EXPECT_EQ(wire.substr(at, 3), "550");
            EXPECT_EQ(wire[at + 3], end + 2 == wire.size() ? ' ' : '-');
            EXPECT_EQ(wire.substr(at + 4, 6), "5.1.1 ");
            joined += wire.substr(at + 10, end - at - 10);
            at = end + 2;
        }
        EXPECT_EQ(joined, text);
    }
    EXPECT_EQ(Reply(550, {5, 1, 1}, std::string(500, 'x')).wire().size(), 512u);
}

TEST(Reply, OneLineIsForPeople) {
    EXPECT_EQ(Reply(550, {5, 1, 1}, "a\nb\x01").one_line(), "550 5.1.1 a b?");
}

}  // namespace
}  // namespace postrider::smtp
