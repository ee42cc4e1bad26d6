#include "spool/segments.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "base/situation.h"

namespace postrider::spool {

namespace {

constexpr Duration kPauseMin = std::chrono::milliseconds(500);
constexpr Duration kPauseMax = std::chrono::seconds(30);
constexpr std::size_t kZerosOctets = 1024 * 1024;
constexpr std::size_t kFreeKept = 2;  // beside the prepared ones

std::unique_ptr<Segment> segment_of(const SegmentFile& file) {
    auto segment = std::make_unique<Segment>();
    segment->number = file.number;
    segment->path = file.path;
    segment->stamp = file.stamp;
    segment->octets = file.size;
    return segment;
}

std::string_view zeros() {
    alignas(world::kBlockOctets) static char octets[kZerosOctets];  // as they are: never written
    return {octets, kZerosOctets};
}

}  // namespace

void Segments::start(const SpoolImage& image) {
    next_generation_ = std::max(image.generation_max, image.oldest) + 1;
    next_number_ = image.number_max + 1;
    for (const SegmentFile& file : image.in_use) {
        auto segment = segment_of(file);
        segment->append_at = segment->durable_end = image.ended.at(file.stamp.generation).end;
        segment->unread = true;
        append(std::move(segment));
    }
    for (const SegmentFile& file : image.free) {
        bool same = file.size == options_.segment_octets;
        if (same && free_.size() < wanted() + kFreeKept) {
            free_.push_back(segment_of(file));
        } else {
            surplus_.push_back(file.path);
        }
    }
}

void Segments::all_read() {
    for (auto& segment : log_) segment->unread = false;
}

Segment* Segments::by_number(uint32_t number) {
    return number < by_number_.size() ? by_number_[number] : nullptr;
}

Segment* Segments::take(bool for_messages) {
    if (!has_ready(for_messages)) return nullptr;
    if (!log_.empty()) log_.back()->file.reset();
    append(std::move(prepared_.front()));
    prepared_.pop_front();
    log_.back()->for_outcomes = prepared_.size() < reserve();
    has_current_ = true;
    return log_.back().get();
}

void Segments::append(std::unique_ptr<Segment> segment) {
    if (by_number_.size() <= segment->number) by_number_.resize(segment->number + 1);
    by_number_[segment->number] = segment.get();
    log_.push_back(std::move(segment));
}

bool Segments::takes_messages() {
    Segment* segment = current();
    if (segment && segment->for_outcomes && reserve_is_whole()) segment->for_outcomes = false;
    return segment ? !segment->for_outcomes : prepared_.size() > reserve();
}

Task<SpoolStatus> Segments::prepare() {
    assert(preparing_);
    auto segment = std::make_unique<Segment>();
    bool recycled = !free_.empty();
    if (recycled) {
        segment = std::move(free_.back());
        free_.pop_back();
    } else {
        segment->number = next_number_++;
        segment->path = segment_path(options_.directory, segment->number);
        segment->octets = options_.segment_octets;
    }
    segment->append_at = segment->durable_end = kSegmentHeaderOctets;
    segment->for_outcomes = false;
    segment->stamp = {next_generation_++, world_.random.next()};
    auto done = co_await world_.worker.run(recycled ? write_header(*segment) : make_file(*segment));
    preparing_ = false;
    wanted_at_once_.store(false, std::memory_order_relaxed);
    if (done) {
        pause_ = {};
        prepared_.push_back(std::move(segment));
        co_return done;
    }
    reached(Situation::SpoolSegmentNotPrepared);
    // A file that could not be made was removed; one that could not be written is not trusted.
    if (recycled) surplus_.push_back(segment->path);
    pause_ = std::clamp(pause_ * 2, kPauseMin, kPauseMax);
    not_before_ = world_.clock.now() + pause_;
    co_return done;
}

Task<SpoolStatus> Segments::write_header(Segment& segment) {
    auto file = co_await world_.disk.open(segment.path, world::OpenMode::ReadWrite);
    if (!file) co_return std::unexpected(from_disk(file.error()));
    std::string header = encode(SegmentHeader{kFormatVersion, segment.stamp, segment.octets});
    std::string_view piece = header;
    auto done = co_await (*file)->write_at(0, std::span(&piece, 1));
    if (done) done = co_await (*file)->sync();
    if (!done) co_return std::unexpected(from_disk(done.error()));
    (*file)->bypass_cache();
    segment.file = *std::move(file);
    co_return SpoolStatus{};
}

Task<SpoolStatus> Segments::make_file(Segment& segment) {
    auto space = co_await world_.disk.space(options_.directory);
    if (!space) co_return std::unexpected(from_disk(space.error()));
    if (space->free_octets < options_.min_free_octets + segment.octets) {
        co_return std::unexpected(
            SpoolError{SpoolError::Kind::Full,
                       fmt::format("{} has {} octets free; {} are kept free and a segment needs {}",
                                   options_.directory, space->free_octets, options_.min_free_octets,
                                   segment.octets)});
    }
    auto file = co_await world_.disk.open(segment.path, world::OpenMode::CreateNew);
    if (!file) co_return std::unexpected(from_disk(file.error()));
    std::string header = encode(SegmentHeader{kFormatVersion, segment.stamp, segment.octets});
    std::string_view piece = header;
    auto done = co_await (*file)->write_at(0, std::span(&piece, 1));
    if (done) done = co_await (*file)->allocate(segment.octets);
    if (done) done = co_await (*file)->sync();
    (*file)->bypass_cache();
    // Piece by piece: a group that is to be synced meanwhile must not wait behind all of it.
    for (uint64_t at = kSegmentHeaderOctets; done && at < segment.octets; at += piece.size()) {
        if (wanted_at_once_.load(std::memory_order_relaxed)) {
            reached(Situation::SpoolSegmentOfSpaceAlone);
            break;
        }
        piece = zeros().substr(0, segment.octets - at);
        done = co_await (*file)->write_at(at, std::span(&piece, 1));
        if (done) done = co_await (*file)->sync();
    }
    if (done) done = co_await world_.disk.sync_directory(segments_path(options_.directory));
    if (!done) {
        file->reset();
        (void)co_await world_.disk.remove(segment.path);
        co_return std::unexpected(from_disk(done.error()));
    }
    segment.file = *std::move(file);
    co_return SpoolStatus{};
}

bool Segments::pop_emptied() {
    bool any = false;
    auto is_empty = [this](const Segment& segment) {
        return &segment != current() && segment.live_messages == 0 && !segment.unread;
    };
    while (!log_.empty() && is_empty(*log_.front())) {
        by_number_[log_.front()->number] = nullptr;
        emptied_.push_back(std::move(log_.front()));
        log_.pop_front();
        emptied_.back()->file.reset();
        any = true;
    }
    return any;
}

uint64_t Segments::oldest() const {
    assert(!log_.empty());
    return log_.front()->stamp.generation;
}

void Segments::forget_before(uint64_t generation) {
    for (auto& segment : emptied_) {
        if (segment->stamp.generation >= generation) continue;
        bool reuse = !segment->failed && segment->octets == options_.segment_octets;
        if (!wants_more() && forced(Switch::SpoolSegmentNotReused)) reuse = false;
        if (reuse && free_.size() < (wants_more() ? wanted() : 0) + kFreeKept) {
            free_.push_back(std::move(segment));
        } else {
            surplus_.push_back(segment->path);
            segment.reset();
        }
    }
    std::erase(emptied_, nullptr);
}

std::vector<std::string> Segments::take_surplus() { return std::exchange(surplus_, {}); }

std::size_t Segments::file_count() const {
    return log_.size() + prepared_.size() + emptied_.size() + free_.size() + (preparing_ ? 1 : 0);
}

}  // namespace postrider::spool
