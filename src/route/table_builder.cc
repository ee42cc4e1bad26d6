// route/table_builder.cc: from the words of the configuration to a table, with every complaint.

#include <fmt/format.h>

#include "route/expansion.h"
#include "route/table.h"

namespace postrider::route {

using Part = Problem::Part;

class TableBuilder {
public:
    explicit TableBuilder(const TableSource& source) : source_(source) {}

    Table::Built build() {
        table_->hostname_ = domain_key(source_.hostname).value_or("");
        table_->delimiter_ = source_.recipient_delimiter;
        table_->local_part_case_ = source_.local_part_case;
        read_path();
        for (std::size_t i = 0; i < source_.domains.size(); ++i) add_domain(i);
        for (std::size_t i = 0; i < source_.routes.size(); ++i) add_route(i);
        // Targets may lie in any domain, so they are followed when all are there.
        for (const Added& added : added_) check_domain(added);
        return {std::move(table_), std::move(problems_)};
    }

private:
    struct Added {
        std::size_t number;  // in the source
        Table::Domain* domain;
        bool own_postmaster;
    };

    void problem(Part part, std::size_t domain, std::size_t item, std::string message,
                 std::size_t target = Problem::kWholeAlias) {
        problems_.push_back({part, domain, item, target, std::move(message)});
    }

    void read_path() {
        Result<MailboxPath> path = MailboxPath::parse(source_.mailbox_path);
        if (!path) {
            problem(Part::MailboxPath, 0, 0, path.error().message);
            return;
        }
        if (!path->names_domain() && source_.domains.size() > 1) {
            problem(Part::MailboxPath, 0, 0,
                    "the mailbox path must hold {domain} when there are several domains");
        }
        table_->path_ = std::move(*path);
    }

    void add_domain(std::size_t number) {
        const LocalDomain& from = source_.domains[number];
        std::optional<std::string> key = domain_key(from.name);
        if (!key || key->empty()) {
            problem(Part::Domain, number, 0, fmt::format("{} is not a domain name", from.name));
            return;
        }
        auto domain = std::make_unique<Table::Domain>();
        domain->name = *key;
        domain->catch_all = from.catch_all;
        domain->via = from.via;
        if (!table_->domain_index_.emplace(*key, domain.get()).second) {
            problem(Part::Domain, number, 0, fmt::format("domain {} is listed twice", from.name));
            return;
        }
        Table::Domain& kept = *table_->domains_.emplace_back(std::move(domain));
        kept.addresses.reserve(from.mailboxes.size() + from.aliases.size() + 1);
        for (std::size_t i = 0; i < from.mailboxes.size(); ++i) add_mailbox(kept, number, i);
        for (std::size_t i = 0; i < from.aliases.size(); ++i) add_alias(kept, number, i);
        add_postmaster(kept, number);
    }

    void add_mailbox(Table::Domain& domain, std::size_t number, std::size_t item) {
        const Mailbox& mailbox = source_.domains[number].mailboxes[item];
        if (domain_key(mailbox.domain) != domain.name) {
            problem(Part::Mailbox, number, item,
                    fmt::format("mailbox {} is not in domain {}", mailbox.text(), domain.name));
            return;
        }
        LocalKey key(mailbox.local_part, source_.local_part_case);
        if (key.too_long()) {
            problem(Part::Mailbox, number, item, "the local-part is longer than 64 octets");
            return;
        }
        Table::Entry& entry = domain.addresses[std::string(key.view())];
        if (entry.mailbox) {
            problem(Part::Mailbox, number, item,
                    fmt::format("mailbox {} is listed twice", mailbox.text()));
            return;
        }
        entry.mailbox = true;
        ++table_->mailbox_count_;
    }

