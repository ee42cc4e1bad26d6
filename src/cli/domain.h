// cli/domain.h: the commands about domains: keys, the records to publish, what DNS says.
//
// The running server does the work (daemon/domain_commands.h): the keys are its own.
//
// Exit code: kExitOk; kExitFailed when domain_check() found a problem; kExitUnavailable with the
// reason on err. Threads: the calling shard.

#pragma once

#include <string>

#include "base/task.h"
#include "cli/console.h"
#include "cli/operator.h"
#include "world/world.h"

namespace postrider::cli {

Task<int> domain_list(world::World& world, OperatorOptions options, Console console);
Task<int> domain_add(world::World& world, OperatorOptions options, std::string domain,
                     Console console);

struct Rotation {
    std::string step = "make";  // make, switch, finish
    bool force = false;         // switch although DNS does not show the new keys
};
Task<int> domain_rotate(world::World& world, OperatorOptions options, std::string domain,
                        Rotation rotation, Console console);
Task<int> domain_check(world::World& world, OperatorOptions options, std::string domain,
                       Console console);

}  // namespace postrider::cli
