// daemon/onward.h: the way to other hosts: who they are, and connections to them.
//
// A job of the queue that does not end in a mailbox here comes to this place. Its destination is
// looked up (and remembered for as long as DNS allows); then a connection carries it, and goes on
// carrying jobs of the same site as long as the queue has some and the host takes them. Where jobs
// of a site follow each other closely, it waits a moment for the next one before it says QUIT.
//
// Promise
//   1. The hosts of a destination are tried in order until one has taken the message for each
//      recipient or has refused it for good; a host that cannot be reached costs the others nothing
//      but the wait for it. Where a message may have been taken, no other host is asked.
//   2. Each job that was begun comes back to the dispatcher with a result for each recipient, or
//      without one for those that were not reached.
//
// Threads: way_to() and run() from shard 0; a connection lives on one shard, drawn in turn.
// RFC 5321 §5.1 (order of hosts), §4.5.4.1 (several messages over one connection).

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "daemon/null_mx_domains.h"
#include "daemon/settings.h"
#include "deliver/smtp_delivery.h"
#include "mail/attempt.h"
#include "mail/destination.h"
#include "queue/scheduler.h"
#include "spool/stored_message.h"
#include "world/world.h"

namespace postrider::daemon {

// How a destination is reached now.
struct Way {
    struct Hop {
        std::string name;  // of the host
        world::Endpoint endpoint;
        uint16_t preference = 0;
    };
    std::string site;  // key of limits
    smtp::ClientMode mode = smtp::ClientMode::Smtp;
    bool is_chosen = false;                            // by the operator, not by MX records
    deliver::HostTls tls = deliver::HostTls::Default;  // of a chosen host
    bool logs_in = false;                              // the smarthost, with a user
    std::vector<Hop> hops;  // by preference; equals in an order that each connection draws anew
    // Set when there is no way: what this means for each recipient. hops is empty then.
    std::optional<RecipientResult> failure;
    Monotonic expires;
};

// One job with its message.
struct Work {
    queue::Job job;
    std::string site;  // the job's, kept beyond its end
    std::shared_ptr<const spool::StoredMessage> message;
    std::vector<RecipientResult> known;  // of recipients that need no attempt, not in job
};

// What became of it.
struct WorkDone {
    std::vector<RecipientResult> results;
    std::string dialogue;  // for the operator
};

// What the dispatcher does between two jobs of a connection; called on shard 0.
class WorkSource {
public:
    virtual ~WorkSource() = default;

    // Settles what was done. `wants_more`: the connection is open; another job of its site, if
    // there is one.
    virtual Task<std::optional<Work>> finish(Work work, WorkDone done, bool wants_more) = 0;
};

class Onward {
public:
    // REQUIRES: world and settings outlive it.
    Onward(world::World& world, SettingsSource& settings);

    // What was learnt on the way; may be asked from any shard.
    const NullMxDomains& null_mx() const { return null_mx_; }
    // Keys of sites to which mail for `domain` goes, and that of the domains `below` it too.
    std::vector<std::string> sites_for(const std::string& domain, bool below) const;

    // Destinations that are reached over a connection.
    static bool is_onward(const Destination& destination);

    // The site of a destination, if its way is known; else a key of its own until it is.
    std::string site_of(const Destination& destination) const;

    // The way as it is known, or looked up now.
    Task<std::shared_ptr<const Way>> way_to(Destination destination);

    // Carries `first`, and what `source` gives after it; or hands it to a connection that waits,
    // whose own run() then goes on. REQUIRES: way has hops.
    Task<void> run(Work first, std::shared_ptr<const Way> way, WorkSource& source);

    // No connection waits for more from now on.
    void close_idle();

private:
    class Carrier;
    struct Idle;
    struct Flow {
        Monotonic last;      // job that began
        bool close = false;  // it came soon after the one before
    };

    Task<std::shared_ptr<const Way>> look_up(const Destination& destination);
    Task<void> carry(Work first, std::shared_ptr<const Way> way, WorkSource& source);
    Task<std::optional<Work>> next(Work work, WorkDone done, bool wants_more,
                                   std::shared_ptr<const Settings> settings, WorkSource& source);
    Idle* take_idle(const std::string& site);
    void note_begin(const std::string& site);

    world::World& world_;
    SettingsSource& settings_;
    std::vector<Idle*> idle_;  // connections that wait for more, the newest last
    std::unordered_map<std::string, Flow> flows_;  // by site
    bool closing_ = false;
    std::unordered_map<std::string, std::shared_ptr<const Way>> ways_;  // by text(destination)
    NullMxDomains null_mx_;
    int next_shard_ = 0;
};

}  // namespace postrider::daemon
