// daemon/attempt_record_test.cc: an attempt is the same after a way through octets, and damage
// costs what it hit.

#include "daemon/attempt_record.h"

#include <gtest/gtest.h>

#include <array>

namespace postrider::daemon {
namespace {

Envelope envelope_to(const std::vector<std::string>& mailboxes) {
    Envelope envelope;
    envelope.id = {7};
    Variant variant{.reverse_path = {*Mailbox::parse("alice@our.test")}, .prefix = {}};
    for (const std::string& mailbox : mailboxes) {
        variant.recipients.push_back(
            {.mailbox = *Mailbox::parse(mailbox), .original = {}, .notify = {}, .orcpt = {}});
    }
    envelope.variants.push_back(std::move(variant));
    return envelope;
}

void append(std::string& out, uint64_t id, uint32_t number, std::string_view dialogue = "C: QUIT") {
    append_attempt(out, {id}, {.at = {1}, .number = number, .site = "b", .dialogue = dialogue});
}

std::vector<uint32_t> numbers_in(std::string_view octets, uint64_t id = 1) {
    AttemptStory story;
    scan_attempts(octets, FilePart::End, {id}, story);
    std::vector<uint32_t> numbers;
    numbers.reserve(story.attempts.size());
    for (const AttemptRecord& record : story.attempts) numbers.push_back(record.number);
    return numbers;
}

using Numbers = std::vector<uint32_t>;

TEST(AttemptRecord, EverythingComesBack) {
    Envelope envelope = envelope_to({"x@far.test", "\"a b\"@far.test"});
    std::array<RecipientResult, 2> results{
        RecipientResult{.recipient = 0,
                        .verdict = RecipientResult::Verdict::Relayed,
                        .status = {2, 0, 0},
                        .reply_code = 250,
                        .reason = "ok",
                        .detail = "",
                        .remote_host = "mx.far.test"},
        RecipientResult{.recipient = 1,
                        .verdict = RecipientResult::Verdict::Permanent,
                        .status = {5, 1, 1},
                        .reply_code = 550,
                        .reason = "no such person",
                        .detail = "after RCPT",
                        .kind = FailureKind::Mailbox,
                        .remote_host = "mx.far.test"}};
    std::string octets;
    append_attempt(octets, {7},
                   {.at = {1'700'000'000'000'000},
                    .number = 3,
                    .site = "far.test",
                    .envelope = &envelope,
                    .results = results,
                    .dialogue = "S: 220 hello\nC: EHLO we\n"});
    AttemptStory story;
    EXPECT_EQ(scan_attempts(octets, FilePart::Middle, {7}, story), octets.size());
    ASSERT_EQ(story.attempts.size(), 1u);
    const AttemptRecord& record = story.attempts[0];
    EXPECT_EQ(record.at.us, 1'700'000'000'000'000);
    EXPECT_EQ(record.number, 3u);
    EXPECT_EQ(record.site, "far.test");
    EXPECT_EQ(record.sender, "alice@our.test");
    EXPECT_EQ(record.left_out, 0u);
    EXPECT_EQ(record.dialogue, "S: 220 hello\nC: EHLO we\n");
    ASSERT_EQ(record.results.size(), 2u);
    EXPECT_EQ(record.results[0].mailbox, "x@far.test");
    EXPECT_EQ(record.results[0].state, RecipientState::Relayed);
    EXPECT_EQ(record.results[0].reason, "ok");
    const AttemptResult& second = record.results[1];
    EXPECT_EQ(second.recipient, 1u);
    EXPECT_EQ(second.mailbox, "\"a b\"@far.test");
    EXPECT_EQ(second.state, RecipientState::Failed);
    EXPECT_EQ(second.status, (EnhancedStatus{5, 1, 1}));
    EXPECT_EQ(second.kind, FailureKind::Mailbox);
    EXPECT_EQ(second.detail, "after RCPT");
    EXPECT_EQ(second.remote_host, "mx.far.test");
}

// What stood in front of the copy says that it looked forged.
TEST(AttemptRecord, AMarkedCopyThatIsDeliveredHereIsQuarantined) {
    constexpr std::string_view kJudgement =
        "Authentication-Results: mx.test;\r\n dmarc=fail header.from=a.test\r\n"
        "X-Postrider-Quarantine: DMARC fails\r\n";
    struct Case {
        RecipientResult::Verdict verdict;
        bool marked;
        RecipientState want;
    };
    using Verdict = RecipientResult::Verdict;
    constexpr Case kCases[] = {
        {Verdict::Delivered, true, RecipientState::Quarantined},
        {Verdict::Delivered, false, RecipientState::Delivered},
        {Verdict::Relayed, true, RecipientState::Relayed},
        {Verdict::Temporary, true, RecipientState::Waiting},
        {Verdict::Permanent, true, RecipientState::Failed},
    };
    for (const Case& one : kCases) {
        Envelope envelope = envelope_to({"x@far.test"});
        if (one.marked) envelope.variants[0].prefix = kJudgement;
        envelope.variants[0].prefix += "Received: by mx.test\r\n";
        RecipientResult result{.verdict = one.verdict};
        EXPECT_EQ(state_after(envelope, result), one.want);
        std::string octets;
        append_attempt(octets, {7}, {.envelope = &envelope, .results = {&result, 1}});
        AttemptStory story;
        scan_attempts(octets, FilePart::End, {7}, story);
        ASSERT_EQ(story.attempts.size(), 1u);
        EXPECT_EQ(story.newest.at(0).state, one.want) << name(one.want);
        EXPECT_EQ(story.attempts[0].judgement, one.marked ? kJudgement : "");
    }
}

// The octets of the smallest record, written by hand after the header's description; the CRCs are
// zlib's (python3 -c 'import zlib; ...').
TEST(AttemptRecord, TheFormIsAsDescribed) {
    std::string octets;
    append_attempt(octets, {0x0102030405060708}, {.at = {5}});
    std::string payload("\x01\x00\x08\x00\x00\x00\x05\x00\x00\x00\x00\x00\x00\x00", 14);
    EXPECT_EQ(octets.substr(24), payload);
    EXPECT_EQ(octets.substr(0, 16),
              std::string("\x01PRA\x0e\x00\x00\x00\x08\x07\x06\x05\x04\x03\x02\x01", 16));
    EXPECT_EQ(octets.substr(16, 8), std::string("\x2b\xe0\x58\x02\x48\xec\x69\xb0", 8));
}

TEST(AttemptRecord, OfManyTheFirstAndTheNewestStayAndAllRecipientsAreKnown) {
    Envelope envelope = envelope_to(std::vector<std::string>(100, "x@far.test"));
    std::string octets;
    for (uint32_t i = 0; i < 100; i++) {
        RecipientResult result{.recipient = i, .verdict = RecipientResult::Verdict::Relayed};
        append_attempt(octets, {1},
                       {.number = i + 1, .envelope = &envelope, .results = {&result, 1}});
    }
    AttemptStory story;
    scan_attempts(octets, FilePart::End, {1}, story);
    ASSERT_EQ(story.attempts.size(), kAttemptsPerMessageMax);
    EXPECT_EQ(story.attempts[0].number, 1u);
    EXPECT_EQ(story.attempts[1].number, 82u);
    EXPECT_EQ(story.attempts.back().number, 100u);
    EXPECT_EQ(story.skipped, 80u);
    EXPECT_EQ(story.newest.size(), 100u);
}

TEST(AttemptRecord, AnEndWithoutNamesKeepsTheNamesThatWereKnown) {
    Envelope envelope = envelope_to({"x@far.test"});
    RecipientResult result{.recipient = 0};
    std::string octets;
    append_attempt(octets, {1}, {.envelope = &envelope, .results = {&result, 1}});
    append_attempt(octets, {1}, {.results = {&result, 1}, .state = RecipientState::SetAside});
    AttemptStory story;
    scan_attempts(octets, FilePart::End, {1}, story);
    EXPECT_EQ(story.newest[0].mailbox, "x@far.test");
    EXPECT_EQ(story.newest[0].state, RecipientState::SetAside);
}

TEST(AttemptRecord, OnlyTheWantedMessageIsFound) {
    std::string octets;
    append(octets, 2, 1);
    append(octets, 1, 5);
    append(octets, 3, 1);
    EXPECT_EQ(numbers_in(octets), Numbers{5});
    EXPECT_EQ(numbers_in(octets, 4), Numbers{});
}

TEST(AttemptRecord, AChangedOctetAnywhereCostsOneRecord) {
    std::string octets;
    for (uint32_t i = 1; i <= 3; i++) append(octets, 1, i);
    std::size_t each = octets.size() / 3;
    for (std::size_t at = each; at < 2 * each; at++) {
        std::string damaged = octets;
        damaged[at] = static_cast<char>(damaged[at] ^ 0x40);
        EXPECT_EQ(numbers_in(damaged), (Numbers{1, 3})) << at;
    }
}

TEST(AttemptRecord, ATornEndIsSkippedAlsoWhenWholeOnesFollow) {
    std::string torn;
    append(torn, 1, 1, std::string(20'000, 'x'));
    for (std::size_t cut = 0; cut < torn.size(); cut += 7) {
        std::string octets;
        append(octets, 1, 7);
        octets += torn.substr(0, cut);
        EXPECT_EQ(numbers_in(octets), Numbers{7}) << cut;
        append(octets, 1, 8);
        EXPECT_EQ(numbers_in(octets), (Numbers{7, 8})) << cut;
    }
}

TEST(AttemptRecord, OctetsThatAreNoneGiveNothing) {
    EXPECT_EQ(numbers_in(""), Numbers{});
    EXPECT_EQ(numbers_in(std::string(100'000, '\0')), Numbers{});
    EXPECT_EQ(numbers_in(std::string(100'000, '\x01')), Numbers{});
    std::string begins;
    for (int i = 0; i < 10'000; i++) begins += "\x01PRA";
    EXPECT_EQ(numbers_in(begins), Numbers{});
}

// As a file is read: whatever the blocks, the same is found.
TEST(AttemptRecord, AnyCutOfTheFileGivesTheSame) {
    std::string octets = "garbage";
    for (uint32_t i = 1; i <= 5; i++) append(octets, i % 2, i, std::string(i * 10, 'd'));
    for (std::size_t block = 200; block < octets.size() + 2; block += 13) {
        AttemptStory story;
        std::size_t at = 0;
        for (int round = 0; round < 1000; round++) {
            std::string_view part = std::string_view(octets).substr(at, block);
            bool is_end = at + part.size() == octets.size();
            std::size_t done =
                scan_attempts(part, is_end ? FilePart::End : FilePart::Middle, {1}, story);
            if (is_end) break;
            ASSERT_GT(done, 0u);
            at += done;
        }
        ASSERT_EQ(story.attempts.size(), 3u) << block;
        EXPECT_EQ(story.attempts[2].number, 5u);
    }
}

TEST(AttemptRecord, HowMuchThereIsToSayItStaysBelowItsLimit) {
    Envelope envelope = envelope_to(std::vector<std::string>(5000, "x@far.test"));
    std::vector<RecipientResult> results;
    results.reserve(5000);
    for (uint32_t i = 0; i < 5000; i++) {
        results.push_back({.recipient = i, .reason = std::string(5000, 'r')});
    }
    std::string octets;
    append_attempt(octets, {1},
                   {.number = 1,
                    .site = std::string(5000, 's'),
                    .envelope = &envelope,
                    .results = results,
                    .dialogue = std::string(1'000'000, 'd')});
    EXPECT_LE(octets.size(), kAttemptHeaderOctets + kAttemptPayloadMax);
    AttemptStory story;
    scan_attempts(octets, FilePart::End, {1}, story);
    ASSERT_EQ(story.attempts.size(), 1u);
    EXPECT_GT(story.attempts[0].results.size(), 50u);
    EXPECT_EQ(story.attempts[0].results.size() + story.attempts[0].left_out, 5000u);
}

}  // namespace
}  // namespace postrider::daemon
