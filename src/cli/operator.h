// cli/operator.h: commands that ask the running server through its admin socket.
//
// Each prints for people, or rows of JSON (one object per line) with --json.
//
// Exit code: kExitOk, or kExitUnavailable with the reason on err.
// Threads: the calling shard.

#pragma once

#include <string>

#include "base/task.h"
#include "cli/console.h"
#include "world/world.h"

namespace postrider::cli {

struct OperatorOptions {
    std::string socket;  // of the running server
    bool json = false;
};

struct QueueFilter {
    std::string site, sender, id;  // empty = any
};

Task<int> queue_list(world::World& world, OperatorOptions options, QueueFilter filter,
                     Console console);
Task<int> status(world::World& world, OperatorOptions options, Console console);
Task<int> reload(world::World& world, OperatorOptions options, Console console);

}  // namespace postrider::cli
