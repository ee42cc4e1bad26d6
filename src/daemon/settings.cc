#include "daemon/settings.h"

#include <algorithm>

#include "mail/trace.h"
#include "route/address_key.h"

namespace postrider::daemon {

namespace {

bool is_from(const PoolConfig::Sender& sender, const Mailbox& mailbox) {
    if (route::domain_key(mailbox.domain) != sender.domain) return false;
    return !sender.local_part ||
           route::LocalKey(mailbox.local_part, route::LocalPartCase::Folded).view() ==
               *sender.local_part;
}

}  // namespace

bool SuppressionSettings::is_bounce_address(const Mailbox& mailbox,
                                            std::string_view delimiters) const {
    Mailbox bare = mailbox;
    std::size_t tag = bare.local_part.find_first_of(delimiters);
    if (tag != std::string::npos && tag > 0) bare.local_part.resize(tag);
    return std::ranges::any_of(bounce_addresses, [&](const PoolConfig::Sender& address) {
        return is_from(address, bare);
    });
}

Destination Settings::destination(const Mailbox& mailbox) const {
    Destination destination = table->destination(mailbox);
    if (smarthost.empty() || !std::holds_alternative<RemoteDestination>(destination)) {
        return destination;
    }
    // Domains that we take mail for from everyone go to their own hosts: we are their backup.
    route::Decision decision = table->resolve(mailbox);
    auto* relay = std::get_if<route::Relay>(&decision);
    if (relay && relay->open_to_all) return destination;
    return StaticDestination{smarthost};
}

std::optional<verdict::Action> VerdictSettings::dmarc_for(const Recipient& recipient) const {
    if (dmarc_by_domain.empty()) return std::nullopt;
    const Mailbox& named = recipient.original ? *recipient.original : recipient.mailbox;
    auto key = route::domain_key(named.domain);
    auto found = key ? dmarc_by_domain.find(*key) : dmarc_by_domain.end();
    if (found == dmarc_by_domain.end()) return std::nullopt;
    return found->second;
}

// Maildir++: a folder of a Maildir is a Maildir in it whose name begins with a dot.
Destination Settings::destination_of(const Envelope& envelope, uint32_t recipient) const {
    Destination out = destination(envelope.recipient(recipient).mailbox);
    auto* maildir = std::get_if<MaildirDestination>(&out);
    if (maildir && is_quarantined(envelope.variant_of(recipient).prefix)) maildir->path += "/.Junk";
    return out;
}

const EgressSettings& Settings::egress_for(const ReversePath& sender,
                                           std::string_view domain) const {
    if (pools.empty()) return egress;
    auto key = route::domain_key(domain);
    for (const PoolSettings& pool : pools) {
        bool from = pool.senders.empty() ||
                    (sender.mailbox && std::ranges::any_of(pool.senders, [&](const auto& one) {
                         return is_from(one, *sender.mailbox);
                     }));
        bool to = pool.destinations.empty() ||
                  (key && std::ranges::find(pool.destinations, *key) != pool.destinations.end());
        if (from && to) return pool.egress;
    }
    return egress;
}

}  // namespace postrider::daemon
