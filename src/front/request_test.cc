// front/request_test.cc: addresses as users write them, and codes that programs understand.

#include "front/request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "front/options.h"

namespace postrider::front {
namespace {

std::string address(std::string text) {
    auto mailbox = mailbox_of(text, "h.example");
    return mailbox ? mailbox->text() : "refused";
}

TEST(FrontRequest, AnAddressWithoutADomainIsOneOfThisHost) {
    EXPECT_EQ(address("root"), "root@h.example");
    EXPECT_EQ(address("a@b.example"), "a@b.example");
    EXPECT_EQ(address("\"a@b\""), "\"a@b\"@h.example");
    EXPECT_EQ(address("a b@c@d"), "refused");
    EXPECT_EQ(address("a@b>\r\nRCPT TO:<c@d"), "refused");
}

TEST(FrontRequest, SenderAndRecipientsAreMailboxes) {
    Message message{.content = "A: b\r\n\r\n\xc3\xa4\r\n", .has_8bit = true};
    auto request = request_of("joe", {"a@b.example", "a@B.example", "root"}, "h.example", message);
    ASSERT_TRUE(request);
    EXPECT_EQ(request->reverse_path.text(), "joe@h.example");
    ASSERT_EQ(request->recipients.size(), 2u);
    EXPECT_EQ(request->recipients[1].mailbox.text(), "root@h.example");
    EXPECT_EQ(request->body, BodyType::EightBitMime);
    EXPECT_EQ(request->content_octets, message.content.size());
    EXPECT_FALSE(request->smtputf8);
    EXPECT_TRUE(request_of("<>", {"root"}, "h.example", message)->reverse_path.is_null());
    EXPECT_TRUE(request_of("", {"root"}, "h.example", message)->reverse_path.is_null());
    EXPECT_TRUE(request_of("j\xc3\xb6", {"root"}, "h.example", message)->smtputf8);
    EXPECT_FALSE(request_of("a b c", {"root"}, "h.example", message));
}

TEST(FrontRequest, ARefusalHasTheCodeOfItsKind) {
    auto code = [](EnhancedStatus status) {
        return exit_code_of(smtp::result_of({status, "no"}, smtp::Stage::Rcpt));
    };
    EXPECT_EQ(code({5, 1, 1}), 67);
    EXPECT_EQ(code({5, 6, 0}), 65);
    EXPECT_EQ(code({5, 7, 1}), 77);
    EXPECT_EQ(code({5, 3, 4}), 69);
}

}  // namespace
}  // namespace postrider::front
