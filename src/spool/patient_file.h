// spool/patient_file.h: a file that asks again when the disk refuses a read.
//
// The problem: recovery takes what it cannot read for damaged and sets it aside. A refusal that
// passes (a controller that resets, a network disk that comes back) must not cost mail.
//
// Promise: a read that fails is tried again after kReadPause, as long as `again`, which all files
// of one recovery share, is not used up; so a disk that is really broken costs a bounded time.
//
// Threads: as the file within.

#pragma once

#include <chrono>
#include <memory>

#include "base/time.h"
#include "world/clock.h"
#include "world/disk.h"

namespace postrider::spool {

inline constexpr int kReadsAgainMax = 40;
inline constexpr Duration kReadPause = std::chrono::milliseconds(50);

class PatientFile : public world::File {
public:
    // REQUIRES: clock and again outlive it.
    PatientFile(std::unique_ptr<world::File> file, world::Clock& clock, int& again)
        : file_(std::move(file)), clock_(clock), again_(again) {}

    Task<world::DiskResult<std::size_t>> read_at(uint64_t offset, std::span<char> into) override {
        while (true) {
            auto got = co_await file_->read_at(offset, into);
            if (got || again_ <= 0) co_return got;
            again_--;
            co_await clock_.sleep_for(kReadPause);
        }
    }
    Task<world::DiskStatus> write_at(uint64_t offset,
                                     std::span<const std::string_view> pieces) override {
        return file_->write_at(offset, pieces);
    }
    Task<world::DiskStatus> sync() override { return file_->sync(); }
    Task<world::DiskResult<uint64_t>> size() override { return file_->size(); }
    Task<world::DiskStatus> truncate(uint64_t size) override { return file_->truncate(size); }
    Task<world::DiskStatus> allocate(uint64_t size) override { return file_->allocate(size); }
    void bypass_cache() override { file_->bypass_cache(); }

private:
    std::unique_ptr<world::File> file_;
    world::Clock& clock_;
    int& again_;
};

}  // namespace postrider::spool
