#include "daemon/log_file.h"

#include <cassert>
#include <utility>

namespace postrider::daemon {

LogFile::LogFile(LogOptions options, LineSink sink, const world::Clock& clock)
    : format_(options.format),
      buffer_octets_max_(options.buffer_octets_max),
      clock_(clock),
      level_(options.level),
      sink_(std::move(sink)) {}

LogFile::~LogFile() { stop(); }

void LogFile::write(Event event, std::span<const LogField> fields) {
    if (info(event).level < level_.load(std::memory_order_relaxed)) return;
    thread_local std::string line;  // keeps its memory from line to line
    line.clear();
    append_line(line, format_, clock_.wall(), event, fields);

    std::unique_lock lock(mutex_);
    if (!threaded_) {
        // Main alone is running: the lock may be held while writing.
        settle(put(line, {.count = 1, .dropped = std::exchange(untold_, 0)}));
        return;
    }
    if (waiting_.size() + line.size() > buffer_octets_max_) {
        ++untold_;
        ++dropped_;
        return;
    }
    bool was_half_full = is_half_full();
    waiting_ += line;
    ++waiting_count_;
    bool wake = std::exchange(idle_, false) || is_half_full() != was_half_full;
    lock.unlock();
    if (wake) wake_.notify_one();
}

void LogFile::start() {
    std::lock_guard lock(mutex_);
    assert(!threaded_);
    threaded_ = true;
    stop_ = false;
    thread_ = std::thread([this] { run(); });
}

void LogFile::stop() {
    {
        std::lock_guard lock(mutex_);
        if (!threaded_) return;
        stop_ = true;
    }
    wake_.notify_one();
    thread_.join();
}

void LogFile::reopen() {
    std::unique_lock lock(mutex_);
    if (!threaded_) {
        std::string nothing;
        settle(put(nothing, {.dropped = std::exchange(untold_, 0), .reopen = true}));
        return;
    }
    reopen_ = true;
    idle_ = false;
    lock.unlock();
    wake_.notify_one();
}

uint64_t LogFile::dropped() const {
    std::lock_guard lock(mutex_);
    return dropped_;
}

void LogFile::run() {
    std::string lines;
    std::unique_lock lock(mutex_);
    for (;;) {
        idle_ = true;
        wake_.wait(lock, [&] { return !waiting_.empty() || reopen_ || stop_; });
        idle_ = false;
        bool last = waiting_.empty() && !reopen_;  // so stop_, and nothing is left
        lines.clear();
        std::swap(lines, waiting_);
        Batch batch{.count = std::exchange(waiting_count_, 0),
                    .dropped = std::exchange(untold_, 0),
                    .reopen = std::exchange(reopen_, false)};
        if (last) {
            settle(put(lines, batch));
            threaded_ = false;  // a line after this is written by its caller
            return;
        }
        lock.unlock();
        Lost lost = put(lines, batch);
        lock.lock();
        settle(lost);
        wake_.wait_for(lock, kGatherTime, [&] { return is_half_full() || reopen_ || stop_; });
    }
}

LogFile::Lost LogFile::put(std::string& lines, const Batch& batch) {
    // What was dropped came when the buffer was full, so after the lines in it.
    if (batch.dropped > 0) {
        say(lines, Event::LogLinesDropped, LogField{"count", static_cast<int64_t>(batch.dropped)});
    }
    Lost lost;
    if (!lines.empty() && !sink_.write(lines)) {
        lost = {.lines = batch.count, .untold = batch.count + batch.dropped};
    }
    if (!batch.reopen) return lost;
    if (Status<> status = sink_.reopen(); !status) {
        std::string line;
        say(line, Event::LogReopenFailed, LogField{"reason", status.error().message});
        // The old file is still open; if it takes no line either, dropped lines tell of it later.
        if (!sink_.write(line)) {
            ++lost.lines;
            ++lost.untold;
        }
    }
    return lost;
}

void LogFile::say(std::string& lines, Event event, LogField field) {
    append_line(lines, format_, clock_.wall(), event, std::span(&field, 1));
}

void LogFile::settle(const Lost& lost) {
    dropped_ += lost.lines;
    untold_ += lost.untold;
}

}  // namespace postrider::daemon
