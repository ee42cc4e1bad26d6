#include "sim/sim_disk.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sim/host_state.h"

namespace postrider::sim {

using world::DiskError;
using world::DiskResult;
using world::DiskStatus;
using Kind = DiskError::Kind;

namespace {

std::string_view words(Kind kind) {
    switch (kind) {
        case Kind::NotFound:
            return "no such file or directory";
        case Kind::Exists:
            return "it is there already";
        case Kind::Full:
            return "no space left";
        case Kind::ReadOnly:
            return "read-only file system";
        case Kind::NotPermitted:
            return "operation not permitted";
        case Kind::Locked:
            return "locked by another process";
        case Kind::TooManyOpen:
            return "too many open files";
        case Kind::Broken:
            return "input/output error";
    }
    return "unknown";
}

// Whether an operation takes effect at the beginning or at the end of its time.
bool at_once(SeededRandom& random) { return random.chance(500); }

}  // namespace

class SimFile : public world::File {
public:
    SimFile(SimDisk& disk, InodePointer inode, std::string path, bool may_write)
        : disk_(disk),
          files_(disk.files_),
          inode_(std::move(inode)),
          path_(std::move(path)),
          life_(files_->life()),
          may_write_(may_write) {}
    ~SimFile() override { files_->close(inode_, life_); }

    Task<DiskResult<std::size_t>> read_at(uint64_t offset, std::span<char> into) override;
    Task<DiskStatus> write_at(uint64_t offset, std::span<const std::string_view> pieces) override;
    Task<DiskStatus> sync() override;
    Task<DiskResult<uint64_t>> size() override;
    Task<DiskStatus> truncate(uint64_t size) override;
    Task<DiskStatus> allocate(uint64_t size) override;
    void bypass_cache() override { bypasses_cache_ = true; }

private:
    bool is_stale() const { return life_ != files_->life(); }
    std::unexpected<DiskError> failed(Kind kind, std::string_view operation) const {
        return std::unexpected(disk_.error(kind, operation, path_));
    }
    std::optional<Kind> refusal() const {
        if (is_stale()) return Kind::Broken;
        if (!may_write_) return Kind::NotPermitted;
        if (disk_.faults.read_only) return Kind::ReadOnly;
        return std::nullopt;
    }
    Pause pass() {
        return {disk_.host_,
                disk_.random_.between(disk_.faults.operation_min, disk_.faults.operation_max)};
    }
    // Writes octets [begin, end) of the pieces; false when the disk is full.
    bool put(uint64_t offset, std::span<const std::string_view> pieces, uint64_t begin,
             uint64_t end);

