// world/real/log_descriptor.h: the file, or standard error, that log lines are added to.
//
// Promise
//   1. Lines go to the end of the file (O_APPEND), also when another program writes to it.
//   2. A write that broke off in the middle of a line does not swallow the next one: that begins on
//      a line of its own.
//   3. If reopen() fails, the old file stays open.
//
// Blocks while the disk is slow: the log calls it from a thread of its own.
// Threads: one at a time.
// Failure: Error with the path and the system's words.

#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postrider::world::real {

class LogDescriptor {
public:
    // An empty path is standard error, which reopen() leaves as it is. A new file has mode 0640.
    static Result<std::unique_ptr<LogDescriptor>> open(std::string path);

    LogDescriptor(const LogDescriptor&) = delete;
    LogDescriptor& operator=(const LogDescriptor&) = delete;
    ~LogDescriptor();

    Status<> write(std::string_view lines);
    Status<> reopen();

private:
    LogDescriptor(std::string path, int descriptor)
        : path_(std::move(path)), descriptor_(descriptor) {}

    std::string path_;  // empty = standard error
    int descriptor_;
    bool torn_ = false;  // the last line written has no end
};

}  // namespace postrider::world::real
