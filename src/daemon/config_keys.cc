#include "daemon/config_keys.h"

#include <array>

#include "base/limits.h"
#include "daemon/config_key_parts.h"
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
constexpr std::string_view kKinds[] = {"mx", "submission"};
constexpr std::string_view kLineEnds[] = {"lf", "crlf"};
constexpr std::string_view kActions[] = {"accept", "quarantine", "reject"};
constexpr std::string_view kDomainActions[] = {"default", "accept", "quarantine", "reject"};
constexpr std::string_view kUnknowns[] = {"accept", "defer"};
constexpr std::string_view kScopes[] = {"everybody", "sender-domain"};
constexpr std::string_view kFormats[] = {"logfmt", "json"};
constexpr std::string_view kLevels[] = {"debug", "info", "warning", "error"};
constexpr std::string_view kListenerTls[] = {"auto", "off", "starttls", "implicit"};
constexpr std::string_view kTlsVersions[] = {"1.2", "1.3"};
constexpr std::string_view kClientCertificates[] = {"none", "ask", "require"};
constexpr std::string_view kTlsLevels[] = {"off", "opportunistic", "required", "verified"};
constexpr std::string_view kHostTls[] = {"auto",     "off",      "opportunistic",
                                         "required", "verified", "implicit"};
constexpr std::string_view kCases[] = {"ignored", "kept"};

// An enum over uint8_t is written through its octet.
template <typename E>
uint8_t* choice(E& value) {
    static_assert(std::is_same_v<std::underlying_type_t<E>, uint8_t>);
    return reinterpret_cast<uint8_t*>(&value);
}

#define FIELD(expression) [](Config& c) -> Field { return expression; }

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
    {"", "drop_directory", KeyType::Path, Presence::Optional, "", "\"/var/lib/postrider/drop\"", "",
     0, 0, {},
     "The folder in which postrider-sendmail leaves messages while the server does not take them. "
     "It belongs to the server's user and to the group of postrider-sendmail, mode 0730; see "
     "docs/sendmail.md. Without this key nothing is taken in from there.",
     FIELD(&c.drop_directory)},
    {"", "shards", KeyType::Count, Presence::Optional, "0", "", "threads", 0, 256, {},
     "How many event loops run, each on a thread of its own. 0 means one for each core but one, "
     "which is left for the disk's threads, the log and the system: at least one.",
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
     "\"unix:/run/postrider/lmtp\". Port 0 takes a free one. Whoever may connect to a Unix socket "
     "(its file has mode 0660) may also relay.",
     FIELD(&c.listeners.back().address)},
    {"listener", "protocol", KeyType::Choice, Presence::Optional, "\"smtp\"", "", "", 0, 0,
     kProtocols,
     "smtp (RFC 5321), or lmtp (RFC 2033) for programs that hand mail in with one reply for each "
     "recipient.",
     FIELD(choice(c.listeners.back().protocol))},
    {"listener", "kind", KeyType::Choice, Presence::Optional, "\"mx\"", "", "", 0, 0, kKinds,
     "mx takes mail from everywhere for the domains kept here; submission (RFC 6409, ports 587 and "
     "465) takes mail of your own people and programs for everywhere, after they have logged in or "
     "when they are in networks of [submission].",
     FIELD(choice(c.listeners.back().kind))},
    {"listener", "tls", KeyType::Choice, Presence::Optional, "\"auto\"", "", "", 0, 0,
     kListenerTls,
     "starttls: clients may begin TLS (RFC 3207); implicit: TLS comes before everything else (RFC "
     "8314, port 465); off; auto: starttls where there is a [[certificate]] and the address is no "
     "Unix socket.",
     FIELD(choice(c.listeners.back().tls))},
    {"listener", "tls_required", KeyType::Boolean, Presence::Optional, "false", "", "", 0, 0, {},
     "Whether mail is taken under TLS only. Before it all but EHLO, NOOP, STARTTLS and QUIT gets "
     "530. Not for port 25 of a host on the Internet, since some senders have no TLS.",
     FIELD(&c.listeners.back().tls_required)},
    {"listener", "takes_mail", KeyType::Boolean, Presence::Optional, "true", "", "", 0, 0, {},
     "With false every client is told 521 (RFC 7504): this host takes no mail.",
     FIELD(&c.listeners.back().takes_mail)},
    {"listener", "proxy_protocol", KeyType::Networks, Presence::Optional, "[]", "", "", 0, 0, {},
     "Proxies, such as HAProxy, whose connections begin with a header of the PROXY protocol "
     "(version 1 or 2); the client is then who it says, in limits, rules and trace fields. A "
     "connection of theirs without a right header is closed. Connections from elsewhere have none. "
     "Do not list a proxy in relay_networks: what comes from itself, and clients that it cannot "
     "name (UNKNOWN), would relay.",
     FIELD(&c.listeners.back().proxy_networks)},
    {"listener", "future_release_max", KeyType::Duration, Presence::Optional, "\"0s\"", "", "", 0,
     365 * kDay, {},
     "How long a client may ask that its message is held before it is sent (FUTURERELEASE); for "
     "your own users, so only with kind = \"submission\" (RFC 4865 section 4.2). \"0s\": not "
     "offered.",
     FIELD(&c.listeners.back().future_release_max)},
