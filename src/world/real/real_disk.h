// world/real/real_disk.h: files of the system, done by workers.
//
// On a shard an operation goes to a worker and comes back; on a worker it is done in place. It is
// also done in place on a thread that is neither (main, before the shards run).
//
// Destroying a File closes it in place: cheap, but for the last descriptor of a large file that was
// removed. Who has such a file destroys it inside Worker::run.
//
// Threads: from anywhere; a File by one task at a time.

#pragma once

#include "world/disk.h"
#include "world/real/worker_pool.h"

namespace postrider::world::real {

class RealDisk : public Disk {
public:
    RealDisk(WorkerPool& workers, Executor& executor) : workers_(workers), executor_(executor) {}

    Task<DiskResult<std::unique_ptr<File>>> open(std::string path, OpenMode mode) override;
    Task<DiskStatus> rename(std::string from, std::string to) override;
    Task<DiskStatus> link(std::string from, std::string to) override;
    Task<DiskStatus> remove(std::string path) override;
    Task<DiskStatus> make_directories(std::string path) override;
    Task<DiskResult<std::vector<DirectoryEntry>>> list(std::string path) override;
    Task<DiskResult<FileInfo>> info(std::string path) override;
    Task<DiskStatus> sync_directory(std::string path) override;
    Task<DiskResult<SpaceInfo>> space(std::string path) override;
    Task<DiskResult<std::unique_ptr<DiskLock>>> lock(std::string path) override;

    // Runs a plain blocking call where it may block.
    template <typename Call>
    Task<std::invoke_result_t<Call&>> blocking(Call call);

private:
    WorkerPool& workers_;
    Executor& executor_;
};

}  // namespace postrider::world::real