    SimDisk& disk_;
    std::shared_ptr<FileSystem> files_;
    InodePointer inode_;
    std::string path_;
    uint64_t life_;
    bool may_write_;
    bool is_broken_ = false;  // a sync failed
    bool bypasses_cache_ = false;
};

// Held by its inode's number in the set of this life.
class SimLock : public world::DiskLock {
public:
    SimLock(std::shared_ptr<std::set<uint64_t>> locks, uint64_t inode)
        : locks_(std::move(locks)), inode_(inode) {}
    ~SimLock() override { locks_->erase(inode_); }

private:
    std::shared_ptr<std::set<uint64_t>> locks_;
    uint64_t inode_;
};

Task<DiskResult<std::size_t>> SimFile::read_at(uint64_t offset, std::span<char> into) {
    co_await pass();
    if (is_stale()) co_return failed(Kind::Broken, "read");
    if (disk_.faults.fail_next_reads > 0) {
        disk_.faults.fail_next_reads--;
        co_return failed(Kind::Broken, "read");
    }
    auto bad = disk_.bad_sectors_.lower_bound({inode_->id, offset / kSectorOctets});
    if (bad != disk_.bad_sectors_.end() && bad->first == inode_->id &&
        bad->second * kSectorOctets < offset + into.size()) {
        co_return failed(Kind::Broken, "read");
    }
    co_return inode_->visible.read(offset, into);
}

bool SimFile::put(uint64_t offset, std::span<const std::string_view> pieces, uint64_t begin,
                  uint64_t end) {
    files_->capacity_pages = disk_.faults.capacity / Content::kPageOctets;
    uint64_t at = 0;
    for (std::string_view piece : pieces) {
        uint64_t first = std::clamp(begin, at, at + piece.size());
        uint64_t last = std::clamp(end, at, at + piece.size());
        std::string_view part = piece.substr(std::size_t(first - at), std::size_t(last - first));
        at += piece.size();
        if (part.empty()) continue;
        disk_.mend_sectors(inode_->id, offset + first, part.size());
        disk_.host_.loop.trace().mix(Trace::Disk, inode_->id, offset + first);
        disk_.host_.loop.trace().mix(part);
        if (files_->write(*inode_, offset + first, part, disk_.host_.wall()) < part.size()) {
            return false;
        }
    }
    return true;
}

Task<DiskStatus> SimFile::write_at(uint64_t offset, std::span<const std::string_view> pieces) {
    uint64_t total = 0;
    for (std::string_view piece : pieces) total += piece.size();
    std::vector<std::string_view> padded;
    if (bypasses_cache_) {
        static const std::string kZeros(world::kBlockOctets, '\0');
        uint64_t behind = (offset + total) % kZeros.size();
        padded.assign(pieces.begin(), pieces.end());
        if (behind > 0) padded.emplace_back(kZeros).remove_prefix(behind);
        for (total = 0; std::string_view piece : padded) total += piece.size();
        pieces = padded;
    }
    if (auto kind = refusal()) co_return failed(*kind, "write");
    if (disk_.faults.fail_next_writes > 0) {
        disk_.faults.fail_next_writes--;
        co_await pass();
        if (!is_stale()) put(offset, pieces, 0, disk_.random_.below(total + 1));
        co_return failed(Kind::Broken, "write");
    }
    bool first = at_once(disk_.random_);
    if (!first) co_await pass();
    uint64_t done = 0;
    if (total > kSectorOctets && disk_.random_.chance(disk_.faults.partial_write_per_1000)) {
        done = disk_.random_.below(total);
        if (!put(offset, pieces, 0, done)) co_return failed(Kind::Full, "write");
        co_await pass();
    }
    if (auto kind = refusal()) co_return failed(*kind, "write");
    if (!put(offset, pieces, done, total)) co_return failed(Kind::Full, "write");
    if (first) co_await pass();
    co_return DiskStatus();
}

Task<DiskStatus> SimFile::sync() {
    uint64_t mark = files_->mark();  // what is written from here on is not covered
    bool first = at_once(disk_.random_);
    Pause wait{disk_.host_, disk_.random_.between(disk_.faults.sync_min, disk_.faults.sync_max)};
    if (!first) co_await wait;
    if (is_stale() || is_broken_) co_return failed(Kind::Broken, "sync");
    if (disk_.sync_fails()) {
        is_broken_ = true;
        files_->drop_unsynced(*inode_, mark, disk_.random_.chance(500));
        co_return failed(Kind::Broken, "sync");
    }
    if (!disk_.faults.forget_sync) files_->sync(*inode_, mark);
    if (first) co_await wait;
    co_return DiskStatus();
}

Task<DiskResult<uint64_t>> SimFile::size() {
    co_await pass();
    if (is_stale()) co_return failed(Kind::Broken, "size");
    co_return inode_->visible.size();
}

Task<DiskStatus> SimFile::truncate(uint64_t size) {
    bool first = at_once(disk_.random_);
    if (!first) co_await pass();
    if (auto kind = refusal()) co_return failed(*kind, "truncate");
    auto done = files_->truncate(*inode_, size, disk_.host_.wall());
    if (!done) co_return failed(done.error(), "truncate");
    if (first) co_await pass();
    co_return DiskStatus();
}

Task<DiskStatus> SimFile::allocate(uint64_t size) {
    co_await pass();
    if (auto kind = refusal()) co_return failed(*kind, "allocate");
    uint64_t from = inode_->visible.size();
    if (size <= from) co_return DiskStatus();
    std::string zeros(size - from, '\0');
    std::string_view piece = zeros;
    if (!put(from, std::span(&piece, 1), 0, zeros.size())) co_return failed(Kind::Full, "allocate");
    co_return DiskStatus();
}

SimDisk::SimDisk(HostState& host, uint64_t seed, uint64_t label)
    : host_(host),
      files_(std::make_shared<FileSystem>()),
      random_(seed, label),
      locks_(std::make_shared<std::set<uint64_t>>()) {}
SimDisk::~SimDisk() = default;

DiskError SimDisk::error(Kind kind, std::string_view operation, std::string_view path) const {
    return {kind, fmt::format("{} {}: {}", operation, path, words(kind))};
}

bool SimDisk::sync_fails() {
    if (faults.fail_every_sync) return true;
    if (faults.fail_next_syncs == 0) return false;
    faults.fail_next_syncs--;
    return true;
}

// An operation that changes names: takes its time, and its effect at one end of it.
template <typename Change>
Task<DiskStatus> SimDisk::change(const char* operation, std::string path, Change change) {
    bool first = at_once(random_);
    Pause wait{host_, random_.between(faults.operation_min, faults.operation_max)};
    if (!first) co_await wait;
    if (faults.read_only) co_return std::unexpected(error(Kind::ReadOnly, operation, path));
    files_->files_max = faults.files_max;
    auto done = change();
    host_.loop.trace().mix(Trace::Disk, done ? 0 : 1 + uint64_t(done.error()));
    if (!done) co_return std::unexpected(error(done.error(), operation, path));
    if (first) co_await wait;
    co_return DiskStatus();
}

Task<DiskResult<std::unique_ptr<world::File>>> SimDisk::open(std::string path,
                                                             world::OpenMode mode) {
    co_await Pause{host_, random_.between(faults.operation_min, faults.operation_max)};
    if (faults.read_only && mode != world::OpenMode::Read) {
        co_return std::unexpected(error(Kind::ReadOnly, "open", path));
    }
    files_->files_max = faults.files_max;
    auto inode = files_->open(path, mode, host_.wall());
    if (!inode) co_return std::unexpected(error(inode.error(), "open", path));
    bool may_write = mode != world::OpenMode::Read;
    co_return std::make_unique<SimFile>(*this, std::move(*inode), std::move(path), may_write);
}

Task<DiskStatus> SimDisk::rename(std::string from, std::string to) {
    auto work = [this, from, to] { return files_->rename(from, to, host_.wall()); };
    return change("rename", from + " to " + to, std::move(work));
}

Task<DiskStatus> SimDisk::link(std::string from, std::string to) {
    auto work = [this, from, to] { return files_->link(from, to, host_.wall()); };
    return change("link", from + " to " + to, std::move(work));
}

Task<DiskStatus> SimDisk::remove(std::string path) {
    auto work = [this, path] { return files_->remove(path, host_.wall()); };
    return change("remove", path, std::move(work));
}

Task<DiskStatus> SimDisk::make_directories(std::string path) {
    for (std::size_t end = 0; end != std::string::npos;) {
        end = path.find('/', end + 1);
        std::string part = path.substr(0, end);
        if (files_->find_directory(part)) continue;
        auto make = [this, part]() -> FileSystem::Outcome<void> {
            auto made = files_->make_directory(part, host_.wall());
            // Another task may have made it meanwhile.
            if (!made && files_->find_directory(part)) return {};
            return made;
        };
        auto made = co_await change("make directory", part, std::move(make));
        if (!made) co_return made;
        std::size_t slash = part.rfind('/');
        auto synced = co_await sync_directory(part.substr(0, slash == part.npos ? 0 : slash + 1));
        if (!synced) co_return synced;
    }
    co_return DiskStatus();
}

Task<DiskResult<std::vector<world::DirectoryEntry>>> SimDisk::list(std::string path) {
    co_await Pause{host_, random_.between(faults.operation_min, faults.operation_max)};
    auto directory = files_->find_directory(path);
    if (!directory) co_return std::unexpected(error(directory.error(), "list", path));
    std::vector<world::DirectoryEntry> entries;
    for (const auto& [name, inode] : (*directory)->names) {
        using Type = world::DirectoryEntry::Type;
        entries.push_back({name, inode->is_directory ? Type::Directory : Type::File});
    }
    // No caller may count on an order.
    for (std::size_t i = entries.size(); i > 1; i--) {
        std::swap(entries[i - 1], entries[std::size_t(random_.below(i))]);
    }
    co_return entries;
}

Task<DiskResult<world::FileInfo>> SimDisk::info(std::string path) {
    co_await Pause{host_, random_.between(faults.operation_min, faults.operation_max)};
    auto inode = files_->find(path);
    if (!inode) co_return std::unexpected(error(inode.error(), "info", path));
    using Type = world::DirectoryEntry::Type;
    co_return world::FileInfo{.size = (*inode)->visible.size(),
                              .modified = (*inode)->modified,
                              .type = (*inode)->is_directory ? Type::Directory : Type::File};
}

Task<DiskStatus> SimDisk::sync_directory(std::string path) {
    uint64_t mark = files_->mark();
    bool first = at_once(random_);
    Pause wait{host_, random_.between(faults.sync_min, faults.sync_max)};
    if (!first) co_await wait;
    auto directory = files_->find_directory(path);
    if (!directory) co_return std::unexpected(error(directory.error(), "sync directory", path));
    if (sync_fails()) co_return std::unexpected(error(Kind::Broken, "sync directory", path));
    if (!faults.forget_directory_sync) files_->sync_names(**directory, mark);
    if (first) co_await wait;
    co_return DiskStatus();
}

Task<DiskResult<world::SpaceInfo>> SimDisk::space(std::string path) {
    co_await Pause{host_, random_.between(faults.operation_min, faults.operation_max)};
    auto inode = files_->find(path);
    if (!inode) co_return std::unexpected(error(inode.error(), "space", path));
    uint64_t total = faults.capacity / Content::kPageOctets;
    uint64_t used = std::min(total, files_->used_pages());
    co_return world::SpaceInfo{
        .free_octets = (total - used) * Content::kPageOctets,
        .total_octets = total * Content::kPageOctets,
        .free_files = faults.files_max - std::min(faults.files_max, files_->file_count())};
}

Task<DiskResult<std::unique_ptr<world::DiskLock>>> SimDisk::lock(std::string path) {
    co_await Pause{host_, random_.between(faults.operation_min, faults.operation_max)};
    files_->files_max = faults.files_max;
    auto mode = faults.read_only ? world::OpenMode::ReadWrite : world::OpenMode::Create;
    auto inode = files_->open(path, mode, host_.wall());
    if (!inode) co_return std::unexpected(error(inode.error(), "lock", path));
    files_->close(*inode, files_->life());
    uint64_t id = (*inode)->id;
    if (!locks_->insert(id).second) co_return std::unexpected(error(Kind::Locked, "lock", path));
    co_return std::make_unique<SimLock>(locks_, id);
}

bool SimDisk::rot(std::string_view path, uint64_t offset, uint64_t size, uint32_t bits) {
    auto found = files_->find(path);
    if (!found || (*found)->is_directory) return false;
    Inode& file = **found;
    uint64_t end = std::min(offset + size, file.durable.size());
    if (offset >= end) return false;
    for (uint32_t i = 0; i < bits; i++) {
        uint64_t at = random_.between(offset, end - 1);
        unsigned bit = unsigned(random_.below(8));
        file.durable.flip_bit(at, bit);
        bool is_newer =
            std::any_of(file.unsynced.begin(), file.unsynced.end(), [&](const FileChange& change) {
                return change.is_truncate ||
                       (at >= change.offset && at < change.offset + change.octets.size());
            });
        if (!is_newer && at < file.visible.size()) file.visible.flip_bit(at, bit);
    }
    return true;
}

bool SimDisk::break_sector(std::string_view path, uint64_t offset) {
    auto found = files_->find(path);
    if (!found || (*found)->is_directory || offset >= (*found)->visible.size()) return false;
    bad_sectors_.emplace((*found)->id, offset / kSectorOctets);
    return true;
}

void SimDisk::mend_sectors(uint64_t inode, uint64_t offset, uint64_t octets) {
    if (bad_sectors_.empty()) return;
    bad_sectors_.erase(bad_sectors_.lower_bound({inode, offset / kSectorOctets}),
                       bad_sectors_.upper_bound({inode, (offset + octets - 1) / kSectorOctets}));
}

void SimDisk::after_power_loss() {
    files_->power_loss(random_, faults.power_loss);
    locks_ = std::make_shared<std::set<uint64_t>>();
}

void SimDisk::after_kill() {
    files_->forget_handles();
    locks_ = std::make_shared<std::set<uint64_t>>();
}

}  // namespace postrider::sim
