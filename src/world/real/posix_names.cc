// Names: the half of posix_files.h that makes, moves and lists them.

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <limits>
#include <memory>

#include "world/real/posix_files.h"

namespace postrider::world::real {

namespace {

DirectoryEntry::Type type_of(mode_t mode) {
    if (S_ISREG(mode)) return DirectoryEntry::Type::File;
    if (S_ISDIR(mode)) return DirectoryEntry::Type::Directory;
    return DirectoryEntry::Type::Other;
}

// Some file systems do not tell the type while listing.
DirectoryEntry::Type type_of(const dirent& entry, int directory) {
    switch (entry.d_type) {
        case DT_REG:
            return DirectoryEntry::Type::File;
        case DT_DIR:
            return DirectoryEntry::Type::Directory;
        case DT_UNKNOWN:
            break;
        default:
            return DirectoryEntry::Type::Other;
    }
    struct stat info{};
    if (::fstatat(directory, entry.d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
        return DirectoryEntry::Type::Other;
    }
    return type_of(info.st_mode);
}

std::string without_trailing_slashes(std::string path) {
    while (path.size() > 1 && path.back() == '/') path.pop_back();
    return path;
}

std::string parent_of(const std::string& path) {
    std::size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : without_trailing_slashes(path.substr(0, slash));
}

bool is_directory(const std::string& path) {
    struct stat info{};
    return ::stat(path.c_str(), &info) == 0 && S_ISDIR(info.st_mode);
}

// A directory that we may not read was not made by us, so its names are not ours to sync.
DiskStatus sync_if_readable(const std::string& path) {
    auto synced = sync_directory_of(path);
    if (!synced && synced.error().kind == DiskError::Kind::NotPermitted) return {};
    if (!synced && synced.error().kind == DiskError::Kind::ReadOnly) return {};
    return synced;
}

}  // namespace

DiskStatus rename_file(const std::string& from, const std::string& to) {
    if (::rename(from.c_str(), to.c_str()) == 0) return {};
    return std::unexpected(disk_error("rename", fmt::format("{} to {}", from, to), errno));
}

DiskStatus link_file(const std::string& from, const std::string& to) {
    if (::link(from.c_str(), to.c_str()) == 0) return {};
    return std::unexpected(disk_error("link", fmt::format("{} to {}", from, to), errno));
}

DiskStatus remove_file(const std::string& path) {
    if (::unlink(path.c_str()) == 0) return {};
    int error = errno;
    if (error == EISDIR || error == EPERM) {
        if (::rmdir(path.c_str()) == 0) return {};
        if (errno != ENOTDIR) error = errno;
    }
    return std::unexpected(disk_error("remove", path, error));
}

DiskStatus make_directory_chain(const std::string& asked) {
    std::string path = without_trailing_slashes(asked);
    std::string parent = parent_of(path);
    int error = ::mkdir(path.c_str(), 0700) == 0 ? 0 : errno;
    if (error == ENOENT && parent != path && !path.empty()) {
        if (auto made = make_directory_chain(parent); !made) return made;
        error = ::mkdir(path.c_str(), 0700) == 0 ? 0 : errno;
    }
    if (error == 0) {
        // The parent's own name may be one that a stopped program made and did not sync.
        if (auto synced = sync_if_readable(parent_of(parent)); !synced) return synced;
        return sync_directory_of(parent);
    }
    // Systems differ in what they say first about a name that is there: ask what it is.
    if (is_directory(path)) return sync_if_readable(parent);
    return std::unexpected(disk_error("make directory", path, error));
}

DiskResult<std::vector<DirectoryEntry>> list_directory(const std::string& path) {
    std::unique_ptr<DIR, int (*)(DIR*)> directory(::opendir(path.c_str()), ::closedir);
    if (!directory) return std::unexpected(disk_error("list", path, errno));
    std::vector<DirectoryEntry> out;
    while (true) {
        errno = 0;
        const dirent* entry = ::readdir(directory.get());
        if (!entry) break;
        std::string name = entry->d_name;
        if (name == "." || name == "..") continue;
        out.push_back({std::move(name), type_of(*entry, ::dirfd(directory.get()))});
    }
    if (errno != 0) return std::unexpected(disk_error("list", path, errno));
    return out;
}

DiskResult<FileInfo> file_info(const std::string& path) {
    struct stat info{};
    if (::stat(path.c_str(), &info) != 0)
        return std::unexpected(disk_error("look at", path, errno));
    FileInfo out;
    out.size = static_cast<uint64_t>(info.st_size);
    out.modified = {int64_t{info.st_mtim.tv_sec} * 1'000'000 + info.st_mtim.tv_nsec / 1000};
    out.type = type_of(info.st_mode);
    out.owner = info.st_uid;
    return out;
}

DiskStatus sync_directory_of(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd) return std::unexpected(disk_error("sync directory", path, errno));
#ifdef POSTRIDER_SYNC_DELAY_MS
    ::poll(nullptr, 0, POSTRIDER_SYNC_DELAY_MS);
#endif
#ifndef POSTRIDER_NO_SYNC
    int result = ::fsync(fd.get());
    while (result != 0 && errno == EINTR) result = ::fsync(fd.get());
    if (result != 0) {
        DiskError out = disk_error("sync directory", path, errno);
        if (errno != EROFS) out.kind = DiskError::Kind::Broken;
        return std::unexpected(std::move(out));
    }
#endif
    return {};
}

DiskResult<SpaceInfo> space_at(const std::string& path) {
    struct statvfs info{};
    if (::statvfs(path.c_str(), &info) != 0) {
        return std::unexpected(disk_error("ask for the space at", path, errno));
    }
    SpaceInfo out;
    out.free_octets = uint64_t{info.f_bavail} * info.f_frsize;
    out.total_octets = uint64_t{info.f_blocks} * info.f_frsize;
    bool counted = info.f_files != 0;  // btrfs and others do not
    out.free_files = counted ? uint64_t{info.f_favail} : std::numeric_limits<uint64_t>::max();
    return out;
}

}  // namespace postrider::world::real
