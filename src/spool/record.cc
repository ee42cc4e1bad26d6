#include "spool/record.h"

#include <libdeflate.h>

#include <cassert>
#include <cstring>

#include "spool/bytes.h"

namespace postrider::spool {

namespace {

constexpr std::string_view kSegmentMagic = "PRSPOOL\n";
constexpr std::string_view kRecordMagic = "PSR1";
constexpr std::size_t kSegmentCrcOffset = 60;
constexpr std::size_t kRecordCrcOffset = 36;

}  // namespace

uint32_t crc32(std::string_view octets, uint32_t before) {
    return libdeflate_crc32(before, octets.data(), octets.size());
}

std::string encode(const SegmentHeader& header) {
    std::string out(kSegmentMagic);
    put<uint32_t>(out, header.version);
    put<uint32_t>(out, 0);
    put<uint64_t>(out, header.stamp.generation);
    put<uint64_t>(out, header.stamp.salt);
    put<uint64_t>(out, header.segment_octets);
    out.resize(kSegmentCrcOffset, '\0');
    put<uint32_t>(out, crc32(out));
    out.resize(kSegmentHeaderOctets, '\0');
    return out;
}

std::optional<SegmentHeader> decode_segment_header(std::string_view octets) {
    if (octets.size() < kSegmentCrcOffset + 4 || !octets.starts_with(kSegmentMagic)) return {};
    if (take_at<uint32_t>(octets.data() + kSegmentCrcOffset) !=
        crc32(octets.substr(0, kSegmentCrcOffset))) {
        return {};
    }
    SegmentHeader header;
    header.version = take_at<uint32_t>(octets.data() + 8);
    if (header.version == 0) return {};
    if (header.version > kFormatVersion) return header;
    header.stamp.generation = take_at<uint64_t>(octets.data() + 16);
    header.stamp.salt = take_at<uint64_t>(octets.data() + 24);
    header.segment_octets = take_at<uint64_t>(octets.data() + 32);
    return header;
}

RecordHeaderOctets encode(const RecordHeader& header) {
    RecordHeaderOctets out{};
    std::memcpy(out.data(), kRecordMagic.data(), kRecordMagic.size());
    put_at<uint8_t>(out.data() + 4, header.type);
    put_at<uint32_t>(out.data() + 8, header.payload_octets);
    put_at<uint32_t>(out.data() + 12, header.payload_crc);
    put_at<uint64_t>(out.data() + 16, header.stamp.generation);
    put_at<uint64_t>(out.data() + 24, header.stamp.salt);
    put_at<uint32_t>(out.data() + 32, header.synced_to);
    put_at<uint32_t>(out.data() + kRecordCrcOffset,
                     crc32(std::string_view(out.data(), kRecordCrcOffset)));
    return out;
}

std::optional<RecordHeader> decode_record_header(std::string_view octets) {
    assert(octets.size() >= kRecordHeaderOctets);
    if (!octets.starts_with(kRecordMagic)) return {};
    if (take_at<uint32_t>(octets.data() + kRecordCrcOffset) !=
        crc32(octets.substr(0, kRecordCrcOffset))) {
        return {};
    }
    RecordHeader header;
    header.type = take_at<uint8_t>(octets.data() + 4);
    header.payload_octets = take_at<uint32_t>(octets.data() + 8);
    header.payload_crc = take_at<uint32_t>(octets.data() + 12);
    header.stamp.generation = take_at<uint64_t>(octets.data() + 16);
    header.stamp.salt = take_at<uint64_t>(octets.data() + 24);
    header.synced_to = take_at<uint32_t>(octets.data() + 32);
    return header;
}

}  // namespace postrider::spool
