// daemon/log_file.h: where log lines go.
//
// The problem: every shard writes lines, the disk below the log may be slow or full, and neither
// may hold up mail. Lines are formatted on the calling thread, handed over under a short lock, and
// written by one thread, many at a time: after each write it rests for kGatherTime, so that under
// load it is not woken for each line.
//
// Promise
//   1. A line is written whole, after every line that the same thread wrote before it.
//   2. write() never waits for the disk once start() was called. What does not fit into the buffer,
//      or could not be written, is counted, and the count is told (LogLinesDropped) as soon as
//      writing works again. (After a failed write all its lines count, also if some got through.)
//   3. stop() and the destructor write what was handed over before.
//
// Before start() lines are written at once by the caller: so the log may be used before the first
// thread may exist.
//
// Threads: write(), reopen(), set_level() from anywhere; start() and stop() from main.
// Failure: nobody is told but by the count; a program does not stop because its log is full.

#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "base/log.h"
#include "base/result.h"
#include "daemon/log_line.h"
#include "world/clock.h"

namespace postrider::daemon {

inline constexpr Duration kGatherTime = std::chrono::milliseconds(2);

// The way out, given by main. Both are called by one thread at a time.
struct LineSink {
    std::move_only_function<Status<>(std::string_view lines)> write;  // all of them, in order
    std::move_only_function<Status<>()> reopen;
};

struct LogOptions {
    LogFormat format = LogFormat::Logfmt;
    LogLevel level = LogLevel::Info;
    std::size_t buffer_octets_max =
        4 * 1024 * 1024;  // waiting for the disk; then lines are dropped
};

class LogFile : public Log {
public:
    // REQUIRES: clock outlives the log.
    LogFile(LogOptions options, LineSink sink, const world::Clock& clock);
    ~LogFile() override;

    using Log::write;
    void write(Event event, std::span<const LogField> fields) override;

    void start();  // once, at most
    void stop();   // from here on lines are written by the caller again

    // Opens the file anew after the lines written before the call (rotation). Without start(): now.
    void reopen();

    void set_level(LogLevel level) { level_.store(level, std::memory_order_relaxed); }

    // Lines lost so far, told or not.
    uint64_t dropped() const;

private:
    struct Batch {
        uint64_t count = 0;    // of lines in it
        uint64_t dropped = 0;  // to be told after them
        bool reopen = false;   // after all
    };
    struct Lost {
        uint64_t lines = 0;
        uint64_t untold = 0;
    };

    void run();
    bool is_half_full() const { return waiting_.size() > buffer_octets_max_ / 2; }
    // Writes a batch. Called by one thread at a time, the writing one without the lock.
    Lost put(std::string& lines, const Batch& batch);
    void say(std::string& lines, Event event, LogField field);
    void settle(const Lost& lost);  // with the lock

    const LogFormat format_;
    const std::size_t buffer_octets_max_;
    const world::Clock& clock_;
    std::atomic<LogLevel> level_;
    LineSink sink_;

    mutable std::mutex mutex_;
    std::condition_variable wake_;
    std::string waiting_;  // lines for the writing thread
    uint64_t waiting_count_ = 0;
    uint64_t untold_ = 0;  // dropped, not yet told
    uint64_t dropped_ = 0;
    bool reopen_ = false;
    bool stop_ = false;
    bool threaded_ = false;
    bool idle_ = false;  // the writing thread sleeps until there is a line
    std::thread thread_;
};

}  // namespace postrider::daemon
