// bench/keeper.h: the least that a server does which keeps mail.
//
// The problem: a sink that keeps nothing says how fast messages can be received, and the disk alone
// how fast they can be written, but not how fast both go on at the same time on the same cores. So
// the sink may keep what it takes: in one file whose space was written before, past the system's
// cache, and synced before the 250; all that came meanwhile shares the next write and sync. Nothing
// is parsed, checked, named or found again.
//
// Threads: one, but for the writing, which has a thread of its own.

#pragma once

#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace postrider::bench {

class Keeper {
public:
    explicit Keeper(const std::string& path);
    ~Keeper();
    Keeper(const Keeper&) = delete;
    Keeper& operator=(const Keeper&) = delete;

    // What comes goes into the group that is being filled. REQUIRES: at most kGroupOctets.
    void add(std::string_view content, uint64_t who);
    // Begins to write it, unless one is being written.
    void begin();

    int fd() const { return event_; }  // readable when a group is durable
    std::vector<uint64_t> take_durable();

    static constexpr std::size_t kGroupOctets = 16 << 20;

private:
    struct Group {
        char* octets = nullptr;
        std::size_t size = 0;
        std::vector<uint64_t> members;
    };
    void run();

    int file_;
    int event_;
    off_t at_ = 0;
    Group filling_;
    Group writing_;
    bool busy_ = false;  // writing_ is the thread's, or durable and not yet taken
    std::mutex mutex_;
    std::condition_variable called_;
    bool due_ = false;   // under mutex_
    bool stop_ = false;  // under mutex_
    std::thread thread_;
};

}  // namespace postrider::bench
