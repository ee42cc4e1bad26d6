// daemon/settings.h: what the river needs of the configuration, as one immutable value.
//
// A reload makes a new value and swaps it; who is in the middle of something keeps the old one.
//
// Threads: Settings is immutable; SettingsSource may be asked from any shard.

#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/config.h"
#include "deliver/maildir.h"
#include "mail/destination.h"
#include "mail/mailbox.h"
#include "route/hosts.h"
#include "route/table.h"
#include "world/net.h"

namespace postrider::daemon {

// How we go out to other hosts.
struct EgressSettings {
    std::string hello_name;  // said in EHLO
    std::optional<world::IpAddress> source_v4, source_v6;
};

// For some senders or destinations, other than for the rest. An empty list matches all.
struct PoolSettings {
    std::vector<PoolConfig::Sender> senders;
    std::vector<std::string> destinations;  // as route::domain_key() gives them
    EgressSettings egress;
};

struct Settings {
    // Where a recipient's copy goes: a mailbox, a program, or the next host.
    Destination destination(const Mailbox& mailbox) const;
    const EgressSettings& egress_for(const ReversePath& sender, std::string_view domain) const;

    std::string smarthost;  // for all that is not ours and has no route; empty = by MX
    EgressSettings egress;
    std::vector<PoolSettings> pools;
    route::HostsOptions hosts;
    std::string hostname;
    std::vector<world::IpNetwork> relay_networks;
    std::shared_ptr<const route::Table> table;
    std::string recipient_delimiter;
    deliver::LineEnd maildir_line_end = deliver::LineEnd::Lf;
    uint64_t recipients_max = 1000;
};

class SettingsSource {
public:
    explicit SettingsSource(std::shared_ptr<const Settings> first) : current_(std::move(first)) {}

    std::shared_ptr<const Settings> now() const { return current_.load(); }
    void replace(std::shared_ptr<const Settings> next) { current_.store(std::move(next)); }

private:
    std::atomic<std::shared_ptr<const Settings>> current_;
};

}  // namespace postrider::daemon
