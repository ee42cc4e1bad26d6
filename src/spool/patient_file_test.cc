// spool/patient_file_test.cc: how long recovery believes in a disk that refuses to be read.

#include "spool/patient_file.h"

#include <gtest/gtest.h>

#include <utility>

namespace postrider::spool {
namespace {

using namespace std::chrono_literals;

// Time passes only where somebody waits for it, and then at once.
class WaitedClock : public world::Clock {
public:
    Monotonic now() const override { return now_; }
    Wall wall() const override { return {}; }
    std::unique_ptr<world::Timer> call_at(Monotonic moment,
                                          std::move_only_function<void()> work) override {
        now_ = moment;
        due_ = std::move(work);
        return nullptr;
    }
    bool fire() {
        auto work = std::exchange(due_, nullptr);
        if (work) work();
        return bool(work);
    }

private:
    Monotonic now_{1'000'000'000};
    std::move_only_function<void()> due_;
};

// Refuses to be read until a moment.
class Refusing : public world::File {
public:
    Refusing(const WaitedClock& clock, Monotonic until, int& reads)
        : clock_(clock), until_(until), reads_(reads) {}
    Task<world::DiskResult<std::size_t>> read_at(uint64_t, std::span<char> into) override {
        reads_++;
        if (clock_.now() < until_) {
            co_return std::unexpected(world::DiskError{world::DiskError::Kind::Broken, "no"});
        }
        co_return into.size();
    }
    Task<world::DiskStatus> write_at(uint64_t, std::span<const std::string_view>) override {
        co_return world::DiskStatus{};
    }
    Task<world::DiskStatus> sync() override { co_return world::DiskStatus{}; }
    Task<world::DiskResult<uint64_t>> size() override { co_return uint64_t{0}; }
    Task<world::DiskStatus> truncate(uint64_t) override { co_return world::DiskStatus{}; }
    Task<world::DiskStatus> allocate(uint64_t) override { co_return world::DiskStatus{}; }
    void bypass_cache() override {}

private:
    const WaitedClock& clock_;
    Monotonic until_;
    int& reads_;
};

struct Scene {
    WaitedClock clock;
    int again = kReadsAgainMax;
    int reads = 0;

    PatientFile file(Duration refuses) {
        return PatientFile(std::make_unique<Refusing>(clock, clock.now() + refuses, reads), clock,
                           again);
    }
    bool can_read(PatientFile& file) {
        char octets[16];
        auto handle = file.read_at(0, octets).release();
        handle.resume();
        while (clock.fire()) continue;
        EXPECT_TRUE(handle.done());
        bool read = handle.promise().take().has_value();
        handle.destroy();
        return read;
    }
};

TEST(PatientFile, ADiskThatIsAwayForASecondCostsNoMail) {
    Scene scene;
    PatientFile file = scene.file(1s);
    EXPECT_TRUE(scene.can_read(file));
    EXPECT_TRUE(scene.can_read(file));
}

TEST(PatientFile, ABrokenDiskCostsABoundedTimeForAllFilesTogether) {
    Scene scene;
    PatientFile first = scene.file(1000h), second = scene.file(1000h);
    Monotonic begun = scene.clock.now();
    for (int i = 0; i < 5; i++) {
        EXPECT_FALSE(scene.can_read(first));
        EXPECT_FALSE(scene.can_read(second));
    }
    EXPECT_EQ(scene.clock.now() - begun, kReadsAgainMax * kReadPause);
    EXPECT_EQ(scene.reads, 10 + kReadsAgainMax);
}

TEST(PatientFile, WhatWasReadAtOnceUsesNothingUp) {
    Scene scene;
    PatientFile sound = scene.file(0s);
    Monotonic begun = scene.clock.now();
    for (int i = 0; i < 100; i++) EXPECT_TRUE(scene.can_read(sound));
    EXPECT_EQ(scene.clock.now(), begun);
    EXPECT_EQ(scene.again, kReadsAgainMax);
}

}  // namespace
}  // namespace postrider::spool
