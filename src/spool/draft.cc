#include "spool/draft.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "base/limits.h"
#include "base/situation.h"
#include "spool/bytes.h"
#include "spool/core.h"

namespace postrider::spool {

namespace {

// Free space is asked for once per this many octets that flow to disk.
constexpr uint64_t kSpaceCheckOctets = 8 * 1024 * 1024;

}  // namespace

Draft::Draft(Draft&& other) noexcept = default;

Draft& Draft::operator=(Draft&& other) noexcept {
    if (this == &other) return *this;
    abandon();
    core_ = std::move(other.core_);
    id_ = other.id_;
    size_ = other.size_;
    has_8bit_ = other.has_8bit_;
    memory_max_ = other.memory_max_;
    memory_ = std::move(other.memory_);
    written_octets_ = other.written_octets_;
    checked_at_octets_ = other.checked_at_octets_;
    file_ = std::move(other.file_);
    large_ = std::move(other.large_);
    return *this;
}

Draft::~Draft() { abandon(); }

void Draft::expect(uint64_t octets) {
    if (octets <= kInlineMessageOctetsMax) memory_.reserve(octets);
}

bool Draft::widen() {
    if (memory_max_ == kWideDraftOctetsMax) return true;
    if (!core_->take_wide_place()) return false;
    memory_max_ = kWideDraftOctetsMax;
    memory_.reserve(memory_max_);
    return true;
}

Task<SpoolStatus> Draft::append(std::string_view octets) {
    assert(core_);
    while (!append_at_once(octets)) {
        std::string_view part = octets.substr(0, memory_max_ - memory_.size());
        if (!part.empty()) (void)append_at_once(part);
        octets.remove_prefix(part.size());
        auto spilled = co_await core_->world().worker.run(spill());
        if (!spilled) co_return spilled;
    }
    co_return SpoolStatus{};
}

bool Draft::append_at_once(std::string_view octets) {
    if (memory_.size() + octets.size() > memory_max_) return false;
    std::size_t needed = memory_.size() + octets.size();
    if (needed > memory_.capacity()) {
        memory_.reserve(std::min(memory_max_, std::max(needed, 2 * memory_.capacity())));
    }
    memory_.append(octets);
    size_ += octets.size();
    has_8bit_ = has_8bit_ || has_high_bit(octets);
    return true;
}

// The message has grown beyond what is kept in memory: all whole blocks go to the file.
Task<SpoolStatus> Draft::spill() {
    world::Disk& disk = core_->world().disk;
    const SpoolOptions& options = core_->options();
    if (!file_ || written_octets_ - checked_at_octets_ >= kSpaceCheckOctets) {
        checked_at_octets_ = written_octets_;
        auto space = co_await disk.space(options.directory);
        if (!space) co_return std::unexpected(from_disk(space.error()));
        if (space->free_octets < options.min_free_octets + kSpaceCheckOctets) {
            reached(Situation::SpoolDraftMetFullDisk);
            co_return std::unexpected(
                SpoolError{SpoolError::Kind::Full,
                           fmt::format("{} has {} octets free, {} are kept free", options.directory,
                                       space->free_octets, options.min_free_octets)});
        }
    }
    if (!file_) {
        std::string path = large_path(options.directory, id_);
        auto opened = co_await disk.open(path, world::OpenMode::CreateNew);
        if (!opened) co_return std::unexpected(from_disk(opened.error()));
        file_ = *std::move(opened);
        file_->bypass_cache();
        large_ = std::make_shared<LargeContent>();
        large_->path = std::move(path);
        large_->block_octets = kLargeBlockOctets;
    }
    co_return co_await write_blocks(false);
}

// Writes whole blocks from memory, and what is left too when `last`.
Task<SpoolStatus> Draft::write_blocks(bool last) {
    std::size_t octets =
        last ? memory_.size() : memory_.size() / kLargeBlockOctets * kLargeBlockOctets;
    std::string_view rest(memory_.data(), octets);
    for (std::string_view left = rest; !left.empty();) {
        std::string_view block = left.substr(0, kLargeBlockOctets);
        large_->block_crcs.push_back(crc32(block));
        left.remove_prefix(block.size());
    }
    if (!rest.empty()) {
        auto written = co_await file_->write_at(written_octets_, std::span(&rest, 1));
        if (!written) co_return std::unexpected(from_disk(written.error()));
    }
    written_octets_ += octets;
    large_->size = written_octets_;
    memory_.erase(0, octets);
    co_return SpoolStatus{};
}

Task<SpoolStatus> Draft::finish() {
    assert(core_);
    bool in_file = file_ || memory_.size() > kInlineMessageOctetsMax ||
                   (!memory_.empty() && forced(Switch::SpoolContentInFile));
    if (!in_file) {
        leave();
        co_return SpoolStatus{};
    }
    auto done = co_await core_->world().worker.run(sync_large());
    if (!done) co_return done;
    file_.reset();
    memory_ = {};  // it waits for its commit without
    leave();
    co_return SpoolStatus{};
}

// On a worker: one journey for all that makes the file durable.
Task<SpoolStatus> Draft::sync_large() {
    if (!file_) {
        auto spilled = co_await spill();
        if (!spilled) co_return spilled;
    }
    auto written = co_await write_blocks(true);
    if (!written) co_return written;
    // A write past the cache ends with a whole block.
    auto cut = co_await file_->truncate(size_);
    if (!cut) co_return std::unexpected(from_disk(cut.error()));
    auto synced = co_await file_->sync();
    if (synced) {
        synced =
            co_await core_->world().disk.sync_directory(large_path(core_->options().directory));
    }
    if (!synced) co_return std::unexpected(from_disk(synced.error()));
    co_return SpoolStatus{};
}

void Draft::abandon() {
    if (core_ && large_) {
        reached(Situation::SpoolDraftAbandoned);
        file_.reset();
        core_->remove_later(large_->path);
    }
    leave();
}

void Draft::leave() {
    if (core_ && memory_max_ == kWideDraftOctetsMax) core_->give_wide_place();
    core_.reset();
}

}  // namespace postrider::spool