    void add_alias(Table::Domain& domain, std::size_t number, std::size_t item) {
        const Alias& alias = source_.domains[number].aliases[item];
        LocalKey key(alias.local_part, source_.local_part_case);
        if (key.too_long()) {
            problem(Part::Alias, number, item, "the local-part is longer than 64 octets");
            return;
        }
        Table::Entry& entry = domain.addresses[std::string(key.view())];
        if (entry.alias != Table::kNoAlias) {
            problem(Part::Alias, number, item,
                    fmt::format("alias {} is listed twice", alias.local_part));
            return;
        }
        if (alias.targets.empty()) {
            problem(
                Part::Alias, number, item,
                fmt::format("alias {} leads nowhere: give at least one address", alias.local_part));
        }
        set_targets(entry, alias.targets);
    }

    // RFC 5321 §4.5.1: a domain that takes mail takes it for its postmaster.
    void add_postmaster(Table::Domain& domain, std::size_t number) {
        const LocalDomain& from = source_.domains[number];
        bool exists = domain.addresses.contains(std::string_view("postmaster"));
        if (exists && from.postmaster) {
            problem(Part::Postmaster, number, 0,
                    "postmaster is also a mailbox or an alias of this domain: keep one of them");
        }
        added_.push_back({number, &domain, from.postmaster && !exists});
        if (exists) return;
        if (!from.postmaster && from.mailboxes.empty()) {
            problem(Part::Domain, number, 0,
                    fmt::format("domain {} needs a postmaster: set postmaster, or list a mailbox",
                                from.name));
            return;
        }
        const Mailbox& target = from.postmaster ? *from.postmaster : from.mailboxes.front();
        set_targets(domain.addresses["postmaster"], {target});
    }

    void set_targets(Table::Entry& entry, std::vector<Mailbox> targets) {
        entry.alias = static_cast<uint32_t>(table_->aliases_.size());
        table_->aliases_.push_back(std::move(targets));
    }

    void add_route(std::size_t number) {
        const StaticRoute& from = source_.routes[number];
        std::optional<std::string> key = domain_key(from.domain);
        if (!key || key->empty()) {
            problem(Part::Route, number, 0, fmt::format("{} is not a domain name", from.domain));
        } else if (table_->domain_index_.contains(*key)) {
            problem(Part::Route, number, 0,
                    fmt::format("{} is a domain of ours: it cannot have a route", from.domain));
        } else if (!table_->routes_.emplace(*key, from).second) {
            problem(Part::Route, number, 0, fmt::format("{} has two routes", from.domain));
        }
    }

    void check_domain(const Added& added) {
        const LocalDomain& from = source_.domains[added.number];
        for (std::size_t i = 0; i < from.aliases.size(); ++i) check_alias(added, i);
        if (from.catch_all) check_target(Part::CatchAll, added.number, *from.catch_all);
        if (added.own_postmaster) check_target(Part::Postmaster, added.number, *from.postmaster);
    }

    void check_alias(const Added& added, std::size_t item) {
        const Alias& alias = source_.domains[added.number].aliases[item];
        bool dangling = false;
        for (std::size_t i = 0; i < alias.targets.size(); ++i) {
            const Mailbox& target = alias.targets[i];
            if (exists(target)) continue;
            dangling = true;
            problem(Part::Alias, added.number, item,
                    fmt::format("alias {} leads to {}, which does not exist", alias.local_part,
                                target.text()),
                    i);
        }
        if (dangling) return;
        std::optional<Table::Found> found = table_->find(*added.domain, alias.local_part);
        if (!found) return;
        Expansion expansion(*table_);
        std::optional<AliasError> error = expansion.add(*found);
        // What dangles further on is told where it stands.
        if (error && error->kind != AliasError::Kind::Dangling) {
            problem(Part::Alias, added.number, item, error->reason);
        }
    }

    void check_target(Part part, std::size_t number, const Mailbox& target) {
        if (!exists(target)) {
            problem(part, number, 0, fmt::format("{} does not exist", target.text()));
        }
    }

    bool exists(const Mailbox& target) const {
        const Table::Domain* domain = table_->find_domain(target.domain);
        return !domain || table_->find(*domain, target.local_part);
    }

    const TableSource& source_;
    std::shared_ptr<Table> table_{new Table};
    std::vector<Problem> problems_;
    std::vector<Added> added_;
};

Table::Built Table::build(const TableSource& source) { return TableBuilder(source).build(); }

}  // namespace postrider::route
