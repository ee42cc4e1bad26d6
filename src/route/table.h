// route/table.h: where does an address go?
//
// The pure, deciding part of routing: a table made from the configuration answers at RCPT (is this
// recipient ours, and who is behind it?) and at delivery (into which mailbox, to which host?).
//
// Promise
//   1. resolve() always ends: alias loops, depth (kAliasDepthMax) and the number of targets
//      (kRecipientsAfterExpansionMax) are bounded, and an alias is followed once per question.
//   2. Targets come in the order of the configuration, each once.
//   3. postmaster of each local domain, and postmaster without a domain, is accepted
//      (RFC 5321 §4.5.1) wherever a domain has any mailbox or a postmaster of its own; so is
//      postmaster at our own hostname, from which our reports come.
//   4. What resolve() gives as a local target, destination() of the same table finds.
//
// How a local-part is looked up: as it is (an alias before a mailbox of the same name); then
// without its tag, the longest rest first (user+a+b, user+a, user); then the domain's catch-all. An
// alias that leads back to an address with a mailbox ends in that mailbox: that is how "keep a copy
// and forward" is written. Without a mailbox it is a loop.
//
// A table never changes. A reload builds a new one and swaps the std::shared_ptr<const Table>.
// Threads: const, from anywhere.
// Failure: what is wrong in the configuration is listed in Built::problems; the table then answers
// as well as it can (a dangling alias: AliasError).

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>

#include "mail/destination.h"
#include "mail/mailbox.h"
#include "route/address_key.h"
#include "route/mailbox_path.h"

namespace postrider::route {

struct Alias {
    std::string local_part;
    std::vector<Mailbox> targets;
};

struct LocalDomain {
    std::string name;  // a domain, or an address literal with its brackets
    std::vector<Mailbox> mailboxes;
    std::vector<Alias> aliases;
    std::optional<Mailbox> catch_all;
    std::optional<Mailbox>
        postmaster;                  // none: a mailbox or alias of that name, or the first mailbox
    std::optional<Destination> via;  // LMTP server or program for all its mailboxes; none: Maildir
};

// A domain that is not ours and goes to a host named here, or to its MX hosts if none is named.
struct StaticRoute {
    std::string domain;
    std::string host;
    bool relay = false;  // taken from every client, not only from those who may relay
};

struct TableSource {
    std::vector<LocalDomain> domains;
    std::vector<StaticRoute> routes;
    std::string hostname;                   // of this server; empty = not said
    std::string recipient_delimiter = "+";  // each of its characters; empty = no tags
    LocalPartCase local_part_case = LocalPartCase::Folded;
    std::string mailbox_path;  // template of mailbox_path.h
};

// Ours: what the message is kept for. Local mailboxes in folded form, remote ones as configured.
struct Local {
    std::vector<Mailbox> targets;
};

// Not ours. Who asks decides whether this client may relay, unless the domain is open to all.
struct Relay {
    bool open_to_all = false;
};

struct UnknownRecipient {
    EnhancedStatus status{5, 1, 1};  // with reply code 550
    std::string reason;
};

// The operator's mistake, so the sender is told to come again (451): nothing is lost by it.
struct AliasError {
    enum class Kind : uint8_t {
        Loop,
        TooDeep,
        TooMany,
        Dangling
    };
    Kind kind = Kind::Loop;
    EnhancedStatus status;
    std::string reason;
};

using Decision = std::variant<Local, Relay, UnknownRecipient, AliasError>;

// Something wrong in a TableSource, by position, so that the configuration can name the line.
struct Problem {
    enum class Part : uint8_t {
        Domain,
        Mailbox,
        Alias,
        CatchAll,
        Postmaster,
        Route,
        MailboxPath
    };
    Part part = Part::Domain;
    std::size_t domain = 0;  // index into domains (or routes)
    std::size_t item = 0;    // index into mailboxes or aliases
    std::size_t target = 0;  // index into the targets of the alias; kWholeAlias = the alias itself
    std::string message;

    static constexpr std::size_t kWholeAlias = SIZE_MAX;
};

class Table {
public:
    struct Built {
        std::shared_ptr<const Table> table;
        std::vector<Problem> problems;
    };
    static Built build(const TableSource& source);

    // What RCPT asks. One lookup without an allocation but the answer's, for a plain mailbox.
    Decision resolve(const Mailbox& mailbox) const;

    // What delivery asks about a target of resolve().
    Destination destination(const Mailbox& mailbox) const;

    // Whether mail of this domain is kept here.
    bool is_local(std::string_view domain) const { return find_domain(domain) != nullptr; }

    std::size_t mailbox_count() const { return mailbox_count_; }

private:
    friend class TableBuilder;
    friend class Expansion;

    static constexpr uint32_t kNoAlias = UINT32_MAX;

    struct Entry {
        bool mailbox = false;
        uint32_t alias = kNoAlias;  // index into aliases_
    };
    struct Hash {
        using is_transparent = void;
        std::size_t operator()(std::string_view text) const {
            return std::hash<std::string_view>{}(text);
        }
    };
    template <typename T>
    using Map = std::unordered_map<std::string, T, Hash, std::equal_to<>>;

    struct Domain {
        std::string name;  // key
        Map<Entry> addresses;
        std::optional<Mailbox> catch_all;
        std::optional<Destination> via;
    };
    struct Found {
        const Domain* domain;
        const std::string* key;
        const Entry* entry;
        bool has_alias() const { return entry->alias != kNoAlias; }
        Mailbox mailbox() const { return {*key, domain->name}; }
    };

    Table() = default;

    const Domain* find_domain(std::string_view name) const;
    const StaticRoute* find_route(std::string_view name) const;
    bool is_our_postmaster(const Mailbox& mailbox) const;
    std::optional<Found> find(const Domain& domain, std::string_view local_part) const;

    std::vector<std::unique_ptr<Domain>> domains_;  // in the order of the configuration
    Map<const Domain*> domain_index_;
    Map<StaticRoute> routes_;
    std::vector<std::vector<Mailbox>> aliases_;
    std::string hostname_;  // key
    std::string delimiter_;
    LocalPartCase local_part_case_ = LocalPartCase::Folded;
    std::optional<MailboxPath> path_;
    std::size_t mailbox_count_ = 0;
};

}  // namespace postrider::route
