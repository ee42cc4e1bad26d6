// mail/trace_test.cc: dates as RFC 5322 has them, and fields that nothing breaks out of.

#include "mail/trace.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

struct DateCase {
    int64_t seconds;
    int zone;
    std::string_view want;  // LC_ALL=C date -u -R -d @seconds, and with TZ set
};

TEST(DateTime, IsWrittenAsRfc5322HasIt) {
    const DateCase cases[] = {
        {0, 0, "Thu, 01 Jan 1970 00:00:00 +0000"},
        {1795295045, 0, "Sat, 21 Nov 2026 21:04:05 +0000"},
        {1795295045, 330, "Sun, 22 Nov 2026 02:34:05 +0530"},
        {1795295045, -210, "Sat, 21 Nov 2026 17:34:05 -0330"},
        {951782400, 0, "Tue, 29 Feb 2000 00:00:00 +0000"},
        {4102444800, 0, "Fri, 01 Jan 2100 00:00:00 +0000"},
        {-1, 0, "Wed, 31 Dec 1969 23:59:59 +0000"},
    };
    for (const DateCase& c : cases) {
        EXPECT_EQ(date_time(Wall{c.seconds * 1'000'000}, c.zone), c.want);
    }
}

TEST(ReturnPath, IsTheReversePathOrNull) {
    EXPECT_EQ(return_path_field({}), "Return-Path: <>\r\n");
    EXPECT_EQ(return_path_field({Mailbox{"ann", "a.example"}}), "Return-Path: <ann@a.example>\r\n");
}

TEST(DeliveredTo, NamesTheMailbox) {
    EXPECT_EQ(delivered_to_field({"bob", "b.example"}), "Delivered-To: bob@b.example\r\n");
}

TEST(TraceFields, LineEndsInAnAddressCannotBreakOut) {
    std::string field = delivered_to_field({"a\r\nX: y", "b.example"});
    EXPECT_EQ(field.find('\r'), field.size() - 2);
    EXPECT_EQ(field.find('\n'), field.size() - 1);
}

TEST(QuarantineField, IsFoundAmongOtherFieldsAndNowhereElse) {
    std::string field = quarantine_field("a\r\nb \xC3\xA9");
    EXPECT_EQ(field, "X-Postrider-Quarantine: a??b ??\r\n");
    EXPECT_TRUE(is_quarantined(field));
    EXPECT_TRUE(is_quarantined("Received: x\r\n\ty\r\n" + field + "Received: z\r\n"));
    EXPECT_FALSE(is_quarantined(""));
    EXPECT_FALSE(is_quarantined("Received: x\r\n"));
    EXPECT_FALSE(is_quarantined("Received: X-Postrider-Quarantine: x\r\n"));
}

TEST(Judgement, IsWhatWasFoundAndWhatFollowed) {
    std::string results = "Authentication-Results: mx.test;\r\n\tspf=fail smtp.mailfrom=a.test\r\n";
    std::string mark = quarantine_field("DMARC fails");
    EXPECT_EQ(
        judgement_in("Delivered-To: a@b.test\r\n" + results + mark + "Received: x\r\n\ty\r\n"),
        results + mark);
    EXPECT_EQ(judgement_in(results + "Received: x\r\n"), results);
    EXPECT_EQ(judgement_in("Received: Authentication-Results: x\r\n"), "");
    EXPECT_EQ(judgement_in(""), "");
}

}  // namespace
}  // namespace postrider
