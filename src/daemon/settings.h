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
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "daemon/config.h"
#include "deliver/maildir.h"
#include "deliver/tls_policy.h"
#include "mail/destination.h"
#include "mail/envelope.h"
#include "mail/mailbox.h"
#include "route/hosts.h"
#include "route/table.h"
#include "seal/signing.h"
#include "verdict/disposition.h"
#include "world/net.h"
#include "world/tls.h"

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

// How mail from outside is judged.
struct VerdictSettings {
    bool check = true;
    bool defer_unknown = false;
    Duration time_max = std::chrono::seconds(20);
    verdict::Rules rules;
    // Of recipients, by route::domain_key(); those that differ from the rules.
    std::unordered_map<std::string, verdict::Action> dmarc_by_domain;

    std::optional<verdict::Action> dmarc_for(const Recipient& recipient) const;
};

struct SuppressionSettings {
    bool enabled = false;
    bool by_sender = false;  // an entry holds for the senders of one domain
    Duration expires_after{};
    std::vector<PoolConfig::Sender> bounce_addresses;

    // Whether a report to `mailbox` is read; its tag, if it has one, does not count.
    bool is_bounce_address(const Mailbox& mailbox, std::string_view delimiters) const;
};

// What is asked of mail on listeners of kind submission.
struct SubmissionSettings {
    bool adds_sender = false;
    std::string domain;  // for addresses without one; empty = they are refused
    bool hide_client = false;
    std::vector<world::IpNetwork> networks;
    uint64_t recipients_max = 100;
    uint64_t messages_per_hour = 0;  // 0 = no limit
};

struct Settings {
    // Where a recipient's copy goes: a mailbox, a program, or the next host.
    Destination destination(const Mailbox& mailbox) const;
    // The same of a message's recipient: a quarantined copy goes to the folder Junk of its Maildir.
    Destination destination_of(const Envelope& envelope, uint32_t recipient) const;
    const EgressSettings& egress_for(const ReversePath& sender, std::string_view domain) const;

    std::string smarthost_user;  // to log in as; empty = without
    std::string smarthost_password;
    std::string smarthost;  // for all that is not ours and has no route; empty = by MX
    bool convert_8bit = false;
    EgressSettings egress;
    std::vector<PoolSettings> pools;
    route::HostsOptions hosts;
    std::string hostname;
    std::vector<world::IpNetwork> relay_networks;
    std::vector<std::string> local_domains;           // in the order of the configuration
    std::unordered_set<std::string> no_mail_domains;  // by route::domain_key()
    std::shared_ptr<const route::Table> table;
    std::string recipient_delimiter;
    deliver::TlsRules tls_rules;
    deliver::HostTls smarthost_tls = deliver::HostTls::Default;
    std::shared_ptr<const world::TlsClientContext> tls_client;  // for next hosts; not null
    deliver::LineEnd maildir_line_end = deliver::LineEnd::Lf;
    uint64_t recipients_max = 1000;
    VerdictSettings verdict;
    SuppressionSettings suppression;
    SubmissionSettings submission;
    seal::SigningRules signing;
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
