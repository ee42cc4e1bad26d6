#include "spool/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/situation.h"

namespace postrider::spool {

namespace {

constexpr std::size_t kGapsToldMax = 512;  // in one Ended item; more are told again next time
constexpr uint32_t kSegmentNumberMax = 10'000'000;
constexpr uint64_t kCopyOctets = 1024 * 1024;
constexpr std::string_view kSegmentSuffix = ".log";

std::optional<uint32_t> segment_number(std::string_view name) {
    if (!name.ends_with(kSegmentSuffix)) return std::nullopt;
    name.remove_suffix(kSegmentSuffix.size());
    uint32_t number = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    if (number > kSegmentNumberMax) return std::nullopt;
    return number;
}

Task<world::DiskResult<std::unique_ptr<world::File>>> open_patiently(world::World& world,
                                                                     const std::string& path,
                                                                     SpoolImage& image) {
    auto file = co_await world.disk.open(path, world::OpenMode::Read);
    if (!file) co_return std::unexpected(file.error());
    co_return std::make_unique<PatientFile>(std::move(*file), world.clock, image.reads_again);
}

Task<bool> is_zero(world::File& file, uint64_t from, uint64_t to) {
    std::string block(kCopyOctets, '\0');
    while (from < to) {
        auto part = std::span(block).first(std::min<uint64_t>(block.size(), to - from));
        auto got = co_await file.read_at(from, part);
        if (!got) co_return false;
        if (*got == 0) break;
        if (std::any_of(part.begin(), part.begin() + static_cast<std::ptrdiff_t>(*got),
                        [](char c) { return c != '\0'; })) {
            co_return false;
        }
        from += *got;
    }
    co_return true;
}

// The header, or what the first record says in its stead.
Task<SpoolStatus> read_header(world::File& file, SegmentFile& segment) {
    std::string octets(kSegmentHeaderOctets, '\0');
    auto got = co_await file.read_at(0, octets);
    std::optional<SegmentHeader> header;
    if (got && *got == octets.size()) header = decode_segment_header(octets);
    if (header && header->version > kFormatVersion) {
        co_return std::unexpected(
            SpoolError{SpoolError::Kind::NewerVersion,
                       fmt::format("{} has format version {}, this program knows versions up to {}",
                                   segment.path, header->version, kFormatVersion)});
    }
    if (header) {
        segment.header_held = segment.known = true;
        segment.stamp = header->stamp;
        co_return SpoolStatus{};
    }
    if (auto stamp = co_await stamp_of_first_record(file)) {
        segment.known = true;
        segment.stamp = *stamp;
    } else {
        segment.unreadable_whole = !co_await is_zero(file, kSegmentHeaderOctets, segment.size);
    }
    co_return SpoolStatus{};
}

// Where earlier segments ended stands in the first record of each.
Task<void> read_ended(world::File& file, const SegmentFile& segment, SpoolImage& image) {
    std::function<void(const ScannedRecord&)> handle = [&](const ScannedRecord& record) {
        if (record.offset != kSegmentHeaderOctets) return;
        if (record.payload.oldest) image.oldest = std::max(image.oldest, *record.payload.oldest);
        for (const EndedItem& item : record.payload.ended) {
            EndedItem& known = image.ended[item.generation];
            known.generation = item.generation;
            known.end = item.end;
            known.gaps.insert(known.gaps.end(), item.gaps.begin(), item.gaps.end());
        }
    };
    std::string octets(kRecordHeaderOctets, '\0');
    auto got = co_await file.read_at(kSegmentHeaderOctets, octets);
    if (!got || *got < octets.size()) co_return;
    auto header = decode_record_header(octets);
    if (!header || header->stamp != segment.stamp) co_return;
    uint64_t end = kSegmentHeaderOctets + record_octets(header->payload_octets);
    if (end <= segment.size) co_await scan_segment(file, end, segment.stamp, handle);
}

class Replay {
public:
    explicit Replay(SpoolImage& image) : image_(image) {}

