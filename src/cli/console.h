// cli/console.h: where a command writes to: the operator's terminal, or a test.
//
// Threads: one.

#pragma once

#include <functional>
#include <string_view>

namespace postrider::cli {

struct Console {
    std::function<void(std::string_view)> out;  // what was asked for
    std::function<void(std::string_view)> err;  // what went wrong, and hints
};

// Exit codes, as sysexits has them.
inline constexpr int kExitOk = 0;
inline constexpr int kExitFailed = 1;
inline constexpr int kExitUsage = 64;
inline constexpr int kExitUnavailable = 69;
inline constexpr int kExitConfig = 78;

}  // namespace postrider::cli
