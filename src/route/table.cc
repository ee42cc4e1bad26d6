#include "route/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "route/expansion.h"

namespace postrider::route {

namespace {

constexpr EnhancedStatus kNoSuchMailbox{5, 1, 1};  // RFC 3463 §3.2
constexpr EnhancedStatus kConfigured{4, 3, 5};     // RFC 3463 §3.4

bool has_upper(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return c >= 'A' && c <= 'Z'; });
}

}  // namespace

Decision Table::resolve(const Mailbox& mailbox) const {
    const Domain* domain = find_domain(mailbox.domain);
    if (!domain) {
        const StaticRoute* route = find_route(mailbox.domain);
        if (!route && is_our_postmaster(mailbox)) return resolve({mailbox.local_part, {}});
        return Relay{.open_to_all = route && route->relay};
    }
    std::optional<Found> found = find(*domain, mailbox.local_part);
    if (found && !found->has_alias()) {
        Local local;
        local.targets.push_back(found->mailbox());
        return local;
    }
    if (!found && !domain->catch_all) {
        return UnknownRecipient{kNoSuchMailbox, fmt::format("no mailbox {} here", mailbox.text())};
    }
    Expansion expansion(*this);
    std::optional<AliasError> error =
        found ? expansion.add(*found) : expansion.add(*domain->catch_all);
    if (error) return std::move(*error);
    return Local{expansion.take()};
}

Destination Table::destination(const Mailbox& mailbox) const {
    const Domain* domain = find_domain(mailbox.domain);
    if (!domain) {
        const StaticRoute* route = find_route(mailbox.domain);
        if (route && !route->host.empty()) return StaticDestination{route->host};
        return RemoteDestination{mailbox.domain};
    }
    std::optional<Found> found = find(*domain, mailbox.local_part);
    if (!found || !found->entry->mailbox) {
        return NoDestination{kNoSuchMailbox,
                             fmt::format("there is no longer a mailbox {}", mailbox.text())};
    }
    if (domain->via) return *domain->via;
    if (!path_) return NoDestination{kConfigured, "no folder for mailboxes is configured"};
    return MaildirDestination{path_->path(domain->name, *found->key)};
}

const Table::Domain* Table::find_domain(std::string_view name) const {
    // RFC 5321 §4.1.1.3: only postmaster comes without a domain; it is the first domain's.
    if (name.empty()) return domains_.empty() ? nullptr : domains_.front().get();
    auto found = domain_index_.find(name);
    if (found == domain_index_.end() && (!is_ascii(name) || has_upper(name))) {
        if (std::optional<std::string> key = domain_key(name)) found = domain_index_.find(*key);
    }
    return found == domain_index_.end() ? nullptr : found->second;
}

// RFC 5321 §4.5.1: postmaster at each domain "for which the SMTP server provides mail service". The
// hostname need not be one of them, and yet its reports are answered. It is the first domain's.
bool Table::is_our_postmaster(const Mailbox& mailbox) const {
    return !hostname_.empty() && !domains_.empty() && mailbox.is_postmaster() &&
           domain_key(mailbox.domain) == hostname_;
}

const StaticRoute* Table::find_route(std::string_view name) const {
    if (routes_.empty()) return nullptr;
    std::optional<std::string> key = domain_key(name);
    if (!key) return nullptr;
    auto found = routes_.find(*key);
    return found == routes_.end() ? nullptr : &found->second;
}

std::optional<Table::Found> Table::find(const Domain& domain, std::string_view local_part) const {
    LocalKey whole(local_part, local_part_case_);
    if (whole.too_long()) return std::nullopt;
    auto lookup = [&](std::string_view key) -> std::optional<Found> {
        auto found = domain.addresses.find(key);
        if (found == domain.addresses.end()) return std::nullopt;
        return Found{&domain, &found->first, &found->second};
    };
    if (std::optional<Found> found = lookup(whole.view())) return found;
    if (delimiter_.empty()) return std::nullopt;
    // RFC 5233 §4: what follows the delimiter is detail. Position 0 would leave no user.
    std::string_view rest = local_part;
    for (;;) {
        std::size_t at = rest.find_last_of(delimiter_);
        if (at == rest.npos || at == 0) return std::nullopt;
        rest = rest.substr(0, at);
        if (std::optional<Found> found = lookup(LocalKey(rest, local_part_case_).view())) {
            return found;
        }
    }
}

}  // namespace postrider::route
