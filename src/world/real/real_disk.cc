#include "world/real/real_disk.h"

#include "world/real/loop.h"
#include "world/real/posix_files.h"

namespace postrider::world::real {

namespace {

class RealFile : public File {
public:
    RealFile(RealDisk& disk, PosixFile file) : disk_(disk), file_(std::move(file)) {}

    Task<DiskResult<std::size_t>> read_at(uint64_t offset, std::span<char> into) override {
        return disk_.blocking([this, offset, into] { return file_.read_at(offset, into); });
    }
    Task<DiskStatus> write_at(uint64_t offset, std::span<const std::string_view> pieces) override {
        return disk_.blocking([this, offset, pieces] { return file_.write_at(offset, pieces); });
    }
    Task<DiskStatus> sync() override {
        return disk_.blocking([this] { return file_.sync(); });
    }
    Task<DiskResult<uint64_t>> size() override {
        return disk_.blocking([this] { return file_.size(); });
    }
    Task<DiskStatus> truncate(uint64_t size) override {
        return disk_.blocking([this, size] { return file_.truncate(size); });
    }
    Task<DiskStatus> allocate(uint64_t size) override {
        return disk_.blocking([this, size] { return file_.allocate(size); });
    }
    void bypass_cache() override { file_.bypass_cache(); }

private:
    RealDisk& disk_;
    PosixFile file_;
};

class RealLock : public DiskLock {
public:
    explicit RealLock(Fd fd) : fd_(std::move(fd)) {}

private:
    Fd fd_;
};

struct EnterWorker {
    WorkerPool& workers;
    bool await_ready() const { return false; }
    void await_suspend(std::coroutine_handle<> waiting) { workers.enter(waiting); }
    void await_resume() const {}
};

}  // namespace

template <typename Call>
Task<std::invoke_result_t<Call&>> RealDisk::blocking(Call call) {
    if (!loop_here()) co_return call();
    ShardId home = shard_here();
    co_await EnterWorker{workers_};
    auto result = call();
    co_await executor_.switch_to(home);
    co_return result;
}

Task<DiskResult<std::unique_ptr<File>>> RealDisk::open(std::string path, OpenMode mode) {
    return blocking([this, path = std::move(path), mode]() -> DiskResult<std::unique_ptr<File>> {
        auto file = PosixFile::open(path, mode);
        if (!file) return std::unexpected(file.error());
        return std::make_unique<RealFile>(*this, std::move(*file));
    });
}

Task<DiskStatus> RealDisk::rename(std::string from, std::string to) {
    return blocking([from = std::move(from), to = std::move(to)] { return rename_file(from, to); });
}

Task<DiskStatus> RealDisk::link(std::string from, std::string to) {
    return blocking([from = std::move(from), to = std::move(to)] { return link_file(from, to); });
}

Task<DiskStatus> RealDisk::remove(std::string path) {
    return blocking([path = std::move(path)] { return remove_file(path); });
}

Task<DiskStatus> RealDisk::make_directories(std::string path) {
    return blocking([path = std::move(path)] { return make_directory_chain(path); });
}

Task<DiskResult<std::vector<DirectoryEntry>>> RealDisk::list(std::string path) {
    return blocking([path = std::move(path)] { return list_directory(path); });
}

Task<DiskResult<FileInfo>> RealDisk::info(std::string path) {
    return blocking([path = std::move(path)] { return file_info(path); });
}

Task<DiskStatus> RealDisk::sync_directory(std::string path) {
    return blocking([path = std::move(path)] { return sync_directory_of(path); });
}

Task<DiskResult<SpaceInfo>> RealDisk::space(std::string path) {
    return blocking([path = std::move(path)] { return space_at(path); });
}

Task<DiskResult<std::unique_ptr<DiskLock>>> RealDisk::lock(std::string path) {
    return blocking([path = std::move(path)]() -> DiskResult<std::unique_ptr<DiskLock>> {
        auto fd = lock_file(path);
        if (!fd) return std::unexpected(fd.error());
        return std::make_unique<RealLock>(std::move(*fd));
    });
}

}  // namespace postrider::world::real
