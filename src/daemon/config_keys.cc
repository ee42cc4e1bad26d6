#include "daemon/config_keys.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/limits.h"
#include "daemon/config_values.h"

namespace postrider::daemon {

namespace {

constexpr double kKiB = 1024;
constexpr double kMiB = 1024 * kKiB;
constexpr double kGiB = 1024 * kMiB;
constexpr double kTiB = 1024 * kGiB;
constexpr double kMinute = 60;
constexpr double kHour = 60 * kMinute;
constexpr double kDay = 24 * kHour;

constexpr std::string_view kProtocols[] = {"smtp", "lmtp"};
constexpr std::string_view kLineEnds[] = {"lf", "crlf"};
constexpr std::string_view kFormats[] = {"logfmt", "json"};
constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kCases[] = {"ignored", "kept"};

// An enum over uint8_t is written through its octet.
template <typename E>
uint8_t* choice(E& value) {
    static_assert(std::is_same_v<std::underlying_type_t<E>, uint8_t>);
    return reinterpret_cast<uint8_t*>(&value);
}

#define FIELD(expression) [](Config& c) -> Field { return expression; }

constexpr auto kSections = std::to_array<Section>({
    {"", false, "At the top of the file, before the first [section]."},
    {"listener", true,
     "Where clients connect. One [[listener]] for each address; at least one is needed."},
    {"smtp", false, "The conversation with clients, and its limits."},
    {"spool", false, "Where accepted messages wait on disk."},
    {"queue", false, "When a message is tried again, and for how long."},
    {"delivery", false, "How messages are put into mailboxes."},
    {"domain", true,
     "A domain whose mail is kept here. One [[domain]] for each; at least one is needed, since "
     "every mail server has a postmaster (RFC 5321 section 4.5.1). Addresses may be written "
     "without their domain when it is this one."},
    {"log", false, "What is told to the operator, and where. The events are in docs/logging.md."},
    {"admin", false, "The socket through which the operator's commands reach the server."},
});

// clang-format off: one entry is a paragraph, not a column
constexpr auto kKeys = std::to_array<Key>({
    // --- top of the file
    {"", "hostname", KeyType::HostName, Presence::Required, "", "\"mail.example.org\"", "", 0, 0,
     {},
     "The name of this server, fully qualified: it stands in the greeting, in EHLO and in trace "
     "fields. It should be the name that the address of this machine has in the DNS.",
     FIELD(&c.hostname)},
    {"", "user", KeyType::Text, Presence::Optional, "", "\"postrider\"", "", 0, 0, {},
     "The user to become when started as root, before any input is read. Started as root without "
     "this key, the server refuses to run. Mailboxes belong to this user.",
     FIELD(&c.user)},
    {"", "data_directory", KeyType::Path, Presence::Optional, "\"/var/lib/postrider\"", "", "", 0,
     0, {},
     "The folder for everything that Postrider keeps: the spool and, unless said otherwise, the "
     "mailboxes and the operator's socket. Other paths may begin with {data}, which stands for "
     "it.",
     FIELD(&c.data_directory)},
    {"", "shards", KeyType::Count, Presence::Optional, "0", "", "threads", 0, 256, {},
     "How many event loops run, each on a thread of its own. 0 means one for each core.",
     FIELD(&c.shards)},
    {"", "memory_max", KeyType::Size, Presence::Optional, "\"512 MiB\"", "", "octets", 32 * kMiB,
     16 * kTiB, {},
     "Memory for sessions, messages being received and the active queue together. Near this limit "
     "new work is put off with a 4yz reply.",
     FIELD(&c.memory_max)},
    {"", "recipient_delimiter", KeyType::Delimiters, Presence::Optional, "\"+\"", "", "", 0, 0, {},
     "Characters that separate a user from a tag: mail for user+tag goes to user if there is no "
     "mailbox or alias user+tag. Empty: no tags.",
     FIELD(&c.routing.recipient_delimiter)},
    {"", "local_part_case", KeyType::Choice, Presence::Optional, "\"ignored\"", "", "", 0, 0,
     kCases,
     "Whether User@ and user@ are one address in the domains kept here (ignored) or two (kept).",
     FIELD(choice(c.routing.local_part_case))},
    // --- listener
    {"listener", "address", KeyType::Endpoint, Presence::Required, "", "\"0.0.0.0:25\"", "", 0, 0,
     {},
     "An IPv4 or IPv6 address with a port, or a Unix socket: \"0.0.0.0:25\", \"[::]:25\", "
     "\"unix:/run/postrider/lmtp\". Port 0 takes a free one.",
     FIELD(&c.listeners.back().address)},
    {"listener", "protocol", KeyType::Choice, Presence::Optional, "\"smtp\"", "", "", 0, 0,
     kProtocols,
     "smtp (RFC 5321), or lmtp (RFC 2033) for programs that hand mail in with one reply for each "
     "recipient.",
     FIELD(choice(c.listeners.back().protocol))},
    // --- smtp
    {"smtp", "message_octets_max", KeyType::Size, Presence::Optional, "\"50 MiB\"", "", "octets",
     64 * kKiB, 2 * kGiB, {},
     "The largest message taken; announced with SIZE (RFC 1870). A larger one is refused with "
     "552.",
     FIELD(&c.smtp.message_octets_max)},
    {"smtp", "recipients_max", KeyType::Count, Presence::Optional, "1000", "", "recipients",
     kRecipientsMin, kRecipientsAfterExpansionMax, {},
     "Recipients of one message; more are put off with 452, and the client sends them separately. "
     "RFC 5321 section 4.5.3.1.8 asks for at least 100.",
     FIELD(&c.smtp.recipients_max)},
    {"smtp", "sessions_max", KeyType::Count, Presence::Optional, "2000", "", "sessions", 1,
     1'000'000, {},
     "Clients connected at once. One more is answered with 421.",
     FIELD(&c.smtp.sessions_max)},
    {"smtp", "sessions_per_address_max", KeyType::Count, Presence::Optional, "100", "", "sessions",
     1, 1'000'000, {},
     "Connections at once from one client address. One more is answered with 421.",
     FIELD(&c.smtp.sessions_per_address_max)},
    {"smtp", "errors_max", KeyType::Count, Presence::Optional, "20", "", "replies", 1, 10'000, {},
     "Refused commands in one session before it is ended with 421.",
     FIELD(&c.smtp.errors_max)},
    {"smtp", "command_timeout", KeyType::Duration, Presence::Optional, "\"5m\"", "", "", 1, kDay,
     {},
     "How long a client may be silent between commands. RFC 5321 section 4.5.3.2.7 asks for at "
     "least 5 minutes.",
     FIELD(&c.smtp.command_timeout)},
    {"smtp", "data_timeout", KeyType::Duration, Presence::Optional, "\"5m\"", "", "", 1, kDay, {},
     "How long a client may be silent inside a message. RFC 5321 section 4.5.3.2.5 lets a client "
     "wait 3 minutes.",
     FIELD(&c.smtp.data_timeout)},
    {"smtp", "hops_max", KeyType::Count, Presence::Optional, "100", "", "fields", 1, kHopsMax, {},
     "Received fields in a message before it is taken for one that goes in circles (RFC 5321 "
     "section 6.3) and refused with 554.",
     FIELD(&c.smtp.hops_max)},
    {"smtp", "relay_networks", KeyType::Networks, Presence::Optional,
     "[\"127.0.0.0/8\", \"::1/128\"]", "", "", 0, 0, {},
     "Clients that may send to domains that are not kept here. Everybody listed can send mail to "
     "everybody in your name: list only machines of your own.",
     FIELD(&c.smtp.relay_networks)},
    {"smtp", "normalise_line_ends_networks", KeyType::Networks, Presence::Optional, "[]", "", "", 0,
     0, {},
     "Clients whose bare CR and LF are turned into CRLF. From all others such a message is "
     "refused (554 5.6.0), since it can be used to smuggle a second one.",
     FIELD(&c.smtp.normalise_line_ends_networks)},
    // --- spool
    {"spool", "segment_octets", KeyType::Size, Presence::Optional, "\"64 MiB\"", "", "octets",
     16 * kMiB, 4 * kGiB, {},
     "Size of one file of the log. Files are written again when all their messages are done.",
     FIELD(&c.spool.segment_octets)},
    {"spool", "min_free", KeyType::Size, Presence::Optional, "\"128 MiB\"", "", "octets", 0,
     16 * kTiB, {},
     "Disk space left alone: with less than this free, new messages get 452, so that those "
     "accepted before can still be finished.",
     FIELD(&c.spool.min_free_octets)},
    // --- queue
    {"queue", "backoff_first", KeyType::Duration, Presence::Optional, "\"5m\"", "", "", 1, 7 * kDay,
     {},
     "How long after a first failed attempt the second one comes.",
     FIELD(&c.queue.backoff_first)},
    {"queue", "backoff_factor", KeyType::Factor, Presence::Optional, "2.0", "", "", 1, 10, {},
     "By how much each wait is longer than the one before.",
     FIELD(&c.queue.backoff_factor)},
    {"queue", "backoff_max", KeyType::Duration, Presence::Optional, "\"4h\"", "", "", 1, 7 * kDay,
     {},
     "No wait is longer than this.",
     FIELD(&c.queue.backoff_max)},
    {"queue", "expiry", KeyType::Duration, Presence::Optional, "\"5d\"", "", "", kMinute, 60 * kDay,
     {},
     "How long a message is tried before it fails. RFC 5321 section 4.5.4.1 asks for at least 4 "
     "to 5 days.",
     FIELD(&c.queue.expiry)},
    {"queue", "active_max", KeyType::Count, Presence::Optional, "10000", "", "messages", 10,
     10'000'000, {},
     "Messages held in memory for delivery at once. All others wait on disk.",
     FIELD(&c.queue.active_max)},
    // --- delivery
    {"delivery", "mailbox_path", KeyType::Template, Presence::Optional,
     "\"{data}/mail/{domain}/{local}\"", "", "", 0, 0, {},
     "The Maildir of an address: {domain} and {local} are its two parts, in lower case. Octets "
     "that do not belong into a file name are written as % and two hexadecimal digits, so no "
     "address leads out of its folder.",
     FIELD(&c.routing.mailbox_path)},
    {"delivery", "line_ends", KeyType::Choice, Presence::Optional, "\"lf\"", "", "", 0, 0,
     kLineEnds,
     "How lines end in files of a Maildir. lf is what programs on Unix expect; crlf keeps the "
     "octets of the wire.",
     FIELD(choice(c.delivery.line_ends))},
    {"delivery", "sync", KeyType::Boolean, Presence::Optional, "true", "", "", 0, 0, {},
     "Whether a message must be on stable storage in its mailbox before the spool lets it go. "
     "With false a loss of power can lose delivered mail.",
     FIELD(&c.delivery.sync)},
    // --- domain
    {"domain", "name", KeyType::Domain, Presence::Required, "", "\"example.org\"", "", 0, 0, {},
     "The domain: the part of an address after the @. A name with letters outside ASCII may be "
     "written in either form; an address literal such as \"[192.0.2.1]\" is possible too.",
     FIELD(&c.routing.domains.back().name)},
    {"domain", "mailboxes", KeyType::Addresses, Presence::Typical, "", "[\"alice\", \"bob\"]", "",
     0, 0, {},
     "Addresses with a mailbox of their own.",
     FIELD(&c.routing.domains.back().mailboxes)},
    {"domain", "mailboxes_file", KeyType::AddressFile, Presence::Optional, "", "\"mailboxes.txt\"",
     "", 0, 0, {},
     "A file with more such addresses, one on each line. Empty lines and lines that begin with # "
     "are passed over. A relative path begins at the folder of this file.",
     FIELD(&c.routing.domains.back().mailboxes)},
    {"domain", "aliases", KeyType::Aliases, Presence::Optional, "",
     "{ \"sales\" = [\"alice\", \"carol@example.net\"], \"info\" = [\"sales\"] }", "", 0, 0, {},
     "Addresses that stand for others, here or elsewhere. An alias comes before a mailbox of the "
     "same name; to keep a copy in that mailbox, list the name among its own targets.",
     FIELD(&c.routing.domains.back().aliases)},
    {"domain", "catch_all", KeyType::Address, Presence::Optional, "", "\"bob\"", "", 0, 0, {},
     "Who gets mail for addresses of this domain that do not exist. Without it they are refused "
     "with 550 5.1.1.",
     FIELD(&c.routing.domains.back().catch_all)},
    {"domain", "postmaster", KeyType::Address, Presence::Optional, "", "\"alice\"", "", 0, 0, {},
     "Who gets mail for postmaster, which each domain must accept. Without it: the mailbox or "
     "alias of that name, or else the first mailbox. The first domain's postmaster also gets mail "
     "for postmaster without a domain.",
     FIELD(&c.routing.domains.back().postmaster)},
    // --- log
    {"log", "file", KeyType::Path, Presence::Optional, "", "\"/var/log/postrider.log\"", "", 0, 0,
     {},
     "The file that lines are added to; it is opened again on SIGHUP, for rotation. Without it: "
     "standard error.",
     FIELD(&c.log.file)},
    {"log", "format", KeyType::Choice, Presence::Optional, "\"logfmt\"", "", "", 0, 0, kFormats,
     "logfmt (key=value) or json (one object on each line).",
     FIELD(choice(c.log.format))},
    {"log", "level", KeyType::Choice, Presence::Optional, "\"info\"", "", "", 0, 0, kLevels,
     "The least important lines that are written.",
     FIELD(choice(c.log.level))},
    // --- admin
    {"admin", "socket", KeyType::Path, Presence::Optional, "\"{data}/admin.sock\"", "", "", 0, 0,
     {},
     "The Unix socket of the operator's commands.",
     FIELD(&c.admin.socket)},
    {"admin", "mode", KeyType::Mode, Presence::Optional, "\"0600\"", "", "", 0, 0, {},
     "Permission bits of that socket: who may command the server.",
     FIELD(&c.admin.mode)},
});
// clang-format on

#undef FIELD

std::string bounds(const Key& key, std::string (*text)(double)) {
    return fmt::format("{} to {}", text(key.min), text(key.max));
}

std::string number_text(double value) { return fmt::format("{}", value); }
std::string octets_text(double value) { return size_text(static_cast<uint64_t>(value)); }
std::string seconds_text(double value) {
    return duration_text(std::chrono::seconds(static_cast<int64_t>(value)));
}

}  // namespace

std::span<const Key> config_keys() { return kKeys; }
std::span<const Section> config_sections() { return kSections; }

const Section* find_section(std::string_view name) {
    auto found = std::ranges::find(kSections, name, &Section::name);
    return found == kSections.end() ? nullptr : &*found;
}

const Key* find_key(std::string_view section, std::string_view name) {
    auto found = std::ranges::find_if(
        kKeys, [&](const Key& key) { return key.section == section && key.name == name; });
    return found == kKeys.end() ? nullptr : &*found;
}

std::string allowed_values(const Key& key) {
    switch (key.type) {
        case KeyType::Boolean:
            return "true or false";
        case KeyType::Count:
            return "a whole number, " + bounds(key, number_text);
        case KeyType::Factor:
            return "a number, " + bounds(key, number_text);
        case KeyType::Size:
            return "a size, " + bounds(key, octets_text);
        case KeyType::Duration:
            return "a duration, " + bounds(key, seconds_text);
        case KeyType::Mode:
            return "octal permission bits in quotes";
        case KeyType::Choice: {
            std::string out;
            for (std::string_view word : key.choices) {
                out += fmt::format("{}\"{}\"", out.empty() ? "" : " or ", word);
            }
            return out;
        }
        case KeyType::Text:
            return "a text";
        case KeyType::Delimiters:
            return "up to 8 characters such as + - _ = #";
        case KeyType::HostName:
            return "a fully qualified host name";
        case KeyType::Domain:
            return "a domain";
        case KeyType::Path:
            return "a path";
        case KeyType::Template:
            return "a path with {local} and {domain}";
        case KeyType::Endpoint:
            return "an address with a port, or unix:/path";
        case KeyType::Networks:
            return "an array of networks such as \"192.0.2.0/24\"";
        case KeyType::Address:
            return "an address";
        case KeyType::Addresses:
            return "an array of addresses";
        case KeyType::Aliases:
            return "a table of names, each with an array of addresses";
        case KeyType::AddressFile:
            return "the path of a file";
    }
    return {};
}

}  // namespace postrider::daemon
