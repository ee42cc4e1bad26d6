// Segments made by hand, octet by octet, without the encoder under test (the small writer here
// follows docs/spool-format.md and takes its CRC from a table of its own).

#include "spool/scan.h"

#include <gtest/gtest.h>

#include <cstring>

namespace postrider::spool {
namespace {

constexpr Stamp kStamp{0x0102030405060708, 0x1112131415161718};

uint32_t plain_crc(std::string_view octets) {
    uint32_t crc = 0xFFFFFFFF;
    for (char c : octets) {
        crc ^= static_cast<unsigned char>(c);
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0xEDB88320u : 0u);
    }
    return ~crc;
}

void add(std::string& out, uint64_t value, int octets) {
    for (int i = 0; i < octets; ++i) out.push_back(static_cast<char>(value >> (8 * i)));
}

std::string record_by_hand(std::string_view payload, uint32_t synced_to, Stamp stamp = kStamp) {
    std::string out = "PSR1";
    add(out, 1, 4);
    add(out, payload.size(), 4);
    add(out, plain_crc(payload), 4);
    add(out, stamp.generation, 8);
    add(out, stamp.salt, 8);
    add(out, synced_to, 4);
    add(out, plain_crc(out), 4);
    out.append(payload);
    while (out.size() % 8 != 0) out.push_back('\0');
    return out;
}

// One Change item: id, state Delivered.
std::string change_by_hand(uint64_t id) {
    std::string out;
    add(out, 4, 2);
    add(out, 0, 2);
    add(out, 14 + 7, 4);
    add(out, 1, 2);
    add(out, 8, 4);
    add(out, id, 8);
    add(out, 3, 2);
    add(out, 1, 4);
    add(out, 1, 1);
    return out;
}

class MemoryFile : public world::File {
public:
    std::string octets;
    uint64_t unreadable_from = UINT64_MAX;
    uint64_t unreadable_to = 0;

    Task<world::DiskResult<std::size_t>> read_at(uint64_t offset, std::span<char> into) override {
        if (offset < unreadable_to && offset + into.size() > unreadable_from) {
            co_return std::unexpected(world::DiskError{world::DiskError::Kind::Broken, "EIO"});
        }
        if (offset >= octets.size()) co_return std::size_t{0};
        std::size_t count = std::min<uint64_t>(into.size(), octets.size() - offset);
        std::memcpy(into.data(), octets.data() + offset, count);
        co_return count;
    }
    Task<world::DiskStatus> write_at(uint64_t, std::span<const std::string_view>) override {
        co_return world::DiskStatus{};
    }
    Task<world::DiskStatus> sync() override { co_return world::DiskStatus{}; }
    Task<world::DiskResult<uint64_t>> size() override { co_return octets.size(); }
    Task<world::DiskStatus> truncate(uint64_t) override { co_return world::DiskStatus{}; }
    Task<world::DiskStatus> allocate(uint64_t) override { co_return world::DiskStatus{}; }
    void bypass_cache() override {}
};

// A segment with these records one after the other, and room behind.
struct Made {
    MemoryFile file;
    std::vector<uint32_t> offsets;  // of each record, then of the end

