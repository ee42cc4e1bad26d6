#include "spool/payload.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "spool/bytes.h"

namespace postrider::spool {
namespace {

using namespace std::string_view_literals;
using namespace std::string_literals;

Envelope full_envelope() {
    Envelope envelope;
    envelope.id = {0x1234567890};
    envelope.received = {1'700'000'000'000'000};
    envelope.body = BodyType::EightBitMime;
    envelope.smtputf8 = envelope.requiretls = envelope.deliver_by_return = true;
    envelope.priority = -7;
    envelope.hold_until = Wall{-5};
    envelope.deliver_by = Wall{77};
    envelope.dsn_return = DsnReturn::Headers;
    envelope.dsn_envid = "QQ+3D314159";
    envelope.client = {"2001:db8::1", 40025, "client.example", "ESMTPSA", "TLSv1.3 x", "alice"};
    Variant local;
    local.reverse_path.mailbox = Mailbox{"a b", "from.example"};
    local.prefix = "Received: from x\r\n";
    local.recipients.push_back({{"bob", "to.example"},
                                Mailbox{"b", "alias.example"},
                                DsnNotify{false, true, false, true},
                                "rfc822;b@alias.example"});
    local.recipients.push_back({{"postmaster", ""}, std::nullopt, DsnNotify{true}, ""});
    Variant forwarded;  // null reverse-path
    forwarded.recipients.push_back(
        {{"j\xC3\xBCrgen", "xn--x.example"}, std::nullopt, std::nullopt, ""});
    envelope.variants = {local, forwarded};
    return envelope;
}

TEST(EnvelopeCodec, EveryFieldComesBack) {
    std::string octets;
    encode_message(full_envelope(), 321, true, 1ull << 40, octets);
    auto fields = decode_message(octets);
    ASSERT_TRUE(fields);
    EXPECT_EQ(fields->envelope, full_envelope());
    EXPECT_EQ(fields->header_octets, 321u);
    EXPECT_TRUE(fields->has_8bit);
    EXPECT_EQ(fields->content_octets, 1ull << 40);
}

TEST(EnvelopeCodec, TheSmallestMessageIsAsWrittenByHand) {
    Envelope envelope;
    envelope.id = {0x0807060504030201};
    envelope.received = {0x10};
    envelope.variants.resize(1);
    envelope.variants[0].recipients.resize(1);
    envelope.variants[0].recipients[0].mailbox = {"ab", "c"};
    std::string octets;
    encode_message(envelope, 0, false, 0, octets);
    EXPECT_EQ(octets,
              "\x01\x00\x08\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08"
              "\x02\x00\x08\x00\x00\x00\x10\x00\x00\x00\x00\x00\x00\x00"
              "\x12\x00\x15\x00\x00\x00"
              "\x04\x00\x0F\x00\x00\x00"
              "\x01\x00\x02\x00\x00\x00"
              "ab"
              "\x02\x00\x01\x00\x00\x00"
              "c"sv);
}

TEST(EnvelopeCodec, UnknownTagsAreSkippedAtEveryLevel) {
    std::string recipient = "\x01\x00\x01\x00\x00\x00u\x63\x00\x02\x00\x00\x00zz"s;
    std::string variant;
    FieldWriter(variant).text(4, recipient);
    FieldWriter(variant).text(0x7777, "later");
    std::string octets;
    FieldWriter writer(octets);
    writer.text(999, "from the future");
    writer.number<uint64_t>(1, 9);
    writer.text(18, variant);
    auto fields = decode_message(octets);
    ASSERT_TRUE(fields);
    EXPECT_EQ(fields->envelope.id.value, 9u);
    EXPECT_EQ(fields->envelope.recipient(0).mailbox.local_part, "u");
}

TEST(EnvelopeCodec, WhatIsCutAnywhereIsNotAWholeMessageOrLacksOnlyTheEnd) {
    std::string octets;
    encode_message(full_envelope(), 1, true, 2, octets);
    for (std::size_t length = 0; length < octets.size(); ++length) {
        auto fields = decode_message(std::string_view(octets).substr(0, length));
        if (!fields) continue;
        EXPECT_EQ(fields->envelope.id, full_envelope().id) << length;
        EXPECT_GE(fields->envelope.recipient_count(), 1u) << length;
    }
}

TEST(EnvelopeCodec, MoreRecipientsThanTheLimitAreRefused) {
    std::string variant;
    for (std::size_t i = 0; i <= kRecipientsAfterExpansionMax; ++i)
        FieldWriter(variant).text(4, "");
    std::string octets;
    FieldWriter writer(octets);
    writer.number<uint64_t>(1, 9);
    writer.text(18, variant);
    EXPECT_FALSE(decode_message(octets));
}

TEST(Payload, ChangesComeBackAndLongReasonsAreCut) {
    RecipientChange change{{7}, 3,  RecipientState::Failed, {5, 1, 1}, std::string(3000, 'r'), 4,
                           {5}, {6}};
    std::string octets;
    put_change(change, octets);
    auto payload = parse_payload(octets);
    ASSERT_TRUE(payload);
    ASSERT_EQ(payload->changes.size(), 1u);
    change.reason.resize(kReasonOctetsMax);
    EXPECT_EQ(payload->changes[0], change);
}

TEST(Payload, EndedOldestAttemptAndLargeComeBack) {
    std::string octets;
    put_ended({5, 9000, {{4096, 5000}, {6000, 6008}}}, octets);
    put_oldest(4, octets);
    put_attempt({{8}, 2}, octets);
    Envelope envelope = full_envelope();
    put_message(envelope, 10, false, 300, octets);
    put_large({300, 128, {1, 2, 3}}, octets);
    auto payload = parse_payload(octets);
    ASSERT_TRUE(payload);
    ASSERT_EQ(payload->ended.size(), 1u);
    EXPECT_EQ(payload->ended[0], (EndedItem{5, 9000, {{4096, 5000}, {6000, 6008}}}));
    EXPECT_EQ(payload->oldest, 4u);
    ASSERT_EQ(payload->attempts.size(), 1u);
    EXPECT_EQ(payload->attempts[0].count, 2);
    ASSERT_EQ(payload->messages.size(), 1u);
    EXPECT_EQ(payload->messages[0].large, (LargeFields{300, 128, {1, 2, 3}}));
}

TEST(Payload, AMessageWithoutAnyOctetComesBack) {
    std::string octets;
    put_message(full_envelope(), 0, false, 0, octets);
    put_content_header(0, octets);
    auto payload = parse_payload(octets);
    ASSERT_TRUE(payload);
    ASSERT_EQ(payload->messages.size(), 1u);
    EXPECT_EQ(payload->messages[0].content, "");
}

TEST(Payload, WhatWeCannotHaveWrittenIsRefused) {
    std::string lonely_content;
    put_content_header(3, lonely_content);
    lonely_content += "abc";
    EXPECT_FALSE(parse_payload(lonely_content)) << "content of no message";

    std::string no_content;
    put_message(full_envelope(), 0, false, 3, no_content);
    EXPECT_FALSE(parse_payload(no_content)) << "a message without content";

    std::string short_content = no_content;
    put_content_header(2, short_content);
    short_content += "ab";
    EXPECT_FALSE(parse_payload(short_content)) << "another length than the message says";

    std::string wrong_blocks = no_content;
    put_large({3, 2, {1, 2, 3}}, wrong_blocks);
    EXPECT_FALSE(parse_payload(wrong_blocks)) << "a CRC too many";

    std::string unknown_state;
    FieldWriter writer(unknown_state);
    std::size_t begun = writer.begin_item(4);
    writer.number<uint64_t>(1, 1);
    writer.number<uint8_t>(3, 8);
    writer.end(begun);
    EXPECT_FALSE(parse_payload(unknown_state));
}

// They say which segments are free and which ids were given: nothing to guess at.
TEST(Payload, AnOldestOrHighestOfAnotherSizeIsRefused) {
    for (uint16_t type : {7, 8}) {
        for (std::size_t size : {0, 4, 7, 9, 16}) {
            std::string octets;
            FieldWriter writer(octets);
            std::size_t begun = writer.begin_item(type);
            octets.append(size, '\x01');
            writer.end(begun);
            EXPECT_FALSE(parse_payload(octets)) << type << " of " << size << " octets";
        }
    }
}

TEST(Payload, UnknownItemsAreSkipped) {
    std::string octets;
    FieldWriter writer(octets);
    std::size_t begun = writer.begin_item(500);
    octets += "later";
    writer.end(begun);
    put_oldest(3, octets);
    auto payload = parse_payload(octets);
    ASSERT_TRUE(payload);
    EXPECT_EQ(payload->oldest, 3u);
}

}  // namespace
}  // namespace postrider::spool
