// sim/sim_file_system.h: a file system that forgets what was not synced.
//
// The problem: a program that is careless about fsync works until the power fails. Every file and
// directory here has two states: *visible*, what programs see, and *durable*, what the platters
// hold. Between them lies an ordered list of unsynced changes. sync applies changes up to a mark to
// the durable state; a loss of power draws what survives of the rest, and the durable state is then
// all there is.
//
// What may survive a loss of power, and what not
//   File content: each sector of 512 octets holds any of its unsynced versions or its old octets,
//     independently of all others (so writes are lost, whole, cut, reordered); a torn sector is
//     part one, part the other. A sector never holds a later write without the earlier ones to it,
//     as the page cache cannot do that either.
//   Length: any of the unsynced lengths, or the old one; octets missing below it are zeros.
//   Names: of each directory a prefix of its unsynced changes; without a sync of the directory
//     nothing is promised, however often the file was synced. A rename within one directory is
//     whole or not at all; one between directories may leave both names, never none.
//
// Each change counts at once for space and is numbered by one sequence for the whole file system;
// a mark is such a number. Nothing here takes time or fails by chance: that is sim_disk.h.
//
// Threads: one.

#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "sim/content.h"
#include "sim/seeded_random.h"
#include "world/disk.h"

namespace postrider::sim {

inline constexpr uint64_t kSectorOctets = 512;

struct PowerLossChances {
    uint32_t torn_sector_per_1000 = 20;  // of each surviving sector: it is torn inside
};

struct Inode;
using InodePointer = std::shared_ptr<Inode>;

struct FileChange {
    uint64_t sequence = 0;
    bool is_truncate = false;
    uint64_t offset = 0;  // of a write
    std::string octets;   // of a write
    uint64_t size_after = 0;
};

struct NameChange {
    uint64_t sequence = 0;
    std::string removed;  // this name goes, if not empty
    std::string added;    // this name comes (or points elsewhere), if not empty
    InodePointer target;  // what `added` names
    // A removal whose name came into another directory: that must be durable first.
    InodePointer moved_into;
    uint64_t moved_into_sequence = 0;
};

struct Inode {
    uint64_t id = 0;
    bool is_directory = false;
    Wall modified;
    uint32_t links = 0;  // visible names
    uint32_t opens = 0;  // handles of the program

    Content visible;
    Content durable;
    std::vector<FileChange> unsynced;

    std::map<std::string, InodePointer, std::less<>> names;
    std::map<std::string, InodePointer, std::less<>> durable_names;
    std::vector<NameChange> unsynced_names;
};

class FileSystem {
public:
    using Kind = world::DiskError::Kind;
    template <typename T>
    using Outcome = std::expected<T, Kind>;

    FileSystem();

    // Bounds, set by the faults of the disk.
    uint64_t capacity_pages = ~0ull;
    uint64_t files_max = ~0ull;

    // Opening counts a handle; close() gives it back, unless that life of the program is over.
    Outcome<InodePointer> open(std::string_view path, world::OpenMode mode, Wall now);
    void close(const InodePointer& file, uint64_t opened_in_life);
    uint64_t life() const { return life_; }  // counts forget_handles() and power_loss()

    // Octets written: fewer than given when the disk is full.
    std::size_t write(Inode& file, uint64_t offset, std::string_view octets, Wall now);
    Outcome<void> truncate(Inode& file, uint64_t size, Wall now);

    Outcome<void> rename(std::string_view from, std::string_view to, Wall now);
    Outcome<void> link(std::string_view from, std::string_view to, Wall now);
    Outcome<void> remove(std::string_view path, Wall now);
    Outcome<void> make_directory(std::string_view path, Wall now);  // parents must be there

    // The visible thing of that name.
    Outcome<InodePointer> find(std::string_view path) const;
    Outcome<InodePointer> find_directory(std::string_view path) const;

    // The mark of the newest change.
    uint64_t mark() const { return sequence_; }
    void sync(Inode& file, uint64_t mark);
    void sync_names(Inode& directory, uint64_t mark);

    // A failed sync: what it should have covered will never be durable. The program goes on seeing
    // it, or what was there before.
    void drop_unsynced(Inode& file, uint64_t mark, bool stays_visible);

    // Nobody holds a handle any more.
    void forget_handles();
    // The visible state becomes what chance leaves on the platters.
    void power_loss(SeededRandom& random, const PowerLossChances& chances);

    uint64_t used_pages() const { return used_pages_; }
    uint64_t file_count() const { return file_count_; }

    // For tests: content as the program sees it, and as the platters hold it (by durable names).
    std::optional<std::string> visible_text(std::string_view path) const;
    std::optional<std::string> durable_text(std::string_view path) const;

private:
    struct Place {
        InodePointer directory;
        std::string name;
    };
    Outcome<Place> place_of(std::string_view path) const;
    Outcome<InodePointer> create(const Place& place, bool is_directory, Wall now);
    void change_names(Inode& directory, NameChange change, Wall now);
    void unlinked(Inode& inode);
    void recount();
    void lose_content(Inode& file, SeededRandom& random, const PowerLossChances& chances);

    InodePointer root_;
    uint64_t life_ = 1;
    uint64_t next_id_ = 1;
    uint64_t sequence_ = 0;
    uint64_t used_pages_ = 0;
    uint64_t file_count_ = 0;
};

}  // namespace postrider::sim
