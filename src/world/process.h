// world/process.h: runs another program and reads what it says.
//
// The problem: a program that takes mail is somebody else's code. It may hang, write without end,
// leave children behind or not read its input; whatever it does, we go on and know how it ended.
//
// Promise
//   1. The program gets the arguments, environment and folder of the request and nothing else of
//      ours: no descriptors but its standard input, output and error, no blocked signals.
//   2. At the deadline the program and all processes of its group are killed. The group is also
//      killed when the program itself has ended, when its input fails, and when we die.
//   3. Input is asked for piece by piece while the program reads. If a piece cannot be had, the
//      program is killed before it could see an end of input: it never takes a part for the whole.
//   4. A program that does not read its input to the end is no failure; its exit code counts.
//   5. Of standard output and standard error, which are one stream, the last
//      output_octets_max octets are kept; the rest is read and dropped.
//
// Not promised: a program that makes a new session escapes its group, and so the killing.
// Threads: run() from a shard's thread; several may run at once.

#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/task.h"
#include "base/time.h"

namespace postrider::world {

struct ProcessRequest {
    std::vector<std::string> arguments;    // arguments[0] is the program: an absolute path
    std::vector<std::string> environment;  // "NAME=value", all of it
    std::string directory = "/";           // in which it runs
    std::size_t output_octets_max = 16 * 1024;
    Deadline deadline;
};

// Arguments and environment together, with a terminating octet each.
inline constexpr std::size_t kProcessRequestOctetsMax = 64 * 1024;

// Gives the next piece of standard input; empty at its end. The view lives until the next call.
using ProcessInput = std::move_only_function<Task<Result<std::string_view>>()>;

struct ProcessEnd {
    enum class Kind : uint8_t {
        Exited,       // by itself; `code` is its exit code
        Signalled,    // `code` is the signal
        NotStarted,   // it did not run at all; `message` says why
        TimedOut,     // killed at the deadline
        InputFailed,  // killed, since its input could not be had; `message` says why
        Lost,         // nobody knows how it ended; `message` says why
    };
    Kind kind = Kind::Lost;
    int code = 0;
    std::string output;
    std::string message;

    friend bool operator==(const ProcessEnd&, const ProcessEnd&) = default;
};

class Process {
public:
    virtual ~Process() = default;

    // Runs a program to its end. Destroying the task kills it.
    virtual Task<ProcessEnd> run(ProcessRequest request, ProcessInput input) = 0;
};

}  // namespace postrider::world
