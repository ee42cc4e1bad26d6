// Any octets as a segment of the log: recovery neither crashes nor reads for ever, and the octets
// of a valid record are what it gives. The fuzzer's octets lie behind a valid header; records in
// them get their CRCs corrected by a rule of the first octet, so that the inside is reached as
// well.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "spool/bytes.h"
#include "spool/index.h"
#include "spool/scan.h"

using namespace postrider;
using namespace postrider::spool;

namespace {

constexpr Stamp kStamp{7, 0x5a5a5a5a5a5a5a5a};

class MemoryFile : public world::File {
public:
    explicit MemoryFile(std::string octets) : octets_(std::move(octets)) {}
    Task<world::DiskResult<std::size_t>> read_at(uint64_t offset, std::span<char> into) override {
        if (offset >= octets_.size()) co_return std::size_t{0};
        std::size_t count = std::min<uint64_t>(into.size(), octets_.size() - offset);
        std::memcpy(into.data(), octets_.data() + offset, count);
        co_return count;
    }
    Task<world::DiskStatus> write_at(uint64_t, std::span<const std::string_view>) override {
        co_return world::DiskStatus{};
    }
    Task<world::DiskStatus> sync() override { co_return world::DiskStatus{}; }
    Task<world::DiskResult<uint64_t>> size() override { co_return octets_.size(); }
    Task<world::DiskStatus> truncate(uint64_t) override { co_return world::DiskStatus{}; }
    Task<world::DiskStatus> allocate(uint64_t) override { co_return world::DiskStatus{}; }
    void bypass_cache() override {}

private:
    std::string octets_;
};

// Nothing here waits, so one resume runs the task to its end.
void run_now(Task<void> task) {
    auto handle = task.release();
    handle.resume();
    if (!handle.done()) std::abort();
    handle.destroy();
}

// Makes what looks like records valid: length from the octets, stamp and CRCs ours.
void correct(std::string& octets) {
    std::size_t at = kSegmentHeaderOctets;
    while (at + kRecordHeaderOctets <= octets.size()) {
        uint32_t room = static_cast<uint32_t>(octets.size() - at - kRecordHeaderOctets);
        RecordHeader header;
        header.type = take_at<uint8_t>(octets.data() + at + 4);
        header.payload_octets = std::min<uint32_t>(take_at<uint16_t>(octets.data() + at + 8), room);
        header.synced_to = take_at<uint16_t>(octets.data() + at + 32);
        header.stamp = kStamp;
        header.payload_crc =
            crc32(std::string_view(octets).substr(at + kRecordHeaderOctets, header.payload_octets));
        auto encoded = encode(header);
        std::memcpy(octets.data() + at, encoded.data(), encoded.size());
        at += record_octets(header.payload_octets);
    }
}

Task<void> scan(const std::string& octets, uint64_t limit) {
    MemoryFile file(octets);
    Index index;
    uint64_t records = 0;
    uint32_t before = 0;
    std::function<void(const ScannedRecord&)> handle = [&](const ScannedRecord& record) {
        if (record.offset <= before || record.offset % kRecordAlignment != 0) std::abort();
        before = record.offset;
        ++records;
        for (const MessageItem& item : record.payload.messages) {
            MessageId id = item.fields.envelope.id;
            if (index.find(id)) continue;
            index.add(id, {}, static_cast<uint32_t>(item.fields.envelope.recipient_count()), false);
        }
        for (const RecipientChange& change : record.payload.changes) index.change(change);
    };
    SegmentScan out = co_await scan_segment(file, limit, kStamp, handle);
    if (out.records != records || out.end > std::max<uint64_t>(limit, kSegmentHeaderOctets)) {
        std::abort();
    }
    for (const Gap& gap : out.gaps) {
        if (gap.from >= gap.to || gap.to > out.end) std::abort();
    }
    for (MessageId id : index.ids()) (void)index.standings(id);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    std::string octets = encode(SegmentHeader{kFormatVersion, kStamp, 64 * 1024});
    octets.append(reinterpret_cast<const char*>(data + 1), size - 1);
    if (data[0] & 1) correct(octets);
    run_now(scan(octets, octets.size()));
    (void)decode_segment_header(std::string_view(reinterpret_cast<const char*>(data), size));
    return 0;
}