    void record(uint32_t segment, const ScannedRecord& record) {
        Place place{segment, record.offset, record.payload_octets};
        for (const MessageItem& item : record.payload.messages) message(item, place);
        for (const RecipientChange& change : record.payload.changes) {
            see(change.id);
            image_.index.change(change);
        }
        for (const AttemptItem& attempt : record.payload.attempts) {
            if (attempt.count == 0) {
                image_.index.add_attempt(attempt.id);
            } else {
                image_.index.set_attempts(attempt.id, attempt.count);
            }
        }
        if (record.payload.oldest) image_.oldest = std::max(image_.oldest, *record.payload.oldest);
        if (!record.payload.highest) return;
        if (image_.report.highest_id < *record.payload.highest) {
            reached(Situation::SpoolHighestIdOutlivedItsRecord);
        }
        see(*record.payload.highest);
    }

private:
    void message(const MessageItem& item, Place place) {
        const Envelope& envelope = item.fields.envelope;
        see(envelope.id);
        if (image_.index.find(envelope.id)) {
            reached(Situation::SpoolMessageFoundTwice);
            image_.index.move(envelope.id, place);
        } else {
            image_.index.add(envelope.id, place, static_cast<uint32_t>(envelope.recipient_count()),
                             item.large.has_value());
        }
    }
    void see(MessageId id) { image_.report.highest_id = std::max(image_.report.highest_id, id); }

