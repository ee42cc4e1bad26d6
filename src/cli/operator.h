// cli/operator.h: commands that ask the running server through its admin socket.
//
// Each prints for people, or rows of JSON (one object per line) with --json.
//
// Exit code: kExitOk, or kExitUnavailable with the reason on err.
// Threads: the calling shard.

#pragma once

#include <cstdint>
#include <string>

#include "base/task.h"
#include "cli/console.h"
#include "world/world.h"

namespace postrider::cli {

struct OperatorOptions {
    std::string socket;  // of the running server
    bool json = false;
};

// Which entries of the queue are meant; empty = any.
struct QueueFilter {
    std::string id, site, sender, domain, recipient, error, failure_class, state;
    int64_t older_than_seconds = 0;

    bool is_empty() const;
};

// `limit`: rows at most; 0 = all. How many match is told in any case.
Task<int> queue_list(world::World& world, OperatorOptions options, QueueFilter filter,
                     uint64_t limit, Console console);

struct QueueVerb {
    std::string name;           // retry, hold, release, remove, bounce
    bool preview = false;       // only show what would be touched
    std::string operator_name;  // who does it, for the log
};
Task<int> queue_verb(world::World& world, OperatorOptions options, QueueFilter filter,
                     QueueVerb verb, Console console);

Task<int> queue_sites(world::World& world, OperatorOptions options, Console console);

// One message whole: envelope, recipients, attempts with their dialogues.
Task<int> show(world::World& world, OperatorOptions options, std::string id, Console console);

Task<int> status(world::World& world, OperatorOptions options, Console console);
Task<int> reload(world::World& world, OperatorOptions options, Console console);

}  // namespace postrider::cli
