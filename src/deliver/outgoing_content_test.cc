// deliver/outgoing_content_test.cc: a message that a next host needs otherwise than it is stored:
// each octet of it, in whatever pieces it is read, and nothing at all where it cannot be whole.
//
// Expected messages are by hand.

#include "deliver/outgoing_content.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/limits.h"

namespace postrider::deliver {
namespace {

// What is stored: read in pieces of at most `piece` octets, with bad days.
class Stored : public ContentReader {
public:
    explicit Stored(std::string octets, std::size_t piece = SIZE_MAX)
        : octets_(std::move(octets)), piece_(piece) {}
    uint64_t size() const override { return octets_.size() + missing; }
    Task<Result<std::size_t>> read(uint64_t offset, std::span<char> into) override {
        if (++reads > reads_max) co_return fail("asked too often");
        if (offset > octets_.size()) co_return std::size_t{0};
        co_return octets_.copy(into.data(), std::min(into.size(), piece_), offset);
    }
    uint64_t missing = 0;  // octets that are promised and not there
    int reads = 0;
    int reads_max = 1'000'000;

private:
    std::string octets_;
    std::size_t piece_;
};

template <typename T>
T run(Task<T> task) {
    auto handle = task.release();
    handle.resume();
    EXPECT_TRUE(handle.done());
    T value = handle.promise().take();
    handle.destroy();
    return value;
}

// Read from the beginning to the end, in pieces of at most `piece` octets.
std::string all_of(ContentReader& content, std::size_t piece) {
    std::string out, part(piece, '\0');
    for (;;) {
        Result<std::size_t> count = run(content.read(out.size(), part));
        if (!count) return "error: " + count.error().message;
        if (*count == 0) return out;
        out.append(part, 0, *count);
    }
}

std::string read_at(ContentReader& content, uint64_t offset, std::size_t octets) {
    std::string part(octets, '\0');
    Result<std::size_t> count = run(content.read(offset, part));
    if (!count) return "error: " + count.error().message;
    part.resize(*count);
    return part;
}

Result<std::shared_ptr<ContentReader>> seven_bit(std::shared_ptr<Stored> stored) {
    return run(SevenBitContent::make(std::move(stored)));
}

const std::string kEightBit =
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    "Gr\xC3\xBC\xC3\x9F"
    "e\r\n.\r\nlast";
const std::string kSevenBit =
    "Subject: x\r\nMIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "Gr=C3=BC=C3=9Fe\r\n.\r\nlast";

TEST(SevenBitContent, EachOctetOfTheConversionGoesOutInWhateverPiecesItIsRead) {
    for (std::size_t stored : {std::size_t{1}, std::size_t{7}, SIZE_MAX}) {
        for (std::size_t piece : {1, 5, 64, 4096}) {
            auto made = seven_bit(std::make_shared<Stored>(kEightBit, stored));
            ASSERT_TRUE(made) << made.error().message;
            EXPECT_EQ((*made)->size(), kSevenBit.size()) << stored;
            EXPECT_EQ(all_of(**made, piece), kSevenBit) << stored << " " << piece;
            EXPECT_EQ(all_of(**made, piece), kSevenBit) << "a second try gets the same";
        }
    }
}

TEST(SevenBitContent, AMessageOfManyBlocksLosesNothingBetweenThem) {
    std::string stored = "MIME-Version: 1.0\r\n\r\n";
    std::string want = "MIME-Version: 1.0\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n";
    for (int i = 0; i < 20'000; i++) {
        std::string number = std::to_string(i);
        stored += number + " gr\xC3\xBC\r\n";
        want += number + " gr=C3=BC\r\n";
    }
    for (std::size_t piece : {std::size_t{1000}, std::size_t{64 * 1024}, want.size() + 1}) {
        auto made = seven_bit(std::make_shared<Stored>(stored));
        ASSERT_TRUE(made);
        EXPECT_EQ((*made)->size(), want.size());
        EXPECT_TRUE(all_of(**made, piece) == want) << piece;
    }
}

TEST(SevenBitContent, AReaderMayGoBackAndForth) {
    for (std::size_t stored : {std::size_t{3}, SIZE_MAX}) {
        auto made = seven_bit(std::make_shared<Stored>(kEightBit, stored));
        ASSERT_TRUE(made);
        for (uint64_t at : {90, 20, 21, 0, 60, 60, 95, 1}) {
            EXPECT_EQ(read_at(**made, at, 10), kSevenBit.substr(at, 10)) << at;
        }
        EXPECT_EQ(read_at(**made, kSevenBit.size() - 3, 10), "ast") << "fewer only at the end";
        EXPECT_EQ(read_at(**made, kSevenBit.size(), 10), "");
        EXPECT_EQ(read_at(**made, kSevenBit.size() + 50, 10), "");
        EXPECT_EQ(read_at(**made, 0, 7), "Subject") << "after its end";
    }
}

TEST(SevenBitContent, WhatIsSignedIsNotConverted) {
    auto made = seven_bit(std::make_shared<Stored>("DKIM-Signature: v=1\r\n" + kEightBit));
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message, "it is signed");
}

TEST(SevenBitContent, AMessageThatHasBecomeShorterIsNoEndlessWork) {
    auto stored = std::make_shared<Stored>(kEightBit, 10);
    stored->missing = 1;
    stored->reads_max = 1000;
    auto made = seven_bit(stored);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().message, "the stored message is shorter than it was");
}

