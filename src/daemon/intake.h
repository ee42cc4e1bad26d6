// daemon/intake.h: what the house answers to a session (receive/visit.h).
//
// Joins route (who is this recipient?), verdict (is it true?), seal (the trace field, signatures),
// the spool (keep it) and the dispatcher (send it on its way).
//
// Clients of our own, those that may relay, are believed and their mail is signed; the mail of all
// others is judged. Fields that claim to be our Authentication-Results are taken out of both. At a
// listener of kind submission a client says who it is first (submitter.h), and its mail is
// completed.
//
// Promise: Sink::finish accepts only after Spool::commit has answered, so that 250 means durable.
// Threads: visits live on their sessions' shards.

#pragma once

#include <memory>
#include <vector>

#include "base/id.h"
#include "base/memory_account.h"
#include "daemon/account_desk.h"
#include "daemon/dispatcher.h"
#include "daemon/dmarc_rows.h"
#include "daemon/domain_keys.h"
#include "daemon/settings.h"
#include "mailauth/dkim/key_cache.h"
#include "receive/visit.h"
#include "spool/spool.h"
#include "world/world.h"

namespace postrider::daemon {

class Intake : public receive::Host {
public:
    // REQUIRES: all of them outlive the intake and its visits. Ids made are above `id_floor`.
    Intake(world::World& world, spool::Spool& spool, MemoryAccount& account,
           SettingsSource& settings, Dispatcher& dispatcher, const DomainKeys& keys,
           DmarcRows& rows, AccountDesk& accounts, MessageId id_floor);

    // Of a listener for mail from everywhere.
    std::unique_ptr<receive::Visit> visit(ClientFacts client) override;
    // Where clients of a listener of that kind come in.
    receive::Host& door(ListenerConfig::Kind kind);

private:
    friend class IntakeVisit;
    friend class IntakeSink;

    // For our own people and programs.
    class SubmissionDoor : public receive::Host {
    public:
        explicit SubmissionDoor(Intake& intake) : intake_(intake) {}
        std::unique_ptr<receive::Visit> visit(ClientFacts client) override;

    private:
        Intake& intake_;
    };

    MessageId next_id();
    mailauth::dkim::KeyCache& public_keys();  // of this shard

    world::World& world_;
    spool::Spool& spool_;
    MemoryAccount& account_;
    SettingsSource& settings_;
    Dispatcher& dispatcher_;
    const DomainKeys& keys_;
    DmarcRows& rows_;
    AccountDesk& accounts_;
    SubmissionDoor submission_door_{*this};
    std::vector<MessageIdSource> ids_;                   // by shard
    std::vector<mailauth::dkim::KeyCache> public_keys_;  // by shard
};

}  // namespace postrider::daemon
