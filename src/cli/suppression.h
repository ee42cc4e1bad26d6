// cli/suppression.h: the commands about recipients that are not written to again.
//
// The running server does the work (daemon/suppression_commands.h): the list is its own.
//
// Exit code: kExitOk; kExitFailed when `check` found that the address is not written to;
// kExitUnavailable with the reason on err. Threads: the calling shard.

#pragma once

#include <string>

#include "base/task.h"
#include "cli/console.h"
#include "cli/operator.h"
#include "world/world.h"

namespace postrider::cli {

struct SuppressionQuestion {
    std::string address;        // of list: a part of addresses; may be empty there
    std::string sender_domain;  // empty = everybody
    std::string reason;
    std::string operator_name;
};

// `verb`: list, add, remove, check.
Task<int> suppression(world::World& world, OperatorOptions options, std::string verb,
                      SuppressionQuestion question, Console console);

}  // namespace postrider::cli
