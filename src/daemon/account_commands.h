// daemon/account_commands.h: the operator's commands about accounts in the users file.
//
//   account list       rows {"account", "passwords": [{"label", "scheme", "last_use"}], "send_as",
//                      limits, "disabled"}; last_use in seconds since 1970, 0 = never seen
//   account add        args: name, password, scheme, send_as, recipients_max, messages_per_hour,
//                      message_octets_max
//   account password   args: name, password, scheme; app: label of an app password, made or
//                      replaced; remove: that app password is taken away
//   account remove     args: name
//
// A password comes over the operator's socket, is hashed on a worker, and is never logged.
// Threads: shard 0's.

#pragma once

#include "admin/server.h"

namespace postrider::daemon {

class River;

// REQUIRES: river outlives the commands.
void add_account_commands(admin::Commands& commands, River& river);

}  // namespace postrider::daemon