    explicit Made(std::initializer_list<std::string> records) {
        file.octets.assign(kSegmentHeaderOctets, '\0');
        for (const std::string& record : records) {
            offsets.push_back(static_cast<uint32_t>(file.octets.size()));
            file.octets += record;
        }
        offsets.push_back(static_cast<uint32_t>(file.octets.size()));
        file.octets.resize(64 * 1024, '\0');
    }
    void flip(uint32_t offset) { file.octets[offset] = static_cast<char>(file.octets[offset] ^ 4); }
};

struct Seen {
    SegmentScan scan;
    std::vector<uint64_t> ids;  // of the changes
};

Task<void> scan_into(MemoryFile& file, Seen& seen) {
    std::function<void(const ScannedRecord&)> handle = [&](const ScannedRecord& record) {
        for (const RecipientChange& change : record.payload.changes) {
            seen.ids.push_back(change.id.value);
        }
    };
    seen.scan = co_await scan_segment(file, file.octets.size(), kStamp, handle);
}

Seen scan(MemoryFile& file) {
    Seen seen;
    auto handle = scan_into(file, seen).release();
    handle.resume();
    EXPECT_TRUE(handle.done());
    handle.destroy();
    return seen;
}

using Ids = std::vector<uint64_t>;
using Gaps = std::vector<Gap>;

Made three() {
    return Made{record_by_hand(change_by_hand(1), 4096), record_by_hand(change_by_hand(2), 4096),
                record_by_hand(change_by_hand(3), 4096 + 144)};
}

TEST(Scan, RecordsAreFoundInOrder) {
    Made made = three();
    Seen seen = scan(made.file);
    EXPECT_EQ(seen.ids, (Ids{1, 2, 3}));
    EXPECT_EQ(seen.scan.end, made.offsets.back());
    EXPECT_EQ(seen.scan.gaps, Gaps{});
    EXPECT_EQ(seen.scan.synced_floor, 4096u + 144);
}

TEST(Scan, AnEmptySegmentHasNoRecords) {
    Made made{};
    Seen seen = scan(made.file);
    EXPECT_EQ(seen.scan.records, 0u);
    EXPECT_EQ(seen.scan.end, kSegmentHeaderOctets);
}

TEST(Scan, TruncatedTrailingRecordIsIgnored) {
    Made made = three();
    made.file.octets.resize(made.offsets[2] + 50);
    Seen seen = scan(made.file);
    EXPECT_EQ(seen.ids, (Ids{1, 2}));
    EXPECT_EQ(seen.scan.end, made.offsets[2]);
    EXPECT_EQ(seen.scan.gaps, Gaps{});
}

TEST(Scan, ATornRecordLeavesAGapAndTheWholeOneBehindItCounts) {
    for (uint32_t place : {0u, 9u, 20u, 30u, 33u, 39u, 40u, 60u}) {  // header and payload
        Made made = three();
        made.flip(made.offsets[1] + place);
        Seen seen = scan(made.file);
        EXPECT_EQ(seen.ids, (Ids{1, 3})) << place;
        EXPECT_EQ(seen.scan.gaps, (Gaps{{made.offsets[1], made.offsets[2]}})) << place;
    }
}

TEST(Scan, ARecordOfAnEarlierUseOfTheSegmentIsNotOne) {
    Stamp old{kStamp.generation - 1, kStamp.salt};
    Made made{record_by_hand(change_by_hand(1), 4096),
              record_by_hand(change_by_hand(2), 4096, old)};
    EXPECT_EQ(scan(made.file).ids, (Ids{1}));
}

TEST(Scan, ARecordInsideAMessagesTextIsNotRead) {
    // Someone who knows all but the salt has put a record into the content of a torn record.
    Stamp guessed{kStamp.generation, 0};
    std::string forged = record_by_hand(change_by_hand(666), 4096, guessed);
    std::string payload;
    add(payload, 99, 2);  // an item of a type to come
    add(payload, 0, 2);
    add(payload, forged.size(), 4);
    payload += forged;
    Made made{record_by_hand(payload, 4096), record_by_hand(change_by_hand(2), 4096)};
    made.flip(made.offsets[0] + 9);  // the length: the reader must look for the next record
    EXPECT_EQ(scan(made.file).ids, (Ids{2}));
}

TEST(Scan, ARecordThatIsWiderThanTheSegmentIsNotOne) {
    Made made{record_by_hand(change_by_hand(1), 4096)};
    made.file.octets.resize(made.offsets[1]);
    std::string wide = record_by_hand(std::string(1000, 'x'), 4096);
    made.file.octets += wide.substr(0, 500);
    EXPECT_EQ(scan(made.file).ids, (Ids{1}));
}

TEST(Scan, SectorsThatTheDiskRefusesAreListed) {
    Made made = three();
    made.file.unreadable_from = 8192;
    made.file.unreadable_to = 8193;
    Seen seen = scan(made.file);
    EXPECT_EQ(seen.ids, (Ids{1, 2, 3}));
    EXPECT_EQ(seen.scan.unreadable, (Gaps{{8192, 12288}}));
}

TEST(Scan, APayloadThatIsNoItemsIsNoRecord) {
    Made made{record_by_hand("xyz", 4096), record_by_hand(change_by_hand(2), 4096)};
    Seen seen = scan(made.file);
    EXPECT_EQ(seen.ids, (Ids{2}));
    EXPECT_EQ(seen.scan.gaps, (Gaps{{made.offsets[0], made.offsets[1]}}));
}

TEST(Record, TheCrcIsThatOfTheStandard) {
    EXPECT_EQ(crc32("123456789"), 0xCBF43926u);  // the check value of CRC-32 (IEEE 802.3)
    EXPECT_EQ(crc32("6789", crc32("12345")), 0xCBF43926u);
}

TEST(Record, EncodedHeaderIsAsWrittenByHand) {
    std::string payload = change_by_hand(5);
    RecordHeader header{1, static_cast<uint32_t>(payload.size()), plain_crc(payload), kStamp, 4096};
    auto octets = encode(header);
    EXPECT_EQ(std::string_view(octets.data(), octets.size()),
              std::string_view(record_by_hand(payload, 4096)).substr(0, kRecordHeaderOctets));
}

TEST(Record, ASegmentHeaderThatDoesNotHoldIsNotRead) {
    std::string octets = encode(SegmentHeader{kFormatVersion, kStamp, 1 << 20});
    ASSERT_EQ(octets.size(), kSegmentHeaderOctets);
    auto header = decode_segment_header(octets);
    ASSERT_TRUE(header);
    EXPECT_EQ(header->stamp, kStamp);
    EXPECT_EQ(header->segment_octets, 1u << 20);
    for (std::size_t i = 0; i < 64; ++i) {
        std::string other = octets;
        other[i] = static_cast<char>(other[i] ^ 1);
        EXPECT_FALSE(decode_segment_header(other)) << i;
    }
    EXPECT_FALSE(decode_segment_header(octets.substr(0, 63)));
}

}  // namespace
}  // namespace postrider::spool
