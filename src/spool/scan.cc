#include "spool/scan.h"

#include <algorithm>
#include <cstring>

#include "base/situation.h"

namespace postrider::spool {

namespace {

constexpr uint64_t kBlockOctets = 256 * 1024;
constexpr uint64_t kSectorOctets = 4096;

// A stretch of the file in memory, that moves forward.
class Window {
public:
    Window(world::File& file, uint64_t limit, std::vector<Gap>& unreadable)
        : file_(file), limit_(limit), unreadable_(unreadable) {}

    bool holds(uint64_t offset, uint64_t octets) const {
        return offset >= base_ && offset + octets <= base_ + buffer_.size();
    }
    std::string_view at(uint64_t offset, uint64_t octets) const {
        return std::string_view(buffer_).substr(offset - base_, octets);
    }
    // The first place from `offset` on, in steps of 8, where "PSR1" stands; else the first that was
    // not looked at for want of octets.
    uint64_t find_magic(uint64_t offset) const {
        for (; holds(offset, kRecordHeaderOctets); offset += kRecordAlignment) {
            if (std::memcmp(buffer_.data() + (offset - base_), "PSR1", 4) == 0) break;
        }
        return offset;
    }
    // REQUIRES: offset + octets <= limit.
    Task<void> load(uint64_t offset, uint64_t octets) {
        uint64_t to = std::min(limit_, std::max(offset + octets, offset + kBlockOctets));
        if (offset >= base_ && offset < base_ + buffer_.size()) {
            buffer_.erase(0, offset - base_);
        } else {
            buffer_.clear();
        }
        base_ = offset;
        uint64_t from = base_ + buffer_.size();
        buffer_.resize(to - base_, '\0');
        auto got = co_await file_.read_at(from, std::span(buffer_).subspan(from - base_));
        if (!got || forced(Switch::SpoolReadsBySector)) co_await load_by_sector(from, to);
    }

private:
    // The disk refused the whole: takes what it gives, zeros for the rest.
    Task<void> load_by_sector(uint64_t from, uint64_t to) {
        while (from < to) {
            uint64_t next = std::min(to, (from / kSectorOctets + 1) * kSectorOctets);
            auto part = std::span(buffer_).subspan(from - base_, next - from);
            auto got = co_await file_.read_at(from, part);
            if (!got) {
                reached(Situation::SpoolSectorUnreadable);
                std::fill(part.begin(), part.end(), '\0');
                if (!unreadable_.empty() && unreadable_.back().to == from) {
                    unreadable_.back().to = static_cast<uint32_t>(next);
                } else {
                    unreadable_.push_back(
                        {static_cast<uint32_t>(from), static_cast<uint32_t>(next)});
                }
            }
            from = next;
        }
    }

    world::File& file_;
    uint64_t limit_;
    std::vector<Gap>& unreadable_;
    uint64_t base_ = 0;
    std::string buffer_;
};

bool plausible(const RecordHeader& header, Stamp stamp, uint64_t offset, uint64_t limit) {
    return header.stamp == stamp && header.synced_to <= offset &&
           header.payload_octets <= kLogRecordOctetsMax &&
           record_octets(header.payload_octets) <= limit - offset;
}

void add_gap(std::vector<Gap>& gaps, uint64_t from, uint64_t to) {
    if (!gaps.empty() && gaps.back().to == from) {
        gaps.back().to = static_cast<uint32_t>(to);
    } else {
        gaps.push_back({static_cast<uint32_t>(from), static_cast<uint32_t>(to)});
    }
}

}  // namespace

Task<SegmentScan> scan_segment(world::File& file, uint64_t limit, Stamp stamp,
                               const std::function<void(const ScannedRecord&)>& handle) {
    SegmentScan out;
    Window window(file, limit, out.unreadable);
    uint64_t offset = kSegmentHeaderOctets;
    uint64_t valid_to = offset;  // where the last valid record ended
    while (offset + kRecordHeaderOctets <= limit) {
        if (!window.holds(offset, kRecordHeaderOctets)) {
            co_await window.load(offset, kRecordHeaderOctets);
        }
        auto header = decode_record_header(window.at(offset, kRecordHeaderOctets));
        if (!header || !plausible(*header, stamp, offset, limit)) {
            if (header && header->stamp.generation < stamp.generation) {
                reached(Situation::SpoolOldRecordsBehindNew);
            }
            offset = window.find_magic(offset + kRecordAlignment);
            continue;
        }
        uint64_t octets = record_octets(header->payload_octets);
        if (!window.holds(offset, octets)) co_await window.load(offset, octets);
        auto payload = window.at(offset + kRecordHeaderOctets, header->payload_octets);
        std::optional<Payload> parsed;
        if (crc32(payload) == header->payload_crc) parsed = parse_payload(payload);
        if (parsed) {
            if (valid_to < offset) add_gap(out.gaps, valid_to, offset);
            out.torn_after = 0;
            valid_to = offset + octets;
            out.synced_floor = std::max(out.synced_floor, header->synced_to);
            out.last_type = header->type;
            ++out.records;
            handle({header->type, static_cast<uint32_t>(offset), header->payload_octets,
                    header->synced_to, *parsed});
        } else {
            out.torn_after += static_cast<uint32_t>(octets);
        }
        offset += octets;
    }
    out.end = static_cast<uint32_t>(valid_to);
    co_return out;
}

Task<std::optional<Stamp>> stamp_of_first_record(world::File& file) {
    std::string octets(kRecordHeaderOctets, '\0');
    auto got = co_await file.read_at(kSegmentHeaderOctets, octets);
    if (!got || *got < kRecordHeaderOctets) co_return std::nullopt;
    auto header = decode_record_header(octets);
    if (!header) co_return std::nullopt;
    co_return header->stamp;
}

}  // namespace postrider::spool
