#include "world/real/posix_files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <cassert>
#include <cerrno>

#include "world/real/system_words.h"

namespace postrider::world::real {

namespace {

constexpr std::size_t kPiecesPerCall = 64;
constexpr std::size_t kReadOctetsMax = 1u << 30;  // one system call moves less than 2 GiB

DiskError::Kind kind_of(int error) {
    using enum DiskError::Kind;
    switch (error) {
        case ENOENT:
        case ENOTDIR:
            return NotFound;
        case EEXIST:
        case ENOTEMPTY:
            return Exists;
        case ENOSPC:
        case EDQUOT:
        case EFBIG:
            return Full;
        case EROFS:
            return ReadOnly;
        case EACCES:
        case EPERM:
            return NotPermitted;
        case EWOULDBLOCK:
            return Locked;
        case EMFILE:
        case ENFILE:
            return TooManyOpen;
        default:
            return Broken;
    }
}

// Repeats `call` while signals interrupt it.
template <typename Call>
auto uninterrupted(Call call) {
    auto result = call();
    while (result == -1 && errno == EINTR) result = call();
    return result;
}

// What is still to be written.
struct Remainder {
    std::span<const std::string_view> pieces;
    std::size_t skip = 0;  // octets of the first piece that are written

    void advance(std::size_t octets) {
        skip += octets;
        while (!pieces.empty() && skip >= pieces.front().size()) {
            skip -= pieces.front().size();
            pieces = pieces.subspan(1);
        }
    }
};

ssize_t write_some(int fd, const Remainder& rest, uint64_t offset) {
    std::array<iovec, kPiecesPerCall> vectors;
    std::size_t count = std::min(rest.pieces.size(), vectors.size());
    std::size_t skip = rest.skip;
    for (std::size_t i = 0; i < count; i++) {
        std::string_view piece = rest.pieces[i].substr(skip);
        vectors[i] = {const_cast<char*>(piece.data()), piece.size()};  // only read by the system
        skip = 0;
    }
    return uninterrupted([&] {
        return ::pwritev(fd, vectors.data(), static_cast<int>(count), static_cast<off_t>(offset));
    });
}

int flags_of(OpenMode mode) {
    switch (mode) {
        case OpenMode::Read:
            return O_RDONLY;
        case OpenMode::ReadWrite:
            return O_RDWR;
        case OpenMode::Create:
            return O_RDWR | O_CREAT;
        case OpenMode::CreateNew:
            return O_RDWR | O_CREAT | O_EXCL;
    }
    return O_RDONLY;
}

}  // namespace

DiskError disk_error(std::string_view operation, std::string_view path, int error) {
    return {kind_of(error), fmt::format("{} {}: {}", operation, path, system_words(error))};
}

DiskResult<PosixFile> PosixFile::open(std::string path, OpenMode mode) {
    int fd = uninterrupted([&] { return ::open(path.c_str(), flags_of(mode) | O_CLOEXEC, 0600); });
    if (fd < 0) return std::unexpected(disk_error("open", path, errno));
    return PosixFile(Fd(fd), std::move(path));
}

DiskResult<std::size_t> PosixFile::read_at(uint64_t offset, std::span<char> into) const {
    assert(!uncached_);
    std::size_t done = 0;
    while (done < into.size()) {
        std::size_t ask = std::min(into.size() - done, kReadOctetsMax);
        ssize_t got = uninterrupted([&] {
            return ::pread(fd_.get(), into.data() + done, ask, static_cast<off_t>(offset + done));
        });
        if (got < 0) return std::unexpected(disk_error("read", path_, errno));
        if (got == 0) break;
        done += static_cast<std::size_t>(got);
    }
    return done;
}

DiskStatus PosixFile::write_at(uint64_t offset, std::span<const std::string_view> pieces) {
    if (auto sound = refuse("write"); !sound) return sound;
    if (uncached_) {
        int error = uncached_->write(offset, pieces);
        if (error == 0) return {};
        if (error != EINVAL) return std::unexpected(disk_error("write", path_, error));
        // The file system does not do it after all.
        uncached_->end();
        uncached_.reset();
    }
    Remainder rest{pieces};
    rest.advance(0);  // over empty pieces
    while (!rest.pieces.empty()) {
        ssize_t wrote = write_some(fd_.get(), rest, offset);
        if (wrote < 0) return std::unexpected(disk_error("write", path_, errno));
        if (wrote == 0) return std::unexpected(disk_error("write", path_, EIO));
        rest.advance(static_cast<std::size_t>(wrote));
        offset += static_cast<std::size_t>(wrote);
    }
    return {};
}

DiskStatus PosixFile::sync() {
    if (auto sound = refuse("sync"); !sound) return sound;
#ifdef POSTRIDER_SYNC_DELAY_MS
    ::poll(nullptr, 0, POSTRIDER_SYNC_DELAY_MS);  // as if the disk were slower
#endif
#ifndef POSTRIDER_NO_SYNC
    if (uninterrupted([&] { return ::fdatasync(fd_.get()); }) != 0) return fail_sync(errno);
#endif
    return {};
}

DiskStatus PosixFile::fail_sync(int error) {
    sync_failed_ = true;
    DiskError out = disk_error("sync", path_, error);
    out.kind = DiskError::Kind::Broken;  // even if the disk was only full: the pages may be gone
    return std::unexpected(std::move(out));
}

DiskStatus PosixFile::refuse(std::string_view operation) const {
    if (!sync_failed_) return {};
    return std::unexpected(DiskError{
        DiskError::Kind::Broken, fmt::format("{} {}: an earlier sync failed", operation, path_)});
}

DiskResult<uint64_t> PosixFile::size() const {
    struct stat info{};
    if (::fstat(fd_.get(), &info) != 0) return std::unexpected(disk_error("size of", path_, errno));
    return static_cast<uint64_t>(info.st_size);
}

DiskStatus PosixFile::truncate(uint64_t size) {
    if (auto sound = refuse("truncate"); !sound) return sound;
    if (uninterrupted([&] { return ::ftruncate(fd_.get(), static_cast<off_t>(size)); }) != 0) {
        return std::unexpected(disk_error("truncate", path_, errno));
    }
    return {};
}

DiskStatus PosixFile::allocate(uint64_t size) {
    if (auto sound = refuse("allocate"); !sound) return sound;
    // It answers the error, and writes into each block where the file system cannot do it.
    int error = EINTR;
    while (error == EINTR) error = ::posix_fallocate(fd_.get(), 0, static_cast<off_t>(size));
    if (error != 0) return std::unexpected(disk_error("allocate", path_, error));
    return {};
}

void PosixFile::bypass_cache() {
    if (!uncached_) uncached_ = UncachedWrites::begin(fd_.get());
}

DiskResult<Fd> lock_file(const std::string& path) {
    Fd fd(uninterrupted([&] { return ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600); }));
    if (!fd) return std::unexpected(disk_error("lock", path, errno));
    if (uninterrupted([&] { return ::flock(fd.get(), LOCK_EX | LOCK_NB); }) != 0) {
        return std::unexpected(disk_error("lock", path, errno));
    }
    return fd;
}

}  // namespace postrider::world::real
