// daemon/intake.h: what the house answers to a session (receive/visit.h).
//
// Joins route (who is this recipient?), seal (the trace field), the spool (keep it) and the
// dispatcher (send it on its way).
//
// Promise: Sink::finish accepts only after Spool::commit has answered, so that 250 means durable.
// Threads: visits live on their sessions' shards.

#pragma once

#include <memory>
#include <vector>

#include "base/id.h"
#include "base/memory_account.h"
#include "daemon/dispatcher.h"
#include "daemon/settings.h"
#include "receive/visit.h"
#include "spool/spool.h"
#include "world/world.h"

namespace postrider::daemon {

class Intake : public receive::Host {
public:
    // REQUIRES: all of them outlive the intake and its visits. Ids made are above `id_floor`.
    Intake(world::World& world, spool::Spool& spool, MemoryAccount& account,
           SettingsSource& settings, Dispatcher& dispatcher, MessageId id_floor);

    std::unique_ptr<receive::Visit> visit(ClientFacts client) override;

private:
    friend class IntakeVisit;
    friend class IntakeSink;

    MessageId next_id();

    world::World& world_;
    spool::Spool& spool_;
    MemoryAccount& account_;
    SettingsSource& settings_;
    Dispatcher& dispatcher_;
    std::vector<MessageIdSource> ids_;  // by shard
};

}  // namespace postrider::daemon
