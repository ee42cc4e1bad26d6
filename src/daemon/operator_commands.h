// daemon/operator_commands.h: what an operator can ask of the running server.
//
// The table of commands for admin::Server. Each writes rows as it finds them and ends with a
// summary.
//
// Threads: shard 0's.

#pragma once

#include <functional>

#include "admin/server.h"

namespace postrider::daemon {

class River;

// REQUIRES: river outlives the commands.
admin::Commands operator_commands(River& river, const std::function<Task<Status<Error>>()>& reload);

}  // namespace postrider::daemon
