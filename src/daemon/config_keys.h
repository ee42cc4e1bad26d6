// daemon/config_keys.h: every key of the configuration, once.
//
// A new key is one entry in config_keys.cc and one field in config.h; parsing with its checks, the
// annotated example and docs/configuration.md follow from the entry.
//
// Threads: constants.

#pragma once

#include <span>
#include <string_view>
#include <variant>

#include "daemon/config.h"

namespace postrider::daemon {

enum class KeyType : uint8_t {
    Boolean,
    Count,        // integer between min and max
    Size,         // octets: 1048576 or "1 MiB", between min and max
    Duration,     // "1h30m", between min and max seconds
    Mode,         // permission bits as octal text: "0600"
    Choice,       // one of choices
    Text,         // any text of one line, not empty
    Delimiters,   // characters that separate the tag; may be empty
    HostName,     // fully qualified
    Domain,       // a domain or an address literal
    Domains,      // array of them; may be empty only if that is the default
    Senders,      // array of domains and addresses; not empty
    NextHost,     // "mail.example.net", "mail.example.net:587", "[192.0.2.1]:25"
    Ipv4,         // one address, not 0.0.0.0
    Ipv6,         // one address, not ::
    Servers,      // array of "192.0.2.53", "192.0.2.53:5353", "[2001:db8::53]:53"
    DeliverTo,    // "lmtp:unix:/path", "lmtp:127.0.0.1:24", "pipe:/program argument"
    Path,         // of a file or folder
    Template,     // a path with {data}, {domain}, {local}
    Endpoint,     // "0.0.0.0:25", "[::]:25", "unix:/path"
    Networks,     // array of "192.0.2.0/24"
    Address,      // "user@example.org", or "user" for the own domain
    Addresses,    // array of addresses of the own domain
    Aliases,      // table: name = ["address", ...]
    AddressFile,  // path of a file with one address per line
    Texts,        // array of them, each of one line and not empty; not empty itself
    SigningKeys,  // array of "author", "example.org", "selector._domainkey.example.org"
};

// Where the value of a key goes. Choices are enums over uint8_t, written by the number of the
// choice. For sections that repeat: in the last element.
using Field =
    std::variant<bool*, uint64_t*, Duration*, uint8_t*, std::string*, std::vector<std::string>*,
                 std::vector<world::IpNetwork>*, world::Endpoint*, std::vector<world::IpEndpoint>*,
                 std::optional<world::IpAddress>*, std::optional<Mailbox>*, std::vector<Mailbox>*,
                 std::vector<route::Alias>*, std::vector<route::StaticRoute>*,
                 std::vector<PoolConfig::Sender>*, std::optional<Destination>*>;

enum class Presence : uint8_t {
    Optional,
    Typical,  // optional, but switched on in the example
    Required,
};

struct Key {
    std::string_view section;  // empty = at the top of the file
    std::string_view name;
    KeyType type;
    Presence presence;
    std::string_view fallback;  // TOML text; empty = none
    std::string_view example;   // TOML text, shown where there is no default
    std::string_view unit;      // for numbers; empty = none
    double min = 0;
    double max = 0;
    std::span<const std::string_view> choices;
    std::string_view documentation;  // for the operator, sentences
    Field (*field)(Config&);

    bool required() const { return presence == Presence::Required; }
};

enum class Times : uint8_t {
    Once,       // [name], may be left out
    OneOrMore,  // [[name]]
    AnyNumber,  // [[name]], switched off in the example
};

struct Section {
    std::string_view name;
    Times times;
    std::string_view documentation;

    bool repeated() const { return times != Times::Once; }
    std::string heading() const;  // "[name]" or "[[name]]"; empty at the top of the file
};

// Keys of a section stand together, in the order in which they are read and shown.
std::span<const Key> config_keys();
std::span<const Section> config_sections();

const Section* find_section(std::string_view name);
const Key* find_key(std::string_view section, std::string_view name);

// "size, 64 KiB to 2 GiB" and the like: what a value may be.
std::string allowed_values(const Key& key);

}  // namespace postrider::daemon
