// route/expansion.h: who is behind an alias.
//
// Follows aliases depth first, in the order of the configuration, to mailboxes and to addresses of
// other domains. Each alias is followed once per question, so the work is bounded by the size of
// the table; the depth and the number of targets have limits of their own (base/limits.h).
//
// Threads: one question, one Expansion, one thread.

#pragma once

#include <optional>
#include <unordered_set>
#include <vector>

#include "route/table.h"

namespace postrider::route {

class Expansion {
public:
    // REQUIRES: table outlives the Expansion.
    explicit Expansion(const Table& table) : table_(table) {}

    // Adds what `target` stands for.
    std::optional<AliasError> add(const Mailbox& target);
    std::optional<AliasError> add(const Table::Found& found);

    std::vector<Mailbox> take() { return std::move(targets_); }

private:
    std::optional<AliasError> keep(Mailbox mailbox);
    bool on_path(const Table::Entry* entry) const;

    const Table& table_;
    std::vector<Mailbox> targets_;
    std::unordered_set<std::string> seen_;          // texts of targets_
    std::vector<const Table::Entry*> path_;         // aliases being followed, outermost first
    std::unordered_set<const Table::Entry*> done_;  // aliases followed to their end
};

}  // namespace postrider::route
