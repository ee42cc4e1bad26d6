// world/disk.h: files and directories, with durability made explicit.
//
// Model: writes and metadata changes are visible at once to this program, and survive a loss of
// power only after the sync that covers them has returned without error:
//   File::sync        covers the octets (and the length) written to that file before it was called
//   sync_directory    covers names created, renamed or removed in that directory before it was
//   called
// What is not covered may survive wholly, in part, torn inside a sector or in another order.
//
// Promise
//   1. After File::sync failed once, every later sync of that file fails too (the kernel may have
//      dropped the pages; asking again would lie).
//   2. Called inside Worker::run, an operation blocks the worker; called on a shard, it is done by
//      a worker while the shard goes on.
//
// Views passed to an operation must outlive its task.
// Threads: a File is used by one task at a time.

#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"

namespace postrider::world {

struct DiskError {
    enum class Kind : uint8_t {
        NotFound,
        Exists,
        Full,      // no space, no quota, no inodes
        ReadOnly,  // file system is read-only
        NotPermitted,
        Locked,  // another process holds the lock
        TooManyOpen,
        Broken,  // input/output error, failed sync, anything that says: do not trust it
    };
    Kind kind = Kind::Broken;
    std::string message;  // operation, path and the system's words

    friend bool operator==(const DiskError&, const DiskError&) = default;
};

template <typename T>
using DiskResult = Result<T, DiskError>;
using DiskStatus = Status<DiskError>;

// The unit in which files are written past the system's cache.
inline constexpr std::size_t kBlockOctets = 4096;

class File {
public:
    virtual ~File() = default;

    // Reads up to into.size() octets at `offset`; fewer only at the end of the file.
    virtual Task<DiskResult<std::size_t>> read_at(uint64_t offset, std::span<char> into) = 0;

    // Writes all pieces, one after the other, beginning at `offset`.
    virtual Task<DiskStatus> write_at(uint64_t offset,
                                      std::span<const std::string_view> pieces) = 0;

    // Returns when everything written before is on stable storage (fdatasync).
    virtual Task<DiskStatus> sync() = 0;

    virtual Task<DiskResult<uint64_t>> size() = 0;
    virtual Task<DiskStatus> truncate(uint64_t size) = 0;

    // Makes the file at least `size` octets long, with space that is surely there for all of them;
    // what is new reads as zeros. Full when there is not so much; part of it may be taken then.
    virtual Task<DiskStatus> allocate(uint64_t size) = 0;

    // From now on writes go past the system's cache, where it can do that: for what is written
    // once, in order, and rarely read again. Then everything behind a write, up to the next
    // multiple of kBlockOctets, becomes zeros. REQUIRES: from now on this File is not read; others
    // on the same file may be.
    virtual void bypass_cache() = 0;
};

enum class OpenMode : uint8_t {
    Read,       // must exist
    ReadWrite,  // must exist
    Create,     // read and write; made if it is not there
    CreateNew,  // read and write; Exists if it is there
};

struct DirectoryEntry {
    enum class Type : uint8_t {
        File,
        Directory,
        Other
    };
    std::string name;
    Type type = Type::File;
};

struct FileInfo {
    uint64_t size = 0;
    Wall modified;
    DirectoryEntry::Type type = DirectoryEntry::Type::File;
    uint32_t owner = 0;  // uid
};

struct SpaceInfo {
    uint64_t free_octets = 0;  // for an unprivileged process
    uint64_t total_octets = 0;
    uint64_t free_files = 0;  // inodes; a large number where the file system does not count them
};

// Held while it lives.
class DiskLock {
public:
    virtual ~DiskLock() = default;
};

class Disk {
public:
    virtual ~Disk() = default;

    // Opens a file. New files have mode 0600.
    virtual Task<DiskResult<std::unique_ptr<File>>> open(std::string path, OpenMode mode) = 0;

    // Replaces `to` if it is there, atomically.
    virtual Task<DiskStatus> rename(std::string from, std::string to) = 0;

    // A second name; Exists if `to` is there.
    virtual Task<DiskStatus> link(std::string from, std::string to) = 0;

    virtual Task<DiskStatus> remove(std::string path) = 0;

    // Makes the directory (mode 0700) and its parents; no error if it is there. Durable when it
    // returns: each new name's parent has been synced.
    virtual Task<DiskStatus> make_directories(std::string path) = 0;

    // In no particular order, without "." and "..".
    virtual Task<DiskResult<std::vector<DirectoryEntry>>> list(std::string path) = 0;

    virtual Task<DiskResult<FileInfo>> info(std::string path) = 0;

    virtual Task<DiskStatus> sync_directory(std::string path) = 0;

    virtual Task<DiskResult<SpaceInfo>> space(std::string path) = 0;

    // Takes the lock on `path` (made if need be) for this process, or Locked at once.
    virtual Task<DiskResult<std::unique_ptr<DiskLock>>> lock(std::string path) = 0;
};

}  // namespace postrider::world
