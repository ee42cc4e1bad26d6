// spool/record.h: the fixed parts of a segment: its header and the header of each record.
//
// The numbers stand in docs/spool-format.md and never change their meaning. Whether a record counts
// is decided here: magic, generation, salt and both CRCs must hold. The generation tells it from
// what an earlier use of the segment left behind, the salt from octets that a client put into a
// message.
//
// Pure. Threads: values.

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"

namespace postrider::spool {

inline constexpr uint32_t kFormatVersion = 1;
inline constexpr uint32_t kSegmentHeaderOctets = 4096;
inline constexpr uint32_t kRecordHeaderOctets = 40;
inline constexpr uint32_t kRecordAlignment = 8;
inline constexpr uint64_t kSegmentOctetsMin = 64 * 1024;
inline constexpr uint64_t kSegmentOctetsMax = 1ull << 30;

// CRC-32 (IEEE) of `octets`, going on from `before`.
uint32_t crc32(std::string_view octets, uint32_t before = 0);

inline constexpr uint64_t padded(uint64_t octets) {
    return (octets + kRecordAlignment - 1) & ~static_cast<uint64_t>(kRecordAlignment - 1);
}
// What a record with this payload takes in a segment.
inline constexpr uint64_t record_octets(uint64_t payload) {
    return padded(kRecordHeaderOctets + payload);
}
// The longest payload for segments of this size: two records of any size fit into one segment.
inline constexpr uint64_t payload_octets_max(uint64_t segment_octets) {
    uint64_t half = (segment_octets - kSegmentHeaderOctets) / 2 - kRecordHeaderOctets - 1024;
    return half < kLogRecordOctetsMax ? half : kLogRecordOctetsMax;
}

// What makes a segment's records its own.
struct Stamp {
    uint64_t generation = 0;
    uint64_t salt = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
};

struct SegmentHeader {
    uint32_t version = kFormatVersion;
    Stamp stamp;
    uint64_t segment_octets = 0;
};

// kSegmentHeaderOctets long.
std::string encode(const SegmentHeader& header);
// Empty when it does not hold. A newer version's header is given with its version alone.
std::optional<SegmentHeader> decode_segment_header(std::string_view octets);

enum class RecordType : uint8_t {
    Commit = 1,
    Moved = 2,
    Ended = 3,
    Mark = 4,
    Closed = 5
};

struct RecordHeader {
    uint8_t type = 0;  // RecordType, or one that we do not know yet
    uint32_t payload_octets = 0;
    uint32_t payload_crc = 0;
    Stamp stamp;
    uint32_t synced_to = 0;
};

using RecordHeaderOctets = std::array<char, kRecordHeaderOctets>;
RecordHeaderOctets encode(const RecordHeader& header);
// Empty when magic or CRC do not hold. The stamp is for the caller to compare.
// REQUIRES: octets has kRecordHeaderOctets.
std::optional<RecordHeader> decode_record_header(std::string_view octets);

}  // namespace postrider::spool
