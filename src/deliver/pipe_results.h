// deliver/pipe_results.h: what a program's end means for the queue.
//
// Threads: pure.

#pragma once

#include <span>
#include <string_view>

#include "mail/attempt.h"
#include "world/process.h"

namespace postrider::deliver {

// One exit code of <sysexits.h>.
struct ExitCode {
    int code;
    std::string_view name;  // EX_...
    RecipientResult::Verdict verdict;
    EnhancedStatus status;
    FailureKind kind;
    std::string_view reason;  // for the sender
};

std::span<const ExitCode> exit_codes();

// `recipient`: its number, for the result.
RecipientResult pipe_result(uint32_t recipient, const world::ProcessEnd& end);

}  // namespace postrider::deliver
