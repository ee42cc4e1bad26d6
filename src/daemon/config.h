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
#include "route/table.h"
#include "world/net.h"

namespace postrider::daemon {

struct ListenerConfig {
    enum class Protocol : uint8_t {
        Smtp,
        Lmtp
    };
    world::Endpoint address;
    Protocol protocol = Protocol::Smtp;
};

struct SmtpConfig {
    uint64_t message_octets_max = 0;
    uint64_t recipients_max = 0;            // of one message
    uint64_t sessions_max = 0;              // at once, all clients together
    uint64_t sessions_per_address_max = 0;  // at once, from one client address
    uint64_t errors_max = 0;                // refused commands before the session is ended
    uint64_t hops_max = 0;                  // RFC 5321 §6.3
    Duration command_timeout{};             // RFC 5321 §4.5.3.2.7
    Duration data_timeout{};                // RFC 5321 §4.5.3.2.5
    std::vector<world::IpNetwork> relay_networks;
    std::vector<world::IpNetwork> normalise_line_ends_networks;
};

// How we go to other hosts. The domains of [relay] are in Config::routing.
struct RelayConfig {
    std::string smarthost;   // "mail.example.net:25", "[192.0.2.1]:25"; empty = none
    std::string hello_name;  // in EHLO; from load(): never empty
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
    uint64_t min_free_octets = 0;  // below this, new mail gets 452
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
    SmtpConfig smtp;
    RelayConfig relay;
    std::vector<PoolConfig> pools;
    ResolverConfig resolver;
    SpoolConfig spool;
    QueueConfig queue;
    DeliveryConfig delivery;
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