    SpoolImage& image_;
};

bool told_before(const EndedItem* known, Gap gap) {
    if (!known) return false;
    return std::any_of(known->gaps.begin(), known->gaps.end(),
                       [&](Gap old) { return old.from <= gap.from && gap.to <= old.to; });
}

bool overlap(Gap a, Gap b) { return a.from < b.to && b.from < a.to; }

// Tells torn from damaged: docs/spool-format.md, "Reading it back".
void judge(SegmentFile& segment, const EndedItem* known, SpoolReport& report) {
    uint32_t floor = known ? known->end : segment.scan.synced_floor;
    std::vector<Gap> suspects = segment.scan.gaps;
    if (known && segment.scan.end < known->end) suspects.push_back({segment.scan.end, known->end});
    for (Gap gap : suspects) {
        if (told_before(known, gap)) continue;
        bool unread = std::any_of(segment.scan.unreadable.begin(), segment.scan.unreadable.end(),
                                  [&](Gap bad) { return overlap(bad, gap); });
        if (gap.from < floor || unread) {
            segment.damage.push_back(gap);
        } else {
            reached(Situation::SpoolTornInTheMiddle);
            report.torn_octets += gap.to - gap.from;
        }
    }
    if (known) return;
    report.torn_octets += segment.scan.torn_after;
    for (Gap bad : segment.scan.unreadable) {
        if (bad.from >= segment.scan.end) segment.damage.push_back(bad);
    }
}

// What the next segment's first record says of this one.
EndedItem ended_item(const SegmentFile& segment, const EndedItem* known) {
    EndedItem item{segment.stamp.generation, segment.scan.end, segment.scan.gaps};
    if (known && known->end > item.end) {
        item.gaps.push_back({item.end, known->end});
        item.end = known->end;
    }
    if (item.gaps.size() > kGapsToldMax) item.gaps.resize(kGapsToldMax);
    return item;
}

Task<SpoolResult<std::vector<SegmentFile>>> list_segments(world::World& world,
                                                          const std::string& directory,
                                                          SpoolImage& image) {
    std::vector<SegmentFile> out;
    auto names = co_await world.disk.list(segments_path(directory));
    if (!names) co_return std::unexpected(from_disk(names.error()));
    for (const world::DirectoryEntry& entry : *names) {
        auto number = segment_number(entry.name);
        if (!number) continue;
        SegmentFile segment;
        segment.number = *number;
        segment.path = segments_path(directory) + "/" + entry.name;
        auto file = co_await open_patiently(world, segment.path, image);
        if (!file) co_return std::unexpected(from_disk(file.error()));
        auto size = co_await (*file)->size();
        if (!size) co_return std::unexpected(from_disk(size.error()));
        segment.size = std::min(*size, kSegmentOctetsMax);
        auto read = co_await read_header(**file, segment);
        if (!read) co_return std::unexpected(read.error());
        if (segment.known) co_await read_ended(**file, segment, image);
        image.number_max = std::max(image.number_max, segment.number);
        image.generation_max = std::max(image.generation_max, segment.stamp.generation);
        out.push_back(std::move(segment));
    }
    std::sort(out.begin(), out.end(), [](const SegmentFile& a, const SegmentFile& b) {
        return a.stamp.generation < b.stamp.generation;
    });
    co_return out;
}

Task<SpoolStatus> scan_and_replay(world::World& world, SegmentFile& segment, SpoolImage& image) {
    auto file = co_await open_patiently(world, segment.path, image);
    if (!file) co_return std::unexpected(from_disk(file.error()));
    auto known = image.ended.find(segment.stamp.generation);
    uint64_t limit = segment.size;
    if (known != image.ended.end()) limit = std::min<uint64_t>(limit, known->second.end);
    Replay replay(image);
    std::function<void(const ScannedRecord&)> handle = [&](const ScannedRecord& record) {
        replay.record(segment.number, record);
    };
    segment.scan = co_await scan_segment(**file, limit, segment.stamp, handle);
    co_return SpoolStatus{};
}

void add_damage(SpoolReport& report, const SegmentFile& segment, Gap gap, std::string reason) {
    report.damage.push_back({segment.path, gap.from, gap.to - gap.from, {}, std::move(reason)});
}

// Sorts the segments into those that count and those that are free, and judges each.
void sort_out(std::vector<SegmentFile> segments, SpoolImage& image) {
    SpoolReport& report = image.report;
    for (SegmentFile& segment : segments) {
        auto it = image.ended.find(segment.stamp.generation);
        const EndedItem* known = it == image.ended.end() ? nullptr : &it->second;
        bool counts = segment.known && segment.stamp.generation >= image.oldest;
        if (segment.unreadable_whole) {
            add_damage(report, segment, {0, static_cast<uint32_t>(segment.size)},
                       "neither the segment's header nor its first record holds");
        } else if (counts) {
            judge(segment, known, report);
            for (Gap gap : segment.damage) {
                add_damage(report, segment, gap, "no valid record where one was durable");
            }
            if (!segment.header_held) {
                add_damage(report, segment, {0, kSegmentHeaderOctets},
                           "the segment's header does not hold; its records were read");
            }
        }
        if (counts && segment.scan.records > 0) {
            if (!known || !segment.damage.empty())
                image.to_tell.push_back(ended_item(segment, known));
            report.records += segment.scan.records;
            image.in_use.push_back(std::move(segment));
        } else {
            image.free.push_back(std::move(segment));
        }
    }
}

// Ended items of segments that should be there and are not.
void tell_missing(SpoolImage& image) {
    for (const auto& [generation, item] : image.ended) {
        if (generation < image.oldest || item.end <= kSegmentHeaderOctets) continue;
        auto is_it = [&](const SegmentFile& file) { return file.stamp.generation == generation; };
        if (std::any_of(image.in_use.begin(), image.in_use.end(), is_it) ||
            std::any_of(image.free.begin(), image.free.end(), is_it)) {
            continue;
        }
        image.report.damage.push_back(
            {fmt::format("generation {}", generation), 0, item.end, {}, "the segment is missing"});
    }
}

// What lies in segments that are free by now was finished, even if the record that says so is gone.
void drop_outlived(SpoolImage& image) {
    std::map<uint32_t, bool> in_use;
    for (const SegmentFile& segment : image.in_use) in_use[segment.number] = true;
    for (MessageId id : image.index.ids()) {
        if (!in_use.contains(image.index.find(id)->place.segment)) image.index.forget(id);
    }
}

Task<SpoolStatus> look_at_large(world::World& world, const std::string& directory,
                                SpoolImage& image) {
    auto names = co_await world.disk.list(large_path(directory));
    if (!names && names.error().kind != world::DiskError::Kind::NotFound) {
        co_return std::unexpected(from_disk(names.error()));
    }
    std::vector<MessageId> found;
    if (names) {
        for (const world::DirectoryEntry& entry : *names) {
            auto id = MessageId::parse(entry.name);
            auto known = id ? image.index.find(*id) : std::nullopt;
            if (known && known->large) {
                found.push_back(*id);
            } else {
                image.report.large_unreferenced.push_back(entry.name);
            }
        }
    }
    std::sort(found.begin(), found.end());
    image.report.large_files = found.size();
    for (MessageId id : image.index.ids()) {
        if (!image.index.find(id)->large) continue;
        if (!std::binary_search(found.begin(), found.end(), id)) {
            image.report.large_missing.push_back(id.text());
        }
    }
    co_return SpoolStatus{};
}

void sum_up(SpoolImage& image) {
    SpoolReport& report = image.report;
    report.segments = image.in_use.size() + image.free.size();
    report.segments_in_use = image.in_use.size();
    report.live_messages = image.index.size();
    for (MessageId id : image.index.ids()) {
        for (const Standing& standing : image.index.standings(id)) {
            if (!is_final(standing.state)) ++report.waiting_recipients;
        }
    }
    if (image.in_use.empty()) {
        report.clean_stop = image.report.damage.empty();
        return;
    }
    report.generation_first = image.in_use.front().stamp.generation;
    report.generation_last = image.in_use.back().stamp.generation;
    const SegmentScan& last = image.in_use.back().scan;
    report.clean_stop =
        last.last_type == static_cast<uint8_t>(RecordType::Closed) && report.torn_octets == 0;
}

// What was read behind the last known sync may lie in the system's memory alone: the process was
// killed, not the machine, or a sync failed and the system took the octets for written. The next
// record will promise that they are durable, so the same octets are written once more and synced.
Task<SpoolStatus> make_tail_durable(world::World& world, const SegmentFile& segment) {
    auto file = co_await world.disk.open(segment.path, world::OpenMode::ReadWrite);
    if (!file) co_return std::unexpected(from_disk(file.error()));
    uint64_t from = std::max(segment.scan.synced_floor, kSegmentHeaderOctets);
    std::string block;
    for (; from < segment.scan.end; from += block.size()) {
        block.assign(std::min<uint64_t>(kCopyOctets, segment.scan.end - from), '\0');
        auto got = co_await (*file)->read_at(from, block);
        if (!got) break;  // told as damage; there is nothing to write again
        std::string_view piece = block;
        auto written = co_await (*file)->write_at(from, std::span(&piece, 1));
        if (!written) co_return std::unexpected(from_disk(written.error()));
    }
    auto synced = co_await (*file)->sync();
    if (!synced) co_return std::unexpected(from_disk(synced.error()));
    co_return SpoolStatus{};
}

}  // namespace

Task<SpoolResult<SpoolImage>> read_spool(world::World& world, const std::string& directory) {
    SpoolImage image;
    auto segments = co_await list_segments(world, directory, image);
    if (!segments) co_return std::unexpected(segments.error());
    // Segments below the oldest that counts must not be read at all: what says where they ended may
    // be gone already, and a void change in them would be taken for a true one. Which is the oldest
    // is known for certain when all is read; it only rises, so this ends.
    for (bool again = true; again;) {
        uint64_t from = image.oldest;
        image.index = Index();
        for (SegmentFile& segment : *segments) {
            if (!segment.known || segment.stamp.generation < from) continue;
            auto scanned = co_await scan_and_replay(world, segment, image);
            if (!scanned) co_return std::unexpected(scanned.error());
        }
        again = std::any_of(segments->begin(), segments->end(), [&](const SegmentFile& segment) {
            return segment.known && segment.stamp.generation >= from &&
                   segment.stamp.generation < image.oldest;
        });
        if (again) reached(Situation::SpoolOldestFoundLate);
    }
    sort_out(std::move(*segments), image);
    tell_missing(image);
    drop_outlived(image);
    auto large = co_await look_at_large(world, directory, image);
    if (!large) co_return std::unexpected(large.error());
    sum_up(image);
    co_return image;
}

Task<SpoolResult<std::string>> keep_damaged(world::World& world, std::string directory,
                                            std::string name, std::string path, uint64_t offset,
                                            uint64_t octets, std::string reason) {
    std::string kept = damaged_path(directory) + "/" + name;
    auto made = co_await world.disk.make_directories(damaged_path(directory));
    if (!made) co_return std::unexpected(from_disk(made.error()));
    auto to = co_await world.disk.open(kept + ".bytes", world::OpenMode::Create);
    if (!to) co_return std::unexpected(from_disk(to.error()));
    auto from = co_await world.disk.open(path, world::OpenMode::Read);
    std::string block;
    for (uint64_t done = 0; from && done < octets; done += block.size()) {
        block.assign(std::min(kCopyOctets, octets - done), '\0');
        (void)co_await (*from)->read_at(offset + done, block);  // what cannot be read stays zero
        std::string_view piece = block;
        auto written = co_await (*to)->write_at(done, std::span(&piece, 1));
        if (!written) co_return std::unexpected(from_disk(written.error()));
    }
    auto text = co_await world.disk.open(kept + ".txt", world::OpenMode::Create);
    if (!text) co_return std::unexpected(from_disk(text.error()));
    std::string words = fmt::format("from: {}\noffset: {}\noctets: {}\nreason: {}\nat: {}\n", path,
                                    offset, octets, reason, world.clock.wall().seconds());
    std::string_view piece = words;
    auto written = co_await (*text)->write_at(0, std::span(&piece, 1));
    if (written) written = co_await (*text)->sync();
    if (written) written = co_await (*to)->sync();
    if (written) written = co_await world.disk.sync_directory(damaged_path(directory));
    if (!written) co_return std::unexpected(from_disk(written.error()));
    co_return kept + ".bytes";
}

Task<SpoolStatus> settle(world::World& world, const std::string& directory, SpoolImage& image) {
    for (Damage& damage : image.report.damage) {
        std::string name =
            fmt::format("{}-{}", damage.path.substr(damage.path.rfind('/') + 1), damage.offset);
        auto kept = co_await keep_damaged(world, directory, std::move(name), damage.path,
                                          damage.offset, damage.octets, damage.reason);
        if (kept) damage.kept_as = *kept;  // without space for a copy it is told all the same
    }
    for (const EndedItem& item : image.to_tell) {
        for (const SegmentFile& segment : image.in_use) {
            if (segment.stamp.generation != item.generation) continue;
            auto durable = co_await make_tail_durable(world, segment);
            if (!durable) co_return durable;
        }
    }
    // A segment that was being made when the process was killed is seen, but its name may not be
    // durable yet; it will be used again.
    auto names = co_await world.disk.sync_directory(segments_path(directory));
    if (!names) co_return std::unexpected(from_disk(names.error()));
    bool keep = !image.report.damage.empty();
    for (const std::string& name : image.report.large_unreferenced) {
        std::string path = large_path(directory) + "/" + name;
        auto done = keep ? co_await world.disk.rename(path, damaged_path(directory) + "/" + name)
                         : co_await world.disk.remove(path);
        if (!done) co_return std::unexpected(from_disk(done.error()));
        if (!keep) reached(Situation::SpoolLargeFileLeft);
        world.log.write(Event::LargeFileLeft,
                        {{"path", std::string_view(path)},
                         {"done", std::string_view(keep ? "kept" : "removed")}});
    }
    if (keep && !image.report.large_unreferenced.empty()) {
        auto synced = co_await world.disk.sync_directory(damaged_path(directory));
        if (!synced) co_return std::unexpected(from_disk(synced.error()));
    }
    co_return SpoolStatus{};
}

std::string segments_path(const std::string& directory) { return directory + "/segments"; }
std::string segment_path(const std::string& directory, uint32_t number) {
    return fmt::format("{}/segments/{:08}.log", directory, number);
}
std::string large_path(const std::string& directory) { return directory + "/large"; }
std::string large_path(const std::string& directory, MessageId id) {
    return directory + "/large/" + id.text();
}
std::string damaged_path(const std::string& directory) { return directory + "/damaged"; }

}  // namespace postrider::spool
