// daemon/queue_commands.h: the operator's commands about what waits to be delivered.
//
//   queue list      a row for each entry that matches; "limit" rows at most, the summary counts all
//   queue retry, hold, release, remove, bounce
//                   what becomes of those that match, each with its row; "preview": nothing
//   queue sites     a row for each site that has entries
//
// Filters: "id", "site", "sender", "domain", "recipient", "error", "class", "state",
// "older_than_seconds". Without one that needs the messages themselves, none is read.
//
// Threads: shard 0's.

#pragma once

#include "admin/server.h"
#include "mail/failure_class.h"
#include "spool/stored_message.h"

namespace postrider::daemon {

class River;

// What a recipient's last failure means, from the words that are kept with it.
FailureClass standing_class(const spool::Standing& standing);

// REQUIRES: river outlives the commands.
void add_queue_commands(admin::Commands& commands, River& river);

}  // namespace postrider::daemon
