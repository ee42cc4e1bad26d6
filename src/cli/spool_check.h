// cli/spool_check.h: reads a whole spool, changes nothing, and says what it found.
//
// Exit code: kExitOk when nothing is damaged, kExitFailed when something is, kExitUnavailable when
// the spool could not be read.
// Threads: the calling shard.

#pragma once

#include <string>

#include "base/task.h"
#include "cli/console.h"
#include "world/world.h"

namespace postrider::cli {

Task<int> spool_check(world::World& world, std::string directory, bool json, Console console);

}  // namespace postrider::cli
