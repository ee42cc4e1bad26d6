// How a life of the spool begins: commits as soon as the log's end is known, what earlier lives
// left behind that.

#include <algorithm>
#include <cassert>

#include "base/situation.h"
#include "spool/core.h"

namespace postrider::spool {

namespace {

constexpr uint64_t kIdsOfADay = (24 * 3600 * 1'000'000ull) << 8;  // see id.h
constexpr std::size_t kGapsInOneRecordMax = 1024;
constexpr Duration kSlowRead = std::chrono::milliseconds(500);  // of one segment, when forced
constexpr int kSlowReadsMax = 2;

void tell_ends(const SpoolReport& report) {
    if (report.segments_in_use > 0) {
        reached(report.clean_stop ? Situation::SpoolCleanStop : Situation::SpoolUncleanStop);
    }
    if (report.torn_octets > 0) reached(Situation::SpoolTornTail);
    if (!report.damage.empty()) reached(Situation::SpoolDamageAtStart);
}

}  // namespace

Task<SpoolStatus> Core::start(SpoolReport& out) {
    auto opened = co_await world_.worker.run(open_directory());
    if (!opened) co_return opened;
    auto image = co_await world_.worker.run(read_ends(world_, options_.directory));
    if (!image) co_return std::unexpected(image.error());
    SpoolReport& report = image->report;
    // What could not be read may have held a higher id than all that was read, and the wall clock
    // may have been set back since. By chance, since a skip of an earlier start may be lost too.
    if (!report.damage.empty()) {
        uint16_t chance = 0;
        world_.random.fill(std::as_writable_bytes(std::span(&chance, 1)));
        report.highest_id.value += kIdsOfADay + kIdsOfADay / 256 * chance;
    }
    auto settled = co_await world_.worker.run(settle_ends(world_, options_.directory, *image));
    if (!settled) co_return settled;
    tell_ends(report);
    log_damage(report.damage);
    unread_ = std::make_unique<SpoolImage>(*std::move(image));
    auto begun = co_await begin_log();
    if (!begun) co_return begun;
    out = unread_->report;
    world_.log.write(Event::SpoolOpened,
                     {{"segments", static_cast<int64_t>(out.segments_in_use)},
                      {"torn", static_cast<int64_t>(out.torn_octets)},
                      {"clean", std::string_view(out.clean_stop ? "yes" : "no")}});
    co_return SpoolStatus{};
}

Task<SpoolStatus> Core::open_directory() {
    world::Disk& disk = world_.disk;
    for (const std::string& path :
         {options_.directory, segments_path(options_.directory), large_path(options_.directory)}) {
        auto made = co_await disk.make_directories(path);
        if (!made) co_return std::unexpected(from_disk(made.error()));
    }
    auto lock = co_await disk.lock(options_.directory + "/lock");
    if (!lock) {
        SpoolError error = from_disk(lock.error());
        if (error.kind == SpoolError::Kind::Locked) {
            error.message = options_.directory + " is in use by another process";
        }
        co_return std::unexpected(std::move(error));
    }
    lock_ = *std::move(lock);
    co_return SpoolStatus{};
}

// Writes the first record of this life, into a fresh segment.
Task<SpoolStatus> Core::begin_log() {
    unended_ = unread_->to_tell;
    highest_id_ = unread_->report.highest_id;
    // Gaps that would not fit are told as damage again at the next start.
    std::size_t gaps = 0;
    for (EndedItem& item : unended_) {
        if ((gaps += item.gaps.size()) > kGapsInOneRecordMax) item.gaps.clear();
    }
    co_await world_.worker.run(give_back_unused());
    segments_.start(*unread_);
    segments_.announce_preparing();
    segments_.want_at_once();
    auto prepared = co_await segments_.prepare();
    if (!prepared) co_return prepared;
    Pending nothing;  // has no record of its own: the group's Ended record is what is waited for
    co_await submit(nothing);
    start_preparing();
    co_return nothing.result;
}

// Lives that end before all is read cannot free anything, and each begins a segment: what they left
// unused is given back, so that many of them in a row do not take a whole segment's space each.
Task<void> Core::give_back_unused() {
    if (unread_->in_use.size() <= static_cast<std::size_t>(options_.segments_before_moving)) {
        co_return;
    }
    for (SegmentFile& segment : unread_->in_use) {
        uint64_t end = unread_->ended.at(segment.stamp.generation).end;
        // Of the last one it is not durable yet where it ended.
        if (segment.unended || end * 2 > segment.size) continue;
        uint64_t size = (end + world::kBlockOctets - 1) / world::kBlockOctets * world::kBlockOctets;
        auto file = co_await world_.disk.open(segment.path, world::OpenMode::ReadWrite);
        if (file && co_await (*file)->truncate(size)) segment.size = size;
    }
}

Task<SpoolResult<Recovered>> Core::recover() {
    assert(world_.executor.current_shard() == owner_ && unread_ && !recovering_);
    recovering_ = true;
    auto recovered = co_await replay_all();
    recovering_ = false;
    still_.notify_all();
    co_return recovered;
}

Task<SpoolResult<Recovered>> Core::replay_all() {
    Replay replay(world_, *unread_);
    int slow = 0;
    for (const SegmentFile& segment : unread_->in_use) {
        if (closing_) break;
        if (slow < kSlowReadsMax && forced(Switch::SpoolIsReadSlowly)) {
            slow++;
            co_await world_.clock.sleep_for(kSlowRead);
        }
        auto read = co_await world_.worker.run(replay.read(segment));
        if (!read) co_return std::unexpected(read.error());
    }
    if (closing_) {
        co_return std::unexpected(SpoolError{SpoolError::Kind::Closed, "the spool is closed"});
    }
    auto conclude = [](Replay& read, const std::string& directory) -> Task<SpoolStatus> {
        read.finish();
        co_return co_await read.settle(directory);
    };
    auto settled = co_await world_.worker.run(conclude(replay, options_.directory));
    if (!settled) co_return std::unexpected(settled.error());
    auto fresh = std::span(replay.report.damage).subspan(unread_->report.damage.size());
    if (!fresh.empty()) reached(Situation::SpoolDamageAtStart);
    log_damage(fresh);
    adopt(replay);
    Recovered out{std::move(replay.messages), std::move(replay.report)};
    tell_recovered(out);
    co_return out;
}

void Core::tell_recovered(const Recovered& recovered) {
    const SpoolReport& report = recovered.report;
    if (!report.large_missing.empty()) reached(Situation::SpoolLargeFileMissing);
    auto was_tried = [](const RecoveredMessage& one) { return one.unfinished_attempts > 0; };
    if (std::ranges::any_of(recovered.messages, was_tried)) {
        reached(Situation::SpoolUnfinishedAttempt);
    }
    world_.log.write(Event::SpoolRecovered,
                     {{"live", static_cast<int64_t>(report.live_messages)},
                      {"recipients", static_cast<int64_t>(report.waiting_recipients)},
                      {"records", static_cast<int64_t>(report.records)}});
}

void Core::log_damage(std::span<const Damage> damage) {
    for (const Damage& one : damage) {
        world_.log.write(Event::SpoolDamage, {{"path", std::string_view(one.path)},
                                              {"offset", static_cast<int64_t>(one.offset)},
                                              {"octets", static_cast<int64_t>(one.octets)},
                                              {"kept", std::string_view(one.kept_as)},
                                              {"reason", std::string_view(one.reason)}});
    }
}

// What earlier lives left joins what was stored since; from here on all segments are alike.
void Core::adopt(Replay& replay) {
    for (const auto& [number, share] : replay.shares) {
        Segment* segment = segments_.by_number(number);
        assert(segment && segment->unread);
        segment->live_messages = share.messages;
        segment->live_octets = share.octets;
        stats_.live_octets += share.octets;
    }
    if (index_.size() > 0) reached(Situation::SpoolStoredWhileRecovering);
    replay.index.take_over(index_);
    index_ = std::move(replay.index);
    unended_.insert(unended_.end(), replay.to_tell.begin(), replay.to_tell.end());
    unread_.reset();
    segments_.all_read();
    tend();
    kick();
}

}  // namespace postrider::spool
