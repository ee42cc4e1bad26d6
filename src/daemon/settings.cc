#include "daemon/settings.h"

#include <algorithm>

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
