// sim/sim_disk.h: the disk of a simulated host, and what can be wrong with it.
//
// The file system itself, with its two states (what the program sees, what the platters hold), is
// sim_file_system.h; here each operation becomes an event that takes drawn time and may fail.
//
// Promise
//   1. sync covers exactly what was written before the call; what is written while it runs may
//      survive by chance only. sync_directory likewise for names.
//   2. A write of several sectors may be in the middle when the host dies: a part of it is then
//      visible (kill) or may survive (power loss).
//   3. After a failed sync the octets it should have made durable are gone from what a loss of
//      power leaves; the program still sees them, or sees the older ones (a coin decides). Later
//      syncs of that File fail.
//
// Faults are plain settings and may be changed at any moment between events.
// Threads: one.

#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "sim/seeded_random.h"
#include "sim/sim_file_system.h"
#include "world/disk.h"

namespace postrider::sim {

struct HostState;

struct DiskFaults {
    // How long operations take; drawn for each.
    Duration operation_min = std::chrono::microseconds(2);
    Duration operation_max = std::chrono::microseconds(60);
    Duration sync_min = std::chrono::microseconds(50);
    Duration sync_max = std::chrono::milliseconds(3);

    uint32_t fail_next_syncs = 0;  // this many syncs of files or directories fail, then no more
    bool fail_every_sync = false;
    uint32_t fail_next_writes = 0;  // with Broken, after a part was written
    uint32_t fail_next_reads = 0;
    bool read_only = false;                 // every change answers ReadOnly
    uint64_t capacity = 16ull << 30;        // octets, in pages of 4096; then Full
    uint64_t files_max = 1'000'000;         // inodes; then Full
    uint32_t partial_write_per_1000 = 250;  // a long write is seen in two steps

    // Chances at a loss of power; see sim_file_system.h.
    PowerLossChances power_loss;

    // The lies, to prove that a checker sees them: sync answers without doing anything.
    bool forget_sync = false;
    bool forget_directory_sync = false;
};

class SimDisk : public world::Disk {
public:
    SimDisk(HostState& host, uint64_t seed, uint64_t label);
    SimDisk(const SimDisk&) = delete;
    SimDisk& operator=(const SimDisk&) = delete;
    ~SimDisk() override;

    DiskFaults faults;

    Task<world::DiskResult<std::unique_ptr<world::File>>> open(std::string path,
                                                               world::OpenMode mode) override;
    Task<world::DiskStatus> rename(std::string from, std::string to) override;
    Task<world::DiskStatus> link(std::string from, std::string to) override;
    Task<world::DiskStatus> remove(std::string path) override;
    Task<world::DiskStatus> make_directories(std::string path) override;
    Task<world::DiskResult<std::vector<world::DirectoryEntry>>> list(std::string path) override;
    Task<world::DiskResult<world::FileInfo>> info(std::string path) override;
    Task<world::DiskStatus> sync_directory(std::string path) override;
    Task<world::DiskResult<world::SpaceInfo>> space(std::string path) override;
    Task<world::DiskResult<std::unique_ptr<world::DiskLock>>> lock(std::string path) override;

    // The file system, for test code: looks and damage without passing time.
    FileSystem& files() { return *files_; }

    // Flips `bits` bits somewhere in [offset, offset + size) of a file, on the platters and, where
    // nothing newer is waiting, for the reader too. False if there is no such file or octet.
    bool rot(std::string_view path, uint64_t offset, uint64_t size, uint32_t bits);

    // Reads that touch the sector fail from now on, until somebody writes to it. False: there is
    // no such file or octet.
    bool break_sector(std::string_view path, uint64_t offset);

    // The host died; see sim_file_system.h.
    void after_power_loss();
    void after_kill();

private:
    friend class SimFile;
    friend class SimLock;

    bool sync_fails();
    void mend_sectors(uint64_t inode, uint64_t offset, uint64_t octets);
    world::DiskError error(world::DiskError::Kind kind, std::string_view operation,
                           std::string_view path) const;
    template <typename Change>
    Task<world::DiskStatus> change(const char* operation, std::string path, Change change);

    HostState& host_;
    std::shared_ptr<FileSystem> files_;  // shared: a File may outlive the host
    SeededRandom random_;
    std::set<std::pair<uint64_t, uint64_t>> bad_sectors_;  // inode and number
    std::shared_ptr<std::set<uint64_t>> locks_;            // inodes; a new set for each life
};

}  // namespace postrider::sim