// Whenever it comes: while it is measured, counted, or sent.
TEST(SevenBitContent, AMessageThatCannotBeReadIsNeverGivenAsWhole) {
    int needed = 0;
    {
        auto stored = std::make_shared<Stored>(kEightBit, 10);
        all_of(**seven_bit(stored), 16);
        needed = stored->reads;
    }
    std::set<std::string> seen;
    for (int reads = 0; reads < needed; reads++) {
        auto stored = std::make_shared<Stored>(kEightBit, 10);
        stored->reads_max = reads;
        auto made = seven_bit(stored);
        std::string got = made ? all_of(**made, 16) : "not made: " + made.error().message;
        EXPECT_TRUE(got.ends_with("asked too often")) << reads << ": " << got;
        seen.insert(got);
    }
    EXPECT_EQ(seen, (std::set<std::string>{"not made: asked too often", "error: asked too often"}));
}

struct PriorityCase {
    const char* name;
    std::string stored, want;
};

// The priority of the envelope is 3. RFC 6758 §3.3.
const PriorityCase kPriorities[] = {
    {"no field", "A: b\r\n\r\nbody\r\n", "MT-Priority: 3\r\nA: b\r\n\r\nbody\r\n"},
    {"another one", "A: b\r\nMT-Priority: -2\r\nC: d\r\n\r\nbody\r\n",
     "MT-Priority: 3\r\nA: b\r\nC: d\r\n\r\nbody\r\n"},
    {"one at each end, and one that is folded",
     "MT-Priority: 1\r\nA: b\r\nmt-priority:\r\n 2\r\nC: d\r\nMT-Priority: 3\r\n\r\nbody\r\n",
     "MT-Priority: 3\r\nA: b\r\nC: d\r\n\r\nbody\r\n"},
    {"one beside the other", "A: b\r\nMT-Priority: 1\r\nMT-Priority: 2\r\n\r\nbody\r\n",
     "MT-Priority: 3\r\nA: b\r\n\r\nbody\r\n"},
    {"nothing else", "MT-Priority: 1\r\n\r\n", "MT-Priority: 3\r\n\r\n"},
    {"what stands in the body is no field", "A: b\r\n\r\nMT-Priority: 2\r\n",
     "MT-Priority: 3\r\nA: b\r\n\r\nMT-Priority: 2\r\n"},
};

TEST(PriorityField, OursIsTheOnlyOneAndNothingElseChanges) {
    for (const PriorityCase& c : kPriorities) {
        auto stored = std::make_shared<Stored>(c.stored);
        uint64_t header = c.stored.find("\r\n\r\n") + 4;
        auto content = run(with_priority_field(stored, header, 3));
        EXPECT_EQ(content->size(), c.want.size()) << c.name;
        for (std::size_t piece : {1, 3, 4096}) {
            EXPECT_EQ(all_of(*content, piece), c.want) << c.name << " " << piece;
        }
        // A read is filled, wherever it begins; it is short only at the end.
        for (std::size_t at = 0; at <= c.want.size() + 1; at++) {
            for (std::size_t octets = 1; octets <= c.want.size(); octets++) {
                std::string want = at < c.want.size() ? c.want.substr(at, octets) : "";
                ASSERT_EQ(read_at(*content, at, octets), want) << c.name << " " << at;
            }
        }
    }
}

TEST(PriorityField, OneThatSaysTheSameIsLeftAlone) {
    std::string text = "A: b\r\nMT-Priority: 3\r\n\r\nbody\r\n";
    auto stored = std::make_shared<Stored>(text);
    EXPECT_EQ(run(with_priority_field(stored, text.size() - 6, 3)), stored);
    EXPECT_NE(run(with_priority_field(stored, text.size() - 6, 4)), stored);
}

TEST(PriorityField, AFieldThatIsReadInPiecesIsFound) {
    std::string text = "A: b\r\nMT-Priority: 2\r\n\r\nbody\r\n";
    auto content = run(with_priority_field(std::make_shared<Stored>(text, 1), UINT64_MAX, 3));
    EXPECT_EQ(all_of(*content, 100), "MT-Priority: 3\r\nA: b\r\n\r\nbody\r\n");
}

// Sending will find what is wrong with it, and say so.
TEST(PriorityField, AMessageThatCannotBeReadStaysAsItIs) {
    std::string text = "A: b\r\nMT-Priority: 2\r\n\r\nbody\r\n";
    auto broken = std::make_shared<Stored>(text, 10);
    broken->reads_max = 1;
    EXPECT_EQ(run(with_priority_field(broken, text.size(), 3)), broken);
    auto shorter = std::make_shared<Stored>(text, 10);
    shorter->missing = 1;
    shorter->reads_max = 1000;
    EXPECT_EQ(run(with_priority_field(shorter, UINT64_MAX, 3)), shorter);
    EXPECT_LT(shorter->reads, 1000);

    auto later = std::make_shared<Stored>(text, 1000);
    auto content = run(with_priority_field(later, text.size() - 6, 3));
    later->reads_max = later->reads;
    EXPECT_EQ(all_of(*content, 1000), "error: asked too often");
}

TEST(PriorityField, AHeaderBlockWithoutEndCostsNoMoreMemoryThanALargeOne) {
    auto stored = std::make_shared<Stored>(std::string(2 * kHeaderBlockOctetsMax, 'x'), 1000);
    run(with_priority_field(stored, UINT64_MAX, 3));
    EXPECT_LE(stored->reads, static_cast<int>(kHeaderBlockOctetsMax / 1000 + 1));
}

}  // namespace
}  // namespace postrider::deliver
