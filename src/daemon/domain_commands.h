// daemon/domain_commands.h: the operator's commands about domains: keys, records, what DNS says.
//
//   domain list     each domain with its keys
//   domain add      makes keys if there are none; the records to publish
//   domain rotate   step make: new keys, which do not sign yet; switch: they sign, the others are
//                   old; finish: the old ones are removed. One step at a time, as DNS allows
//   domain check    compares with what the DNS says now
//
// A record is a row {"record": {"purpose", "name", "value", "zone"}}: the text, and the same as a
// line of a zone file. A finding is a row {"check": {"about", "name", "state", "text"}} with a
// state of ok, note, missing, wrong or unknown.
//
// Threads: shard 0's.

#pragma once

#include "admin/server.h"

namespace postrider::daemon {

class River;

// REQUIRES: river outlives the commands.
void add_domain_commands(admin::Commands& commands, River& river);

}  // namespace postrider::daemon
