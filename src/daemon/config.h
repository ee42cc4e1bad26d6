// daemon/config.h: what the operator wants, as typed values.
//
// One TOML file says everything. Each key stands once, in config_keys.cc, with its type, default,
// bounds and documentation; reading, the annotated example and the reference page all come from
// there.
//
// Promise
//   1. load() is pure: the text in, a Config or every error of the file out. A mistake is never
//      passed over: an unknown key, a wrong type or value, an alias that leads nowhere.
//   2. Each error names file, line and column, and for a wrong name the nearest right one.
//   3. A Config that load() gave is consistent: route::Table::build finds no problem in it.
//   4. What follows another key by default is filled in: hello names and source addresses.
//
// Threads: values.
// Failure: std::vector<ConfigError>, in the order of the lines; never empty.

#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/result.h"
#include "base/time.h"
#include "deliver/tls_policy.h"
#include "route/table.h"
#include "seal/signing.h"
#include "verdict/disposition.h"
#include "world/net.h"
#include "world/tls.h"

namespace postrider::daemon {

struct ListenerConfig {
    enum class Protocol : uint8_t {
        Smtp,
        Lmtp
    };
    enum class Kind : uint8_t {
        Mx,         // mail from everywhere, for the domains kept here
        Submission  // RFC 6409: our own people and programs, who say who they are
    };
    enum class Tls : uint8_t {
        Auto,  // StartTls where there is a certificate
        Off,
        StartTls,
        Implicit
    };
    world::Endpoint address;
    Protocol protocol = Protocol::Smtp;
    Kind kind = Kind::Mx;
    Tls tls = Tls::Auto;
    bool tls_required = false;
    bool takes_mail = true;                        // else 521 (RFC 7504)
    std::vector<world::IpNetwork> proxy_networks;  // whose connections begin with a PROXY header
    Duration future_release_max{};                 // RFC 4865; 0 = not offered
};

// A certificate with what leads to its root, and its key; files in PEM.
struct CertificateConfig {
    std::string chain_file;
    std::string key_file;  // empty = in chain_file
};

struct TlsConfig {
    world::TlsVersion min_version = world::TlsVersion::Tls12;
    world::TlsServerOptions::ClientCertificates client_certificates{};
    std::string client_roots_file;  // empty = none
    std::string roots_file;         // for next hosts, besides the system's; empty = none
    deliver::TlsLevel outbound = deliver::TlsLevel::Opportunistic;
};

struct SmtpConfig {
    uint64_t message_octets_max = 0;
    uint64_t recipients_max = 0;            // of one message
    uint64_t sessions_max = 0;              // at once, all clients together
    uint64_t sessions_per_address_max = 0;  // at once, from one client address
    uint64_t sessions_per_network_max = 0;  // 0 = no limit; so are the next two
    uint64_t connects_per_minute_per_address = 0;
    uint64_t connects_per_minute_per_network = 0;
    uint64_t network_bits_v4 = 0;  // what counts as one network
    uint64_t network_bits_v6 = 0;
    uint64_t unknown_recipients_max = 0;               // before a client is cut; 0 = no limit
    Duration harvest_memory{};                         // and for how long it is turned away
    Duration greeting_pause{};                         // who speaks in it is refused; 0 = none
    uint64_t data_rate_min = 0;                        // octets in a second; 0 = no limit
    std::vector<world::IpNetwork> unlimited_networks;  // for which these do not hold
    uint64_t errors_max = 0;     // refused commands before the session is ended
    uint64_t hops_max = 0;       // RFC 5321 §6.3
    Duration command_timeout{};  // RFC 5321 §4.5.3.2.7
    Duration data_timeout{};     // RFC 5321 §4.5.3.2.5
    std::vector<world::IpNetwork> relay_networks;
    std::vector<world::IpNetwork> normalise_line_ends_networks;
    std::vector<world::IpNetwork> xclient_networks, xforward_networks;
    std::vector<world::IpNetwork> verify_networks, etrn_networks;
    std::vector<std::string> no_mail_domains;  // as route::domain_key() gives them
    Duration deliver_by_min{};                 // RFC 2852; 0 = none
};

// How we go to other hosts. The domains of [relay] are in Config::routing.
struct RelayConfig {
    std::string smarthost;  // "mail.example.net:25", "[192.0.2.1]:25"; empty = none
    deliver::HostTls smarthost_tls = deliver::HostTls::Default;
    std::string smarthost_user;  // empty = without AUTH
    std::string smarthost_password_file;
    std::string smarthost_password;  // from load(): the first line of that file
    std::string hello_name;          // in EHLO; from load(): never empty
    bool convert_8bit = false;
    std::optional<world::IpAddress> source_v4;  // none: the system chooses
    std::optional<world::IpAddress> source_v6;
};

// Another name and source for some of the mail. The first pool counts whose lists both match; an
// empty list matches everything. From load(): not both are empty, and a name or source that the
// pool does not set is that of RelayConfig.
struct PoolConfig {
    // A reverse-path: an address, or every one of a domain. In the form of address_key.h, the
    // local-part without case.
    struct Sender {
        std::optional<std::string> local_part;  // none = the whole domain
        std::string domain;
        friend bool operator==(const Sender&, const Sender&) = default;
    };
    std::vector<Sender> senders;
    std::vector<std::string> destinations;  // domains of recipients, as route::domain_key() gives
    std::string hello_name;
    std::optional<world::IpAddress> source_v4;
    std::optional<world::IpAddress> source_v6;
};

struct ResolverConfig {
    std::vector<world::IpEndpoint> forwarders;  // empty = ask the servers of the Internet itself
    std::string trust_anchor_file;              // empty = not set: the resolver's own default
};

struct SpoolConfig {
    uint64_t segment_octets = 0;
    uint64_t min_free_octets = 0;      // below this, new mail gets 452
    uint64_t attempts_octets_max = 0;  // of what was tried and said; 0 = not on disk
};

struct QueueConfig {
    Duration backoff_first{};
    Duration backoff_max{};
    Duration local_backoff_first{};
    Duration local_backoff_max{};
    Duration delay_notice{};  // 0 = never
    Duration expiry{};
    uint64_t active_max = 0;  // messages in memory at once
    uint64_t connections_per_site = 0;
    uint64_t messages_per_connection = 0;
    uint64_t messages_per_minute_per_site = 0;  // 0 = no limit
};

struct DeliveryConfig {
    enum class LineEnds : uint8_t {
        Lf,
        Crlf
    };
    LineEnds line_ends = LineEnds::Lf;
};

struct VerdictConfig {
    enum class Unknown : uint8_t {
        Accept,
        Defer
    };
    bool check = true;
    Duration time_max{};                // for all look-ups of one message
    Unknown unknown = Unknown::Accept;  // when the author's policy cannot be had for now
    verdict::Rules rules;               // domains as route::domain_key() gives them
    uint64_t rows_octets_max = 0;       // of DMARC rows on disk; 0 = none are kept
};

// Who may send, and how they prove who they are.
struct AccountsConfig {
    std::string users_file;
    std::string dovecot_socket;  // of its auth service; empty = none. Instead of the users file
    std::string database;        // "sqlite:/path", "postgresql://..."; empty = none
    std::string database_query;  // rows of secret, label, send_as for the name $1
    bool database_scram = false;
    std::vector<world::IpNetwork> open_networks;  // passwords are taken from them without TLS
    uint64_t failures_max = 0;
    Duration shut_out{};
    std::string token_keys_file;               // PEM; empty = tokens are not taken
    std::string token_issuer, token_audience;  // empty = any
    std::string token_claim;
};

// What is done with the mail of our own people and programs on listeners of kind submission.
struct SubmissionConfig {
    enum class ForeignFrom : uint8_t {
        Refuse,
        AddSender
    };
    ForeignFrom foreign_from = ForeignFrom::Refuse;
    std::string domain;  // for addresses without one; empty = they are refused
    bool hide_client = false;
    std::vector<world::IpNetwork> networks;  // programs that need not log in
    uint64_t recipients_max = 0;
    uint64_t messages_per_hour = 0;  // of one account or address; 0 = no limit
};

// Of one [[domain]], for its recipients.
enum class DomainDmarc : uint8_t {
    Default,  // as VerdictConfig
    Accept,
    Quarantine,
    Reject
};

struct SigningConfig {
    Duration expires_after{};  // 0 = signatures do not expire
};

struct SuppressionConfig {
    enum class Scope : uint8_t {
        Everybody,
        SenderDomain
    };
    bool enabled = false;
    Scope scope = Scope::Everybody;
    Duration expires_after{};
    uint64_t entries_max = 0;
    std::vector<PoolConfig::Sender> bounce_addresses;
};

struct LogConfig {
    enum class Format : uint8_t {
        Logfmt,
        Json
    };
    std::string file;  // empty = standard error
    Format format = Format::Logfmt;
    LogLevel level = LogLevel::Info;
};

struct AdminConfig {
    std::string socket;
    uint64_t mode = 0;  // permission bits of the socket's file
};

struct Config {
    std::string hostname;
    std::string user;  // to switch to when started as root; empty = none
    std::string data_directory;
    std::string drop_directory;  // of the sendmail front; empty = none
    uint64_t shards = 0;         // 0 = one per core
    uint64_t memory_max = 0;     // octets
    std::vector<ListenerConfig> listeners;
    TlsConfig tls;
    std::vector<CertificateConfig> certificates;
    std::vector<deliver::TlsRule> tls_policies;
    SmtpConfig smtp;
    RelayConfig relay;
    std::vector<PoolConfig> pools;
    ResolverConfig resolver;
    SpoolConfig spool;
    QueueConfig queue;
    DeliveryConfig delivery;
    VerdictConfig verdict;
    SigningConfig signing;
    SuppressionConfig suppression;
    std::vector<seal::SigningRule> signers;  // domains as route::domain_key() gives them
    AccountsConfig accounts;
    SubmissionConfig submission;
    std::vector<DomainDmarc> domain_dmarc;  // as routing.domains
    LogConfig log;
    AdminConfig admin;
    route::TableSource routing;  // for route::Table::build
};

struct ConfigError {
    std::string file;
    uint32_t line = 0;    // from 1; 0 = the file as a whole
    uint32_t column = 0;  // from 1, in characters
    std::string message;  // a sentence without a full stop

    std::string text() const;  // file:line:column: message
    friend auto operator<=>(const ConfigError&, const ConfigError&) = default;
};

// Reads another file that the configuration names (mailboxes_file). The path is as resolve_path()
// gives it. The caller bounds the size.
using ReadFile = std::function<Result<std::string>(const std::string& path)>;

// `file_name` is for messages; its folder is where relative paths in the text begin.
Result<Config, std::vector<ConfigError>> load(std::string_view text, std::string_view file_name,
                                              const ReadFile& read_file);

// The whole configuration for trying Postrider out: loopback only, port 2525, one domain
// (postrider.test, a name reserved by RFC 6761) with one mailbox, everything below `directory`.
std::string default_config_text(std::string_view directory);

// The same, loaded. REQUIRES: directory is an absolute path of valid UTF-8.
Config default_config_for(std::string_view directory);

}  // namespace postrider::daemon
