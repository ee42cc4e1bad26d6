#include "daemon/attempt_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

namespace postrider::daemon {

namespace {

using world::DiskError;
using world::DiskResult;
using world::DiskStatus;

constexpr std::size_t kBlockOctets = 256 * 1024;
static_assert(kBlockOctets >= kAttemptHeaderOctets + kAttemptPayloadMax);
constexpr auto kSearchPatience = std::chrono::seconds(20);
constexpr std::string_view kSuffix = ".log";
constexpr std::size_t kDigitsMax = 18;

// "00000012.log" is 12; nothing for any other name.
std::optional<uint64_t> number_of(std::string_view name) {
    if (!name.ends_with(kSuffix)) return std::nullopt;
    name.remove_suffix(kSuffix.size());
    if (name.empty() || name.size() > kDigitsMax) return std::nullopt;
    uint64_t number = 0;
    auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
    if (error != std::errc{} || end != name.data() + name.size()) return std::nullopt;
    return number;
}

struct Part {
    std::string path;
    uint64_t octets = 0;  // how much of it is to be read
};

// Runs on a worker. A file that cannot be read, or is gone by now, gives what it gave.
Task<AttemptStory> search(world::Disk& disk, std::vector<Part> parts, MessageId id) {
    AttemptStory story;
    std::string block(kBlockOctets, '\0');
    for (Part& part : parts) {
        auto file = co_await disk.open(std::move(part.path), world::OpenMode::Read);
        if (!file) continue;
        for (uint64_t at = 0; at < part.octets;) {
            auto want = std::min<uint64_t>(block.size(), part.octets - at);
            auto got = co_await (*file)->read_at(at, std::span(block).first(want));
            if (!got || *got == 0) break;
            bool is_end = *got < want || at + *got >= part.octets;
            std::size_t done = scan_attempts(std::string_view(block).substr(0, *got),
                                             is_end ? FilePart::End : FilePart::Middle, id, story);
            if (is_end || done == 0) break;
            at += done;
        }
    }
    co_return story;
}

}  // namespace

AttemptLog::AttemptLog(world::World& world, AttemptLogOptions options)
    : world_(world), options_(std::move(options)), ended_(world.executor, world.clock) {}

void AttemptLog::start() { begin_writing(); }

void AttemptLog::reconfigure(AttemptLogOptions options) {
    options_ = std::move(options);
    if (!failing_ && !closed_) begin_writing();
}

void AttemptLog::add(MessageId id, const AttemptNote& note) {
    bool next = groups_.empty() || groups_.back().size() >= kGroupOctets ||
                (in_flight_ && groups_.size() == 1);
    if (next) {
        groups_.push_back(std::exchange(spare_, {}));
        // With room for the record that makes it full.
        groups_.back().reserve(kGroupOctets + kGroupOctets / 4);
    }
    std::string& group = groups_.back();
    std::size_t before = group.size();
    append_attempt(group, id, note);
    waiting_octets_ += group.size() - before;
    if (waiting_octets_ > kWaitingOctetsMax) drop_oldest();
    schedule();
}

// What is being written stays until it is written, and the newest group may grow.
void AttemptLog::drop_oldest() {
    std::size_t first = in_flight_ ? 1 : 0;
    while (waiting_octets_ > kWaitingOctetsMax && groups_.size() > first + 1) {
        auto oldest = groups_.begin() + static_cast<std::ptrdiff_t>(first);
        waiting_octets_ -= oldest->size();
        groups_.erase(oldest);
    }
}

void AttemptLog::schedule() {
    if (writing_ || closed_ || options_.octets_max == 0 || groups_.empty()) return;
    if (!failing_ && groups_.front().size() >= kGroupOctets) {
        begin_writing();
    } else if (!timer_) {
        Duration pause = failing_ ? Duration(kTryAgain) : Duration(kWriteEvery);
        timer_ = world_.clock.call_at(world_.clock.now() + pause, [this] { begin_writing(); });
    }
}

void AttemptLog::begin_writing() {
    if (writing_) return;
    writing_ = true;
    world_.executor.spawn(write_waiting());
}

Task<void> AttemptLog::write_waiting() {
    timer_.reset();
    bool is_first = true;
    auto prepared = co_await prepare();
    if (!prepared) failed(prepared.error());
    while (prepared && options_.octets_max > 0 && !groups_.empty() &&
           (is_first || closed_ || groups_.front().size() >= kGroupOctets)) {
        is_first = false;
        in_flight_ = true;
        auto written = co_await write_group(groups_.front());
        in_flight_ = false;
        if (!written) {
            failed(written.error());
            break;
        }
        if (std::exchange(failing_, false)) world_.log.write(Event::AttemptsWrittenAgain, {});
        waiting_octets_ -= groups_.front().size();
        spare_ = std::move(groups_.front());
        spare_.clear();
        groups_.pop_front();
    }
    writing_ = false;
    ended_.notify_all();
    schedule();
}

// After a failure everything is looked at anew: somebody may have changed it to mend it.
void AttemptLog::failed(const DiskError& error) {
    file_.reset();
    looked_ = false;
    if (std::exchange(failing_, true)) return;
    world_.log.write(Event::AttemptsNotWritten, {{"reason", error.message}});
}

Task<DiskStatus> AttemptLog::prepare() {
    if (!looked_) {
        auto looked = co_await look();
        if (!looked) co_return looked;
    }
    co_return co_await make_room(0);  // the limit may be a lower one than before
}

Task<DiskStatus> AttemptLog::look() {
    std::deque<Place> found;
    auto entries = co_await world_.disk.list(options_.directory);
    if (entries) {
        for (const world::DirectoryEntry& entry : *entries) {
            auto number = number_of(entry.name);
            if (!number || entry.type != world::DirectoryEntry::Type::File) continue;
            auto info = co_await world_.disk.info(options_.directory + "/" + entry.name);
            if (info) found.push_back({*number, info->size});
        }
    } else if (entries.error().kind != DiskError::Kind::NotFound) {
        co_return std::unexpected(entries.error());
    } else if (options_.octets_max > 0) {
        auto made = co_await world_.disk.make_directories(options_.directory);
        if (!made) co_return made;
    }
    std::ranges::sort(found, {}, &Place::number);
    files_ = std::move(found);
    looked_ = true;
    co_return DiskStatus{};
}

Task<DiskStatus> AttemptLog::make_room(uint64_t octets) {
    uint64_t total = octets;
    for (const Place& place : files_) total += place.octets;
    while (total > options_.octets_max && !files_.empty()) {
        Place oldest = files_.front();
        if (files_.size() == 1) file_.reset();
        auto removed = co_await world_.disk.remove(path_of(oldest.number));
        if (!removed && removed.error().kind != DiskError::Kind::NotFound) co_return removed;
        files_.pop_front();
        total -= oldest.octets;
    }
    co_return DiskStatus{};
}

// The newest file while it has room for `octets`, also one of an earlier life, and then a new one.
Task<DiskStatus> AttemptLog::open_file(uint64_t octets) {
    uint64_t each = options_.octets_max / kFiles;
    bool has_room = !files_.empty() && files_.back().octets + octets <= each;
    if (file_ && has_room) co_return DiskStatus{};
    file_.reset();
    if (has_room) {
        auto opened =
            co_await world_.disk.open(path_of(files_.back().number), world::OpenMode::ReadWrite);
        if (opened) {
            file_ = std::move(*opened);
            co_return DiskStatus{};
        }
    }
    uint64_t number = files_.empty() ? 1 : files_.back().number + 1;
    auto opened = co_await world_.disk.open(path_of(number), world::OpenMode::Create);
    if (!opened) co_return std::unexpected(opened.error());
    file_ = std::move(*opened);
    files_.push_back({number, 0});
    co_return DiskStatus{};
}

Task<DiskStatus> AttemptLog::write_group(std::string_view group) {
    if (group.size() > options_.octets_max) co_return DiskStatus{};  // too small a limit for it
    auto room = co_await make_room(group.size());
    if (!room) co_return room;
    auto space = co_await world_.disk.space(options_.directory);
    if (!space) co_return std::unexpected(space.error());
    if (space->free_octets < options_.min_free_octets + group.size()) {
        co_return std::unexpected(
            DiskError{DiskError::Kind::Full,
                      fmt::format("{}: {} octets are free, and the rest is kept for mail",
                                  options_.directory, space->free_octets)});
    }
    auto opened = co_await open_file(group.size());
    if (!opened) co_return opened;
    std::array<std::string_view, 1> pieces{group};
    auto written = co_await file_->write_at(files_.back().octets, pieces);
    if (written) files_.back().octets += group.size();
    co_return written;
}

Task<AttemptStory> AttemptLog::of(MessageId id) {
    Deadline patience = Deadline::after(world_.clock.now(), kSearchPatience);
    bool may_read = true;
    while (may_read && (searching_ || (writing_ && !looked_))) {
        may_read = co_await ended_.wait(patience);
    }
    // At one moment: what is in memory, and how far the files go. Each record is in one of them.
    AttemptStory waiting;
    for (const std::string& group : groups_) scan_attempts(group, FilePart::End, id, waiting);
    AttemptStory story;
    if (may_read && !files_.empty()) {
        std::vector<Part> parts;
        parts.reserve(files_.size());
        for (const Place& place : files_) parts.push_back({path_of(place.number), place.octets});
        searching_ = true;
        story = co_await world_.worker.run(search(world_.disk, std::move(parts), id));
        searching_ = false;
        ended_.notify_all();
    }
    story.append(std::move(waiting));
    co_return story;
}

Task<void> AttemptLog::close(Deadline deadline) {
    closed_ = true;
    timer_.reset();
    if (!failing_ && !groups_.empty() && options_.octets_max > 0) begin_writing();
    while (writing_) {
        if (!co_await ended_.wait(deadline)) co_return;
    }
}

std::string AttemptLog::path_of(uint64_t number) const {
    return fmt::format("{}/{:08}{}", options_.directory, number, kSuffix);
}

}  // namespace postrider::daemon
