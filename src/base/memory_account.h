// base/memory_account.h: one account of octets for the whole process.
//
// The problem: many sessions, drafts and waiting messages must not together take more memory than
// the machine has. Each large holding is charged here; when the account is near its limit new work
// is answered with 421 or 452 instead of being begun.
//
// Promise: the sum of all charges never exceeds the limit. A Charge gives back what it holds when
// it is destroyed. Small fixed costs (a session's object) are charged as an estimate.
//
// Threads: from anywhere; one relaxed atomic operation per change, so charge in steps of kStep.

#pragma once

#include <atomic>
#include <cstddef>
#include <utility>

namespace postrider {

class MemoryAccount {
public:
    static constexpr std::size_t kStep = 32 * 1024;  // a good size for one charge

    explicit MemoryAccount(std::size_t limit_octets) : limit_(limit_octets) {}
    MemoryAccount(const MemoryAccount&) = delete;
    MemoryAccount& operator=(const MemoryAccount&) = delete;

    std::size_t used() const { return used_.load(std::memory_order_relaxed); }
    std::size_t limit() const { return limit_; }

    // More than half is left: room for what could be read again, such as messages that wait. Such
    // holdings may never bring the account near its limit, or they would keep new work out.
    bool is_roomy() const { return used() < limit_ / 2; }

    // Less than a tenth is left: finish what was begun, begin nothing large.
    bool is_tight() const { return used() > limit_ - limit_ / 10; }

private:
    friend class MemoryCharge;

    bool take(std::size_t octets) {
        std::size_t before = used_.fetch_add(octets, std::memory_order_relaxed);
        if (before + octets <= limit_) return true;
        used_.fetch_sub(octets, std::memory_order_relaxed);
        return false;
    }
    void give(std::size_t octets) { used_.fetch_sub(octets, std::memory_order_relaxed); }

    const std::size_t limit_;
    std::atomic<std::size_t> used_ = 0;
};

// What one owner holds of the account.
class MemoryCharge {
public:
    explicit MemoryCharge(MemoryAccount& account) : account_(&account) {}
    MemoryCharge(MemoryCharge&& other) noexcept
        : account_(other.account_), octets_(std::exchange(other.octets_, 0)) {}
    MemoryCharge& operator=(MemoryCharge&& other) noexcept {
        if (this != &other) {
            release();
            account_ = other.account_;
            octets_ = std::exchange(other.octets_, 0);
        }
        return *this;
    }
    ~MemoryCharge() { release(); }

    // Holds at least `octets`, growing in steps. False, and nothing changed, when the limit is
    // near.
    [[nodiscard]] bool grow_to(std::size_t octets) {
        if (octets <= octets_) return true;
        std::size_t wanted =
            (octets + MemoryAccount::kStep - 1) / MemoryAccount::kStep * MemoryAccount::kStep;
        if (!account_->take(wanted - octets_)) return false;
        octets_ = wanted;
        return true;
    }

    void release() {
        if (octets_ > 0) account_->give(std::exchange(octets_, 0));
    }

    std::size_t octets() const { return octets_; }

private:
    MemoryAccount* account_;
    std::size_t octets_ = 0;
};

}  // namespace postrider
