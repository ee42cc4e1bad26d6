#include "daemon/config_key_parts.h"

#include <array>

#include "base/limits.h"

namespace postrider::daemon {

namespace {

constexpr double kDay = 24.0 * 60 * 60;

constexpr std::string_view kForeignFroms[] = {"refuse", "add_sender"};

// An enum over uint8_t is written through its octet.
uint8_t* choice(SubmissionConfig::ForeignFrom& value) { return reinterpret_cast<uint8_t*>(&value); }

#define FIELD(expression) [](Config& c) -> Field { return expression; }

// clang-format off: one entry is a paragraph, not a column
constexpr auto kKeys = std::to_array<Key>({
    // --- accounts
    {"accounts", "users_file", KeyType::Path, Presence::Optional, "\"{data}/users\"", "", "", 0, 0,
     {},
     "The file with the accounts and their hashed passwords; see docs/accounts.md. A file that is "
     "not there holds none.",
     FIELD(&c.accounts.users_file)},
    {"accounts", "dovecot_socket", KeyType::Path, Presence::Optional, "",
     "\"/var/run/dovecot/auth-client\"", "", 0, 0, {},
     "The socket of a Dovecot auth service that is asked instead of the users file. It serves "
     "PLAIN and LOGIN.",
     FIELD(&c.accounts.dovecot_socket)},
    {"accounts", "database", KeyType::Text, Presence::Optional, "",
     "\"postgresql://postrider@db.example.org/mail\"", "", 0, 0, {},
     "A database that has the accounts instead of the users file: sqlite: with the path of a file, "
     "which is only read, or a URL of PostgreSQL.",
     FIELD(&c.accounts.database)},
    {"accounts", "database_query", KeyType::Text, Presence::Optional,
     "\"SELECT secret, label, send_as FROM accounts WHERE name = $1\"", "", "", 0, 0, {},
     "What is asked for an account; $1 is its name in lower case. Each row is a password: the "
     "secret, then, if wanted, the label of an app password (or nothing) and what the account may "
     "send as, separated by commas.",
     FIELD(&c.accounts.database_query)},
    {"accounts", "database_scram", KeyType::Boolean, Presence::Optional, "false", "", "", 0, 0, {},
     "Whether every account of the database has a SCRAM-SHA-256 secret, so that SCRAM can be "
     "offered.",
     FIELD(&c.accounts.database_scram)},
    {"accounts", "open_networks", KeyType::Networks, Presence::Optional, "[]", "", "", 0, 0, {},
     "Clients that may show a password without TLS. Passwords can be read on the way: list "
     "nothing but loopback addresses behind a proxy that does TLS itself.",
     FIELD(&c.accounts.open_networks)},
    {"accounts", "failures_max", KeyType::Count, Presence::Optional, "10", "", "logins", 1, 1000,
     {},
     "Failed logins from one address (IPv6: one /64) before it is shut out. Each one is answered "
     "later than the one before it.",
     FIELD(&c.accounts.failures_max)},
    {"accounts", "shut_out", KeyType::Duration, Presence::Optional, "\"15m\"", "", "", 1, kDay, {},
     "How long an address is shut out, counted from its last failure.",
     FIELD(&c.accounts.shut_out)},
    {"accounts", "token_keys_file", KeyType::Path, Presence::Optional, "",
     "\"/etc/postrider/token-keys.pem\"", "", 0, 0, {},
     "Public keys in PEM (RSA, P-256 or Ed25519) of whoever issues tokens (JWT). With it "
     "OAUTHBEARER and XOAUTH2 are offered.",
     FIELD(&c.accounts.token_keys_file)},
    {"accounts", "token_issuer", KeyType::Text, Presence::Optional, "",
     "\"https://login.example.org\"", "", 0, 0, {},
     "What the claim iss of a token must be. Without it: anything.",
     FIELD(&c.accounts.token_issuer)},
    {"accounts", "token_audience", KeyType::Text, Presence::Optional, "", "\"mail.example.org\"",
     "", 0, 0, {},
     "What the claim aud of a token must be or hold. Without it: anything.",
     FIELD(&c.accounts.token_audience)},
    {"accounts", "token_claim", KeyType::Text, Presence::Optional, "\"email\"", "", "", 0, 0, {},
     "The claim of a token that names the account.",
     FIELD(&c.accounts.token_claim)},
    // --- submission
    {"submission", "foreign_from", KeyType::Choice, Presence::Optional, "\"refuse\"", "", "", 0, 0,
     kForeignFroms,
     "What happens when the From field is not an address of the account: refuse the message, or "
     "add_sender, a Sender field with the account's own address.",
     FIELD(choice(c.submission.foreign_from))},
    {"submission", "domain", KeyType::Domain, Presence::Optional, "", "\"example.org\"", "", 0, 0,
     {},
     "What is put behind addresses in header fields that have no domain. Without it such a message "
     "is refused.",
     FIELD(&c.submission.domain)},
    {"submission", "hide_client", KeyType::Boolean, Presence::Optional, "false", "", "", 0, 0, {},
     "Leave the client's name and address out of the Received field.",
     FIELD(&c.submission.hide_client)},
    {"submission", "networks", KeyType::Networks, Presence::Optional, "[]", "", "", 0, 0, {},
     "Clients that need not log in: programs on machines of your own. They may send as any address "
     "of the domains kept here.",
     FIELD(&c.submission.networks)},
    {"submission", "recipients_max", KeyType::Count, Presence::Optional, "100", "", "recipients", 1,
     kRecipientsAfterExpansionMax, {},
     "Recipients of one message; an account may have a limit of its own.",
     FIELD(&c.submission.recipients_max)},
    {"submission", "messages_per_hour", KeyType::Count, Presence::Optional, "0", "", "messages", 0,
     1'000'000, {},
     "Messages that one account, or one address of networks, may send in an hour; more are put off "
     "with 450. An account may have a limit of its own. 0 means no limit.",
     FIELD(&c.submission.messages_per_hour)},
});
// clang-format on

#undef FIELD

}  // namespace

std::span<const Key> account_keys() { return kKeys; }

}  // namespace postrider::daemon
