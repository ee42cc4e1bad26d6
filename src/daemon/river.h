// daemon/river.h: the rooms, joined: from listener to mailbox.
//
// open() finds the end of the spool's log and listens; what waits in the spool is read beside new
// mail and joins the queue behind that. Everything that production runs is made here, over whatever
// World it is given: the real one or the simulator's.
//
// Promise
//   1. No client is greeted before the spool takes mail; what lies in it is tried again without
//      being asked for, however often its disk refuses at first.
//   2. stop() lets sessions finish their transaction, waits for running deliveries, and closes the
//      spool, so that the next start finds a clean stop; what its deadline cuts off is found too.
//   3. reload() takes a new configuration whole or not at all.
//
// Threads: shard 0's; it is destroyed after stop() has returned, or when its host dies.

#pragma once

#include <memory>
#include <string>
#include <vector>

#include "admin/server.h"
#include "base/memory_account.h"
#include "daemon/account_desk.h"
#include "daemon/certificates.h"
#include "daemon/config.h"
#include "daemon/dispatcher.h"
#include "daemon/dmarc_rows.h"
#include "daemon/domain_keys.h"
#include "daemon/intake.h"
#include "daemon/reporter.h"
#include "daemon/settings.h"
#include "daemon/suppression_list.h"
#include "receive/drop.h"
#include "receive/server.h"
#include "spool/spool.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::daemon {

struct RiverOptions {
    std::shared_ptr<const Config> config;
    // Listening sockets that were handed to us (socket activation); used for listeners with the
    // same address.
    std::vector<std::unique_ptr<world::Listener>> adopted;
    DeliveryObserver observer;       // may be empty
    std::size_t open_files_max = 0;  // of this process; 0 = not known
    world::Sql* sql = nullptr;       // for accounts in databases; outlives the river
    // Reads the configuration again; what `postrider reload` asks for. May be empty.
    std::function<Task<Status<Error>>()> reload;
};

class River {
public:
    // REQUIRES: world outlives the river. The error is for the operator: which part could not
    // start.
    static Task<Result<std::unique_ptr<River>>> open(world::World& world, RiverOptions options);
    ~River();

    // What can change while running: domains, aliases, limits, relay networks, time-outs. Addresses
    // of listeners, directories, shards and memory need a restart; the error names what differs.
    Task<Status<Error>> reload(std::shared_ptr<const Config> next);

    Task<void> stop(Deadline deadline);

    // Where clients are served; ports are real ones, also where 0 was configured.
    std::vector<world::Endpoint> listening() const;

    Dispatcher& dispatcher() { return *dispatcher_; }
    spool::Spool& spool() { return *spool_; }
    DomainKeys& keys() { return keys_; }
    SuppressionList& suppression() { return suppression_; }
    AccountDesk& accounts() { return accounts_; }
    const Config& config() const { return *config_; }
    world::World& world() { return world_; }
    const MemoryAccount& memory() const { return account_; }
    std::size_t session_count() const;
    // Whether messages of earlier lives are not all in the queue yet.
    bool is_recovering() const { return dispatcher_->is_recovering(); }

private:
    River(world::World& world, RiverOptions options);

    Task<Status<Error>> open_spool();
    Task<void> recover();
    Status<Error> listen();
    void put_in_force();  // config_ and the contexts of certificates_
    std::shared_ptr<const receive::SessionSettings> sessions_of(const ListenerConfig& listener);

    world::World& world_;
    RiverOptions options_;
    std::shared_ptr<const Config> config_;
    MemoryAccount account_;
    Certificates certificates_;
    SettingsSource settings_;
    spool::SpoolReport opened_;
    std::unique_ptr<spool::Spool> spool_;
    DomainKeys keys_;
    DmarcRows rows_;
    SuppressionList suppression_;
    AccountDesk accounts_;
    std::unique_ptr<Reporter> reporter_;
    std::unique_ptr<Dispatcher> dispatcher_;
    std::unique_ptr<Intake> intake_;
    std::unique_ptr<receive::Drop> drop_;
    std::vector<std::unique_ptr<receive::Server>> servers_;  // as config_->listeners
    std::unique_ptr<admin::Server> admin_;
    world::Signal still_;  // stop() has begun, or recover() has ended
    bool stopping_ = false;
    bool recovering_ = false;
};

}  // namespace postrider::daemon
