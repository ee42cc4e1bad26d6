// daemon/reporter.h: makes a report (report/report.h) into a message for the spool.
//
// The report room is pure text; here it gets the content of the message that is reported about, an
// id, and its way: the sender's mailbox may be one of ours, with aliases. It is signed when we have
// keys for the domain that it comes from.
//
// Threads: shard 0's.

#pragma once

#include <optional>
#include <vector>

#include "base/id.h"
#include "daemon/domain_keys.h"
#include "daemon/settings.h"
#include "mail/attempt.h"
#include "report/report.h"
#include "spool/spool.h"
#include "world/world.h"

namespace postrider::daemon {

class Reporter {
public:
    // REQUIRES: world, settings and keys outlive the reporter. Ids made are above `id_floor`.
    Reporter(world::World& world, SettingsSource& settings, const DomainKeys& keys,
             MessageId id_floor);

    // None when no report is owed. Content that cannot be read any more is left out of it.
    Task<std::optional<spool::Incoming>> compose(const spool::StoredMessage& message,
                                                 std::vector<RecipientResult> results,
                                                 report::Kind kind,
                                                 std::optional<Wall> retry_until);

    // A report's content is in memory, so it can be offered to the spool again.
    static spool::Incoming copy_of(const spool::Incoming& report);

private:
    Task<void> sign(report::Report& report, const Settings& settings);

    world::World& world_;
    SettingsSource& settings_;
    const DomainKeys& keys_;
    MessageIdSource ids_;
};

}  // namespace postrider::daemon
