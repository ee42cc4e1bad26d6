// daemon/suppression_commands.h: the operator's commands about recipients that are not written to.
//
//   suppression list    a row for each entry, with "text" only those whose address has it
//   suppression add     "address", and "sender_domain", "reason", "operator" where given
//   suppression remove  the entry of that address and sender_domain
//   suppression check   the summary says whether a message would be tried, and why not
//
// A change is answered when it is on stable storage.
//
// Threads: shard 0's.

#pragma once

#include "admin/server.h"

namespace postrider::daemon {

class River;

// REQUIRES: river outlives the commands.
void add_suppression_commands(admin::Commands& commands, River& river);

}  // namespace postrider::daemon
