#include "route/expansion.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/limits.h"

namespace postrider::route {

namespace {

// RFC 3463 §3.5 (4.4.6 routing loop) and §3.4 (4.3.5 system incorrectly configured).
constexpr EnhancedStatus kRoutingLoop{4, 4, 6};
constexpr EnhancedStatus kConfigured{4, 3, 5};

AliasError loop(const Mailbox& mailbox) {
    return {AliasError::Kind::Loop, kRoutingLoop,
            fmt::format("alias loop: {} leads back to itself", mailbox.text())};
}

AliasError too_deep(const Mailbox& mailbox) {
    return {AliasError::Kind::TooDeep, kRoutingLoop,
            fmt::format("alias {} lies more than {} aliases deep", mailbox.text(), kAliasDepthMax)};
}

AliasError too_many() {
    return {AliasError::Kind::TooMany, kConfigured,
            fmt::format("aliases lead to more than {} recipients", kRecipientsAfterExpansionMax)};
}

AliasError dangling(const Mailbox& mailbox) {
    return {AliasError::Kind::Dangling, kConfigured,
            fmt::format("alias leads to {}, which does not exist", mailbox.text())};
}

}  // namespace

std::optional<AliasError> Expansion::add(const Mailbox& target) {
    const Table::Domain* domain = table_.find_domain(target.domain);
    if (!domain) return keep(target);
    std::optional<Table::Found> found = table_.find(*domain, target.local_part);
    if (!found) return dangling(target);  // a catch-all would hide the mistake
    return add(*found);
}

std::optional<AliasError> Expansion::add(const Table::Found& found) {
    if (!found.has_alias()) return keep(found.mailbox());
    if (on_path(found.entry)) {
        // Back at an address above: its own mailbox is meant, or it is a loop.
        if (found.entry->mailbox) return keep(found.mailbox());
        return loop(found.mailbox());
    }
    if (done_.contains(found.entry)) return std::nullopt;
    if (path_.size() == kAliasDepthMax) return too_deep(found.mailbox());
    path_.push_back(found.entry);
    for (const Mailbox& target : table_.aliases_[found.entry->alias]) {
        if (std::optional<AliasError> error = add(target)) return error;
    }
    path_.pop_back();
    done_.insert(found.entry);
    return std::nullopt;
}

std::optional<AliasError> Expansion::keep(Mailbox mailbox) {
    std::string key = mailbox.local_part;
    key += '@';
    key += mailbox.domain;
    if (!seen_.insert(std::move(key)).second) return std::nullopt;
    if (targets_.size() == kRecipientsAfterExpansionMax) return too_many();
    targets_.push_back(std::move(mailbox));
    return std::nullopt;
}

bool Expansion::on_path(const Table::Entry* entry) const {
    return std::ranges::find(path_, entry) != path_.end();
}

}  // namespace postrider::route
