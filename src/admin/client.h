// admin/client.h: asks a running server, for the operator's commands.
//
// Failure: an Error that says what the operator can do (is the server running? may I?).
// Threads: the calling shard.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "admin/protocol.h"
#include "base/task.h"
#include "world/world.h"

namespace postrider::admin {

// Sends `request` to the server at `socket_path`, calls `on_row` for each row and returns the
// summary. Waits at most 30 s for the server to begin, and 60 s between two pieces of an answer.
Task<Result<Json>> call(world::World& world, std::string socket_path, Request request,
                        std::function<void(const Json&)> on_row);

// The same, for a caller who passes rows on: each comes as the server has written it, one object of
// JSON, not looked into.
Task<Result<Json>> call_for_text(world::World& world, std::string socket_path, Request request,
                                 std::function<void(std::string_view)> on_row);

}  // namespace postrider::admin
