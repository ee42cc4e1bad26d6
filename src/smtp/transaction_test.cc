// What a next host offers, times what a message needs: obstacle() and the commands, case by case.

#include "smtp/transaction.h"

#include <gtest/gtest.h>

namespace postrider::smtp {
namespace {

TransactionRequest request() {
    TransactionRequest out;
    out.reverse_path.mailbox = Mailbox{"a", "a.example"};
    out.recipients.push_back({.mailbox = {"b", "b.example"}});
    out.content_octets = 1000;
    return out;
}

Capabilities offers(std::string_view lines) {
    return Capabilities::parse(Reply(250, {}, "mx.example\n" + std::string(lines)));
}

struct Case {
    const char* name;
    void (*need)(TransactionRequest&);
    const char* offered;
    const char* want;  // status; empty = no obstacle
};

void by_return(TransactionRequest& r) { r.by = DeliverBy{.seconds = 120, .returned = true}; }
void by_notify(TransactionRequest& r) { r.by = DeliverBy{.seconds = -5}; }
void eight_bit(TransactionRequest& r) { r.body = BodyType::EightBitMime; }
void binary(TransactionRequest& r) { r.body = BodyType::BinaryMime; }
void utf8(TransactionRequest& r) { r.smtputf8 = true; }
void tls(TransactionRequest& r) { r.requiretls = true; }

const Case kCases[] = {
    {"plain", [](TransactionRequest&) {}, "", ""},
    {"8-bit", eight_bit, "SIZE", "5.6.3"},
    {"8-bit", eight_bit, "8BITMIME", ""},
    {"binary", binary, "8BITMIME\nBINARYMIME", "5.6.3"},
    {"binary", binary, "8BITMIME\nCHUNKING", "5.6.3"},
    {"binary", binary, "BINARYMIME\nCHUNKING", ""},
    {"utf8", utf8, "8BITMIME", "5.6.7"},
    {"utf8", utf8, "8BITMIME\nSMTPUTF8", ""},
    {"size", [](TransactionRequest&) {}, "SIZE 999", "5.3.4"},
    {"size", [](TransactionRequest&) {}, "SIZE 1000", ""},
    {"BY R", by_return, "DSN", "5.3.3"},
    {"BY R", by_return, "DELIVERBY", ""},
    {"BY R", by_return, "DELIVERBY 120", ""},
    {"BY R", by_return, "DELIVERBY 121", "5.4.7"},
    {"BY N", by_notify, "", ""},
    {"BY N", by_notify, "DELIVERBY 121", ""},
    {"BY R to a mailbox",
     [](TransactionRequest& r) {
         by_return(r);
         r.is_final_delivery = true;
     },
     "", ""},
    {"REQUIRETLS", tls, "STARTTLS", "5.7.30"},
    {"REQUIRETLS", tls, "REQUIRETLS", ""},
    {"REQUIRETLS of a report",
     [](TransactionRequest& r) {
         tls(r);
         r.reverse_path = {};
     },
     "", ""},
    {"8-bit and BY R: the content first",
     [](TransactionRequest& r) {
         by_return(r);
         eight_bit(r);
     },
     "", "5.6.3"},
};

TEST(Transaction, WhatAHostCannotTakeHasTheCodeOfItsRfc) {
    for (const Case& one : kCases) {
        TransactionRequest wanted = request();
        one.need(wanted);
        auto reason = obstacle(wanted, offers(one.offered));
        EXPECT_EQ(reason ? reason->status.text() : "", one.want) << one.name << ": " << one.offered;
    }
}

std::string mail(const TransactionRequest& wanted, std::string_view offered) {
    std::string out;
    append_mail_command(out, wanted, offers(offered));
    return out;
}

TEST(Transaction, ParametersAreSaidOnlyWhereTheyAreOffered) {
    TransactionRequest wanted = request();
    by_return(wanted);
    tls(wanted);
    EXPECT_EQ(mail(wanted, "DSN"), "MAIL FROM:<a@a.example>\r\n");
    EXPECT_EQ(mail(wanted, "DELIVERBY 30\nREQUIRETLS"),
              "MAIL FROM:<a@a.example> BY=120;R REQUIRETLS\r\n");
    wanted.by = DeliverBy{.seconds = -5, .trace = true};
    EXPECT_EQ(mail(wanted, "DELIVERBY"), "MAIL FROM:<a@a.example> BY=-5;NT\r\n");
}

// RFC 2852 §4.1.4.2.
TEST(Transaction, AHostWithoutDeliverByIsAskedToTellOfDelays) {
    TransactionRequest wanted = request();
    by_notify(wanted);
    auto rcpt = [&](std::optional<DsnNotify> notify, std::string_view offered) {
        Recipient recipient{.mailbox = {"b", "b.example"}, .notify = notify};
        std::string out;
        append_rcpt_command(out, recipient, wanted, offers(offered));
        return out.substr(0, out.size() - 2);
    };
    EXPECT_EQ(rcpt({}, "DSN"), "RCPT TO:<b@b.example> NOTIFY=FAILURE,DELAY");
    EXPECT_EQ(rcpt(DsnNotify{.success = true}, "DSN"),
              "RCPT TO:<b@b.example> NOTIFY=SUCCESS,DELAY");
    EXPECT_EQ(rcpt(DsnNotify{.never = true}, "DSN"), "RCPT TO:<b@b.example> NOTIFY=NEVER");
    EXPECT_EQ(rcpt({}, "DSN\nDELIVERBY"), "RCPT TO:<b@b.example>");
    EXPECT_EQ(rcpt({}, ""), "RCPT TO:<b@b.example>");
}

}  // namespace
}  // namespace postrider::smtp
