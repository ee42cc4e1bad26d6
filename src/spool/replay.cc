#include "spool/replay.h"

#include <algorithm>
#include <unordered_set>

#include "base/situation.h"

namespace postrider::spool {

namespace {

bool told_before(const EndedItem& known, Gap gap) {
    return std::any_of(known.gaps.begin(), known.gaps.end(),
                       [&](Gap old) { return old.from <= gap.from && gap.to <= old.to; });
}

}  // namespace

Replay::Replay(world::World& world, const SpoolImage& image)
    : report(image.report),
      world_(world),
      image_(image),
      damage_before_(image.report.damage.size()) {}

Task<SpoolStatus> Replay::read(const SegmentFile& segment) {
    const EndedItem& known = image_.ended.at(segment.stamp.generation);
    auto file = co_await open_patiently(world_, segment.path, reads_again_);
    if (!file) co_return std::unexpected(from_disk(file.error()));
    std::function<void(const ScannedRecord&)> handle = [&](const ScannedRecord& record) {
        note(segment.number, record);
    };
    uint64_t limit = std::min<uint64_t>(segment.size, known.end);
    SegmentScan scan = co_await scan_segment(**file, limit, segment.stamp, handle);
    report.records += scan.records;
    // All before its end was durable.
    if (scan.end < known.end) scan.gaps.push_back({scan.end, known.end});
    EndedItem more{known.generation, known.end, {}};
    for (Gap gap : scan.gaps) {
        if (told_before(known, gap)) continue;
        report.damage.push_back(
            {segment.path, gap.from, gap.to - gap.from, {}, std::string(kNoRecord)});
        if (more.gaps.size() < kGapsToldMax) more.gaps.push_back(gap);
    }
    if (!more.gaps.empty()) to_tell.push_back(std::move(more));
    co_return SpoolStatus{};
}

void Replay::note(uint32_t segment, const ScannedRecord& record) {
    Place place{segment, record.offset, record.payload_octets};
    for (const MessageItem& item : record.payload.messages) note_message(item, place);
    for (const RecipientChange& change : record.payload.changes) {
        see(change.id);
        index.change(change);
    }
    for (const AttemptItem& attempt : record.payload.attempts) {
        if (attempt.count == 0) {
            index.add_attempt(attempt.id);
        } else {
            index.set_attempts(attempt.id, attempt.count);
        }
    }
}

void Replay::note_message(const MessageItem& item, Place place) {
    const Envelope& envelope = item.fields.envelope;
    see(envelope.id);
    if (index.find(envelope.id)) {
        reached(Situation::SpoolMessageFoundTwice);
        index.move(envelope.id, place);
    } else {
        index.add(envelope.id, place, static_cast<uint32_t>(envelope.recipient_count()),
                  item.large.has_value());
    }
}

void Replay::finish() {
    if (highest_seen_ < image_.report.highest_id) {
        reached(Situation::SpoolHighestIdOutlivedItsRecord);
    }
    std::unordered_set<MessageId> found;
    for (const std::string& name : image_.large_names) {
        auto id = MessageId::parse(name);
        auto known = id ? index.find(*id) : std::nullopt;
        if (known && known->large) {
            found.insert(*id);
        } else {
            report.large_unreferenced.push_back(name);
        }
    }
    report.large_files = found.size();
    report.live_messages = index.size();
    report.waiting_recipients = 0;
    messages.reserve(index.size());
    index.visit([&](MessageId id, const Index::Known& known) {
        messages.push_back({id, known.unfinished_attempts});
        SegmentShare& share = shares[known.place.segment];
        ++share.messages;
        share.octets += record_octets(known.place.payload_octets);
        report.waiting_recipients += known.waiting;
        if (known.large && !found.contains(id)) report.large_missing.push_back(id.text());
    });
    std::ranges::sort(messages, {}, &RecoveredMessage::id);
    std::ranges::sort(report.large_missing);
}

Task<SpoolStatus> Replay::settle(const std::string& directory) {
    co_await keep_all_damaged(world_, directory, std::span(report.damage).subspan(damage_before_));
    bool keep = !report.damage.empty();
    for (const std::string& name : report.large_unreferenced) {
        std::string path = large_path(directory) + "/" + name;
        auto done = keep ? co_await world_.disk.rename(path, damaged_path(directory) + "/" + name)
                         : co_await world_.disk.remove(path);
        bool gone = !done && done.error().kind == world::DiskError::Kind::NotFound;
        if (gone) continue;  // a replay before this one did it
        if (!done) co_return std::unexpected(from_disk(done.error()));
        if (!keep) reached(Situation::SpoolLargeFileLeft);
        world_.log.write(Event::LargeFileLeft,
                         {{"path", std::string_view(path)},
                          {"done", std::string_view(keep ? "kept" : "removed")}});
    }
    if (keep && !report.large_unreferenced.empty()) {
        auto synced = co_await world_.disk.sync_directory(damaged_path(directory));
        if (!synced) co_return std::unexpected(from_disk(synced.error()));
    }
    co_return SpoolStatus{};
}

}  // namespace postrider::spool