#include "daemon/config_keys_tls.inc"
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
#include "daemon/config_keys_clients.inc"
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
    {"smtp", "xclient_networks", KeyType::Networks, Presence::Optional, "[]", "", "", 0, 0, {},
     "Proxies that are believed when XCLIENT says who their client is. They could relay by it.",
     FIELD(&c.smtp.xclient_networks)},
    {"smtp", "xforward_networks", KeyType::Networks, Presence::Optional, "[]", "", "", 0, 0, {},
     "Filters that may say by XFORWARD who handed a message in. It is only logged.",
     FIELD(&c.smtp.xforward_networks)},
    {"smtp", "verify_networks", KeyType::Networks, Presence::Optional, "[]", "", "", 0, 0, {},
     "Clients whose VRFY and EXPN is answered. Others hear 252 (RFC 5321 section 7.3).",
     FIELD(&c.smtp.verify_networks)},
    {"smtp", "etrn_networks", KeyType::Networks, Presence::Optional, "[]", "", "", 0, 0, {},
     "Clients who may ask by ETRN that mail is sent now which waits for a domain relayed here.",
     FIELD(&c.smtp.etrn_networks)},
    {"smtp", "no_mail_domains", KeyType::Domains, Presence::Optional, "[]", "", "", 0, 0, {},
     "Domains that take no mail: recipients there are refused with 556 to everybody.",
     FIELD(&c.smtp.no_mail_domains)},
    {"smtp", "deliver_by_min", KeyType::Duration, Presence::Optional, "\"0s\"", "", "", 0, kDay, {},
     "The shortest time that DELIVERBY (BY=seconds;R) may ask for; less is 555. \"0s\": any.",
     FIELD(&c.smtp.deliver_by_min)},
    // --- relay
    {"relay", "smarthost", KeyType::NextHost, Presence::Optional, "", "\"mail.example.net:587\"",
     "", 0, 0, {},
     "Where all mail goes that is not kept here and has neither a [[route]] nor a place in "
     "domains. Without it: to the MX hosts of its domain. The addresses of the host are asked "
     "for, not its MX records. Without a port: 25.",
     FIELD(&c.relay.smarthost)},
    {"relay", "smarthost_tls", KeyType::Choice, Presence::Optional, "\"auto\"", "", "", 0, 0,
     kHostTls,
     "TLS with the smarthost: off, opportunistic, required, verified (a certificate for its name), "
     "or implicit (TLS before everything else, verified). auto: implicit at port 465, else as for "
     "all other hosts.",
     FIELD(choice(c.relay.smarthost_tls))},
    {"relay", "smarthost_user", KeyType::Text, Presence::Optional, "", "\"example.org\"", "", 0, 0,
     {},
     "The user to log in as at the smarthost. The strongest mechanism that both sides know is "
     "used; a password is never shown on a connection without TLS.",
     FIELD(&c.relay.smarthost_user)},
    {"relay", "smarthost_password_file", KeyType::Path, Presence::Optional, "",
     "\"/etc/postrider/smarthost.password\"", "", 0, 0, {},
     "A file whose first line is the password of smarthost_user. It is read at the start and at "
     "reload.",
     FIELD(&c.relay.smarthost_password_file)},
    {"relay", "domains", KeyType::Domains, Presence::Optional, "[]", "", "", 0, 0, {},
     "Domains that are not kept here, but whose mail is taken from every client and goes to their "
     "MX hosts: this server is a second MX for them. For a host of your choice write a [[route]] "
     "with relay instead.",
     FIELD(&c.routing.routes)},
    {"relay", "hello_name", KeyType::HostName, Presence::Optional, "", "\"out.example.org\"", "", 0,
     0, {},
     "The name said in EHLO to other hosts. Many of them want it to lead to the source address in "
     "the DNS, and back. Without it: hostname.",
     FIELD(&c.relay.hello_name)},
    {"relay", "source_v4", KeyType::Ipv4, Presence::Optional, "", "\"192.0.2.25\"", "", 0, 0, {},
     "Our IPv4 address to connect from. Without it the system chooses.",
     FIELD(&c.relay.source_v4)},
    {"relay", "source_v6", KeyType::Ipv6, Presence::Optional, "", "\"2001:db8::25\"", "", 0, 0, {},
     "Our IPv6 address to connect from. Without it the system chooses.",
     FIELD(&c.relay.source_v6)},
    {"relay", "convert_8bit", KeyType::Boolean, Presence::Optional, "false", "", "", 0, 0, {},
     "What becomes of an 8-bit message for a host that takes 7 bits only. false: it is given back "
     "(5.6.3). true: its 8-bit parts are encoded, quoted-printable or base64, unless something is "
     "signed (DKIM, ARC, multipart/signed), which that would break; so never what is signed here.",
     FIELD(&c.relay.convert_8bit)},
    // --- route
    {"route", "domain", KeyType::Domain, Presence::Required, "", "\"example.com\"", "", 0, 0, {},
     "The domain whose mail takes this way. Domains below it do not.",
     FIELD(&c.routing.routes.back().domain)},
    {"route", "host", KeyType::NextHost, Presence::Required, "", "\"[192.0.2.1]:25\"", "", 0, 0, {},
     "The host that takes it. The addresses of the host are asked for, not its MX records. Without "
     "a port: 25.",
     FIELD(&c.routing.routes.back().host)},
    {"route", "relay", KeyType::Boolean, Presence::Optional, "false", "", "", 0, 0, {},
     "Whether mail for the domain is taken from every client (true), or only from those that may "
     "send anywhere (false).",
     FIELD(&c.routing.routes.back().relay)},
    // --- pool
    {"pool", "senders", KeyType::Senders, Presence::Optional, "",
     "[\"news.example.org\", \"billing@example.org\"]", "", 0, 0, {},
     "Domains and addresses of the reverse-path (MAIL FROM). Upper and lower case are alike; "
     "domains below a domain are not meant. Reports to senders have an empty reverse-path, which "
     "no such list matches.",
     FIELD(&c.pools.back().senders)},
    {"pool", "destinations", KeyType::Domains, Presence::Optional, "", "[\"example.net\"]", "", 0,
     0, {},
     "Domains of the recipients; domains below them are not meant.",
     FIELD(&c.pools.back().destinations)},
    {"pool", "hello_name", KeyType::HostName, Presence::Optional, "", "\"news.example.org\"", "", 0,
     0, {},
     "The name said in EHLO for this mail.",
     FIELD(&c.pools.back().hello_name)},
    {"pool", "source_v4", KeyType::Ipv4, Presence::Optional, "", "\"192.0.2.26\"", "", 0, 0, {},
     "Our IPv4 address to connect from for this mail.",
     FIELD(&c.pools.back().source_v4)},
    {"pool", "source_v6", KeyType::Ipv6, Presence::Optional, "", "\"2001:db8::26\"", "", 0, 0, {},
     "Our IPv6 address to connect from for this mail.",
     FIELD(&c.pools.back().source_v6)},
    // --- resolver
    {"resolver", "forwarders", KeyType::Servers, Presence::Optional, "[]", "", "", 0, 0, {},
     "DNS servers to ask, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"; for networks that "
     "block port 53 to the world. None: the servers of the Internet are asked, from the root "
     "down.",
     FIELD(&c.resolver.forwarders)},
    {"resolver", "trust_anchor_file", KeyType::Path, Presence::Optional, "",
     "\"/usr/share/dns/root.key\"", "", 0, 0, {},
     "A file with the DNSSEC trust anchors that answers are validated by, in the form of a zone "
     "file. Without this key: /usr/share/dns/root.key where it exists, but none when there are "
     "forwarders, since one that drops signatures would make every answer invalid.",
     FIELD(&c.resolver.trust_anchor_file)},
    // --- spool
    {"spool", "segment_octets", KeyType::Size, Presence::Optional, "\"32 MiB\"", "", "octets",
     kMiB, kGiB, {},
     "Size of one file of the log. Files are written again when all their messages are done.",
     FIELD(&c.spool.segment_octets)},
    {"spool", "min_free", KeyType::Size, Presence::Optional, "\"128 MiB\"", "", "octets", 0,
     16 * kTiB, {},
     "Disk space left alone: with less than this free no more of it is taken for new messages. "
     "They get 452 when the files that are there are full; those accepted before are still "
     "finished.",
     FIELD(&c.spool.min_free_octets)},
    {"spool", "attempts_max", KeyType::Size, Presence::Optional, "\"64 MiB\"", "", "octets", 0,
     4 * kGiB, {},
     "Disk space for the attempts to deliver and what was said in them, which postrider show "
     "prints also after a restart and of messages that are finished. The oldest are forgotten "
     "first; one takes 150 octets (a mailbox here) to some KiB (a dialogue). 0: nothing is "
     "written, and only the newest are kept in memory.",
     FIELD(&c.spool.attempts_octets_max)},
    // --- queue
    {"queue", "backoff_first", KeyType::Duration, Presence::Optional, "\"5m\"", "", "", 1, 7 * kDay,
     {},
     "How long after a first failed attempt to reach another host the second one comes. Each wait "
     "is twice as long as the one before. Some failures have waits of their own, in proportion: "
     "greylisting is tried sooner, a full mailbox later.",
     FIELD(&c.queue.backoff_first)},
    {"queue", "backoff_max", KeyType::Duration, Presence::Optional, "\"4h\"", "", "", 1, 7 * kDay,
     {},
     "No wait is longer than this.",
     FIELD(&c.queue.backoff_max)},
    {"queue", "local_backoff_first", KeyType::Duration, Presence::Optional, "\"10s\"", "", "", 1,
     7 * kDay, {},
     "The same as backoff_first for mailboxes here, whose troubles are ours and short.",
     FIELD(&c.queue.local_backoff_first)},
    {"queue", "local_backoff_max", KeyType::Duration, Presence::Optional, "\"15m\"", "", "", 1,
     7 * kDay, {},
     "The same as backoff_max for mailboxes here.",
     FIELD(&c.queue.local_backoff_max)},
    {"queue", "expiry", KeyType::Duration, Presence::Optional, "\"5d\"", "", "", kMinute, 60 * kDay,
     {},
     "How long a message is tried before it fails. RFC 5321 section 4.5.4.1 asks for at least 4 "
     "to 5 days.",
     FIELD(&c.queue.expiry)},
    {"queue", "delay_notice", KeyType::Duration, Presence::Optional, "\"4h\"", "", "", 0, 60 * kDay,
     {},
     "After this time the sender is told, once, that the message is late. \"0s\": never.",
     FIELD(&c.queue.delay_notice)},
    {"queue", "active_max", KeyType::Count, Presence::Optional, "10000", "", "messages", 10,
     10'000'000, {},
     "Messages held in memory for delivery at once. All others wait on disk.",
     FIELD(&c.queue.active_max)},
    {"queue", "connections_per_site", KeyType::Count, Presence::Optional, "20", "", "connections",
     1, 1000, {},
     "Connections at once to one site, which is all domains with the same MX hosts. How many are "
     "really used grows with success and shrinks with failure.",
     FIELD(&c.queue.connections_per_site)},
    {"queue", "messages_per_connection", KeyType::Count, Presence::Optional, "100", "", "messages",
     1, 1'000'000, {},
     "Messages sent over one connection before it is closed.",
     FIELD(&c.queue.messages_per_connection)},
    {"queue", "messages_per_minute_per_site", KeyType::Count, Presence::Optional, "0", "",
     "messages", 0, 1'000'000, {},
     "Messages sent to one site in a minute, all connections together. 0: no limit.",
     FIELD(&c.queue.messages_per_minute_per_site)},
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
    // --- verdict, signing, signer
#include "daemon/config_keys_authentication.inc"
    // --- suppression
#include "daemon/config_keys_suppression.inc"
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
    {"domain", "deliver_to", KeyType::DeliverTo, Presence::Optional, "",
     "\"lmtp:unix:/run/dovecot/lmtp\"", "", 0, 0, {},
     "What takes the mail of all mailboxes of this domain instead of Maildirs: an LMTP server "
     "(\"lmtp:unix:/path\", \"lmtp:127.0.0.1:24\"), or a program that reads each message from its "
     "standard input (\"pipe:/usr/bin/program argument ...\"; words end at spaces, no shell is "
     "asked). Which addresses exist is still said here.",
     FIELD(&c.routing.domains.back().via)},
    {"domain", "dmarc", KeyType::Choice, Presence::Optional, "\"default\"", "", "", 0, 0,
     kDomainActions,
     "The same as dmarc in [verdict], for recipients in this domain. A message with other "
     "recipients too cannot be refused for some of them: it is quarantined for these.",
     FIELD(choice(c.domain_dmarc.back()))},
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

}  // namespace

std::span<const Key> general_keys() { return kKeys; }

}  // namespace postrider::daemon
