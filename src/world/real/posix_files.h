// world/real/posix_files.h: the system calls behind the disk, each with its errors turned into
// values.
//
// Everything here blocks. A call that a signal interrupted is repeated; one that did only a part
// goes on with the rest.
//
// Threads: from anywhere; a PosixFile is used by one at a time.

#pragma once

#include <memory>

#include "world/disk.h"
#include "world/real/fd.h"
#include "world/real/uncached_writes.h"

namespace postrider::world::real {

// "operation path: the system's words", with the kind that belongs to `error` (an errno).
DiskError disk_error(std::string_view operation, std::string_view path, int error);

class PosixFile {
public:
    static DiskResult<PosixFile> open(std::string path, OpenMode mode);

    DiskResult<std::size_t> read_at(uint64_t offset, std::span<char> into) const;
    DiskStatus write_at(uint64_t offset, std::span<const std::string_view> pieces);
    DiskStatus sync();
    DiskResult<uint64_t> size() const;
    DiskStatus truncate(uint64_t size);
    DiskStatus allocate(uint64_t size);
    void bypass_cache();

private:
    PosixFile(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
    DiskStatus refuse(std::string_view operation) const;
    DiskStatus fail_sync(int error);

    Fd fd_;
    std::string path_;
    bool sync_failed_ = false;
    std::unique_ptr<UncachedWrites> uncached_;  // null: through the cache
};

DiskStatus rename_file(const std::string& from, const std::string& to);
DiskStatus link_file(const std::string& from, const std::string& to);

// A file, or an empty directory.
DiskStatus remove_file(const std::string& path);

// Makes what is missing. Each new name is durable before the next is made, so a program that is
// stopped half-way leaves at most one name that was not synced; and that one is synced when the
// call is repeated, since the parent of the last name is synced even if the name was there.
DiskStatus make_directory_chain(const std::string& path);

DiskResult<std::vector<DirectoryEntry>> list_directory(const std::string& path);
DiskResult<FileInfo> file_info(const std::string& path);
DiskStatus sync_directory_of(const std::string& path);
DiskResult<SpaceInfo> space_at(const std::string& path);

// The lock lives as long as the descriptor. It excludes every other open of the file, also by this
// process (flock).
DiskResult<Fd> lock_file(const std::string& path);

}  // namespace postrider::world::real
