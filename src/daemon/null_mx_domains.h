// daemon/null_mx_domains.h: domains of which a delivery has learnt that they take no mail.
//
// A recipient in a domain with a null MX is refused at RCPT, with 556 (RFC 7505 §4.1), so that its
// sender hears of it at once. No RCPT waits for the DNS: the first message is taken and bounced,
// and what was learnt by it is known until the DNS's answer expires.
//
// Bounded: of more than kDomainsMax none is known until they expire. Threads: from anywhere.

#pragma once

#include <cstddef>
#include <mutex>
#include <string>
#include <unordered_map>

#include "base/time.h"

namespace postrider::daemon {

class NullMxDomains {
public:
    static constexpr std::size_t kDomainsMax = 10'000;

    // `domain` as route::domain_key() gives it.
    void learn(const std::string& domain, Monotonic expires, Monotonic now);
    bool contains(const std::string& domain, Monotonic now) const;

private:
    mutable std::mutex mutex_;
    std::unordered_map<std::string, Monotonic> expires_;
};

}  // namespace postrider::daemon
