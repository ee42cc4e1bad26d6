#include "spool/recovery.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ranges>

#include "base/situation.h"

namespace postrider::spool {

namespace {

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

// Which ids were given out, and which segments count.
void note_floors(const Payload& payload, SpoolImage& image) {
    MessageId& highest = image.report.highest_id;
    for (const MessageItem& item : payload.messages) {
        highest = std::max(highest, item.fields.envelope.id);
    }
    for (const RecipientChange& change : payload.changes) highest = std::max(highest, change.id);
    if (payload.highest) highest = std::max(highest, *payload.highest);
    if (payload.oldest) image.oldest = std::max(image.oldest, *payload.oldest);
}

// Where earlier segments ended stands in the first record of each.
Task<void> read_ended(world::File& file, const SegmentFile& segment, SpoolImage& image) {
    std::function<void(const ScannedRecord&)> handle = [&](const ScannedRecord& record) {
        if (record.offset != kSegmentHeaderOctets) return;
        note_floors(record.payload, image);
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
        auto file = co_await open_patiently(world, segment.path, image.reads_again);
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

void add_damage(SpoolReport& report, const SegmentFile& segment, Gap gap, std::string reason) {
    report.damage.push_back({segment.path, gap.from, gap.to - gap.from, {}, std::move(reason)});
}

bool overlap(Gap a, Gap b) { return a.from < b.to && b.from < a.to; }

// Tells torn from damaged: docs/spool-format.md, "Reading it back".
void judge(const SegmentFile& segment, SpoolReport& report) {
    for (Gap gap : segment.scan.gaps) {
        bool unread = std::any_of(segment.scan.unreadable.begin(), segment.scan.unreadable.end(),
                                  [&](Gap bad) { return overlap(bad, gap); });
        if (gap.from < segment.scan.synced_floor || unread) {
            add_damage(report, segment, gap, std::string(kNoRecord));
        } else {
            reached(Situation::SpoolTornInTheMiddle);
            report.torn_octets += gap.to - gap.from;
        }
    }
    report.torn_octets += segment.scan.torn_after;
    for (Gap bad : segment.scan.unreadable) {
        if (bad.from >= segment.scan.end) add_damage(report, segment, bad, std::string(kNoRecord));
    }
}

// Finds out where a segment ended of which no later one says so.
Task<SpoolStatus> find_end(world::World& world, SegmentFile& segment, SpoolImage& image) {
    auto file = co_await open_patiently(world, segment.path, image.reads_again);
    if (!file) co_return std::unexpected(from_disk(file.error()));
    std::function<void(const ScannedRecord&)> handle = [&](const ScannedRecord& record) {
        note_floors(record.payload, image);
    };
    segment.scan = co_await scan_segment(**file, segment.size, segment.stamp, handle);
    segment.unended = true;
    co_return SpoolStatus{};
}

// The newest first: each may say that older ones do not count, and those must not be looked at;
// what says where they ended may be gone already.
Task<SpoolStatus> find_ends(world::World& world, std::vector<SegmentFile>& segments,
                            SpoolImage& image) {
    uint64_t told = image.oldest;
    for (SegmentFile& segment : std::views::reverse(segments)) {
        uint64_t generation = segment.stamp.generation;
        if (!segment.known || generation < image.oldest || image.ended.contains(generation)) {
            continue;
        }
        auto found = co_await find_end(world, segment, image);
        if (!found) co_return found;
    }
    bool late = std::ranges::any_of(segments, [&](const SegmentFile& segment) {
        uint64_t generation = segment.stamp.generation;
        return segment.known && told <= generation && generation < image.oldest;
    });
    if (late) reached(Situation::SpoolOldestFoundLate);
    co_return SpoolStatus{};
}

// Sorts the segments into those that may hold what counts and those that are free.
void sort_out(std::vector<SegmentFile> segments, SpoolImage& image) {
    SpoolReport& report = image.report;
    for (SegmentFile& segment : segments) {
        bool counts = segment.known && segment.stamp.generation >= image.oldest;
        if (segment.unreadable_whole) {
            add_damage(report, segment, {0, static_cast<uint32_t>(segment.size)},
                       "neither the segment's header nor its first record holds");
        } else if (counts) {
            if (segment.unended) judge(segment, report);
            if (!segment.header_held) {
                add_damage(report, segment, {0, kSegmentHeaderOctets},
                           "the segment's header does not hold; its records were read");
            }
        }
        if (counts && segment.unended && segment.scan.records > 0) {
            EndedItem item{segment.stamp.generation, segment.scan.end, segment.scan.gaps};
            image.ended[item.generation] = item;
            if (item.gaps.size() > kGapsToldMax) item.gaps.resize(kGapsToldMax);
            image.to_tell.push_back(std::move(item));
        }
        auto known = image.ended.find(segment.stamp.generation);
        if (counts && known != image.ended.end() && known->second.end > kSegmentHeaderOctets) {
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

void sum_up(SpoolImage& image) {
    SpoolReport& report = image.report;
    report.segments = image.in_use.size() + image.free.size();
    report.segments_in_use = image.in_use.size();
    if (image.in_use.empty()) {
        report.clean_stop = report.damage.empty();
        return;
    }
    report.generation_first = image.in_use.front().stamp.generation;
    report.generation_last = image.in_use.back().stamp.generation;
    const SegmentScan& last = image.in_use.back().scan;
    report.clean_stop =
        last.last_type == static_cast<uint8_t>(RecordType::Closed) && report.torn_octets == 0;
}

Task<SpoolStatus> list_large(world::World& world, const std::string& directory, SpoolImage& image) {
    auto names = co_await world.disk.list(large_path(directory));
    if (!names && names.error().kind != world::DiskError::Kind::NotFound) {
        co_return std::unexpected(from_disk(names.error()));
    }
    if (!names) co_return SpoolStatus{};
    for (world::DirectoryEntry& entry : *names) image.large_names.push_back(std::move(entry.name));
    co_return SpoolStatus{};
}

}  // namespace

Task<world::DiskResult<std::unique_ptr<world::File>>> open_patiently(world::World& world,
                                                                     const std::string& path,
                                                                     int& reads_again) {
    auto file = co_await world.disk.open(path, world::OpenMode::Read);
    if (!file) co_return std::unexpected(file.error());
    co_return std::make_unique<PatientFile>(std::move(*file), world.clock, reads_again);
}

Task<SpoolResult<SpoolImage>> read_ends(world::World& world, const std::string& directory) {
    SpoolImage image;
    auto segments = co_await list_segments(world, directory, image);
    if (!segments) co_return std::unexpected(segments.error());
    auto found = co_await find_ends(world, *segments, image);
    if (!found) co_return std::unexpected(found.error());
    sort_out(std::move(*segments), image);
    tell_missing(image);
    auto listed = co_await list_large(world, directory, image);
    if (!listed) co_return std::unexpected(listed.error());
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

Task<void> keep_all_damaged(world::World& world, const std::string& directory,
                            std::span<Damage> all) {
    for (Damage& damage : all) {
        std::string name =
            fmt::format("{}-{}", damage.path.substr(damage.path.rfind('/') + 1), damage.offset);
        auto kept = co_await keep_damaged(world, directory, std::move(name), damage.path,
                                          damage.offset, damage.octets, damage.reason);
        if (kept) damage.kept_as = *kept;  // without space for a copy it is told all the same
    }
}

Task<SpoolStatus> settle_ends(world::World& world, const std::string& directory,
                              SpoolImage& image) {
    co_await keep_all_damaged(world, directory, image.report.damage);
    for (const SegmentFile& segment : image.in_use) {
        if (!segment.unended) continue;
        auto durable = co_await make_tail_durable(world, segment);
        if (!durable) co_return durable;
    }
    // A segment that was being made when the process was killed is seen, but its name may not be
    // durable yet; it will be used again.
    auto names = co_await world.disk.sync_directory(segments_path(directory));
    if (!names) co_return std::unexpected(from_disk(names.error()));
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
