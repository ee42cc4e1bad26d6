#include "daemon/null_mx_domains.h"

namespace postrider::daemon {

void NullMxDomains::learn(const std::string& domain, Monotonic expires, Monotonic now) {
    std::lock_guard lock(mutex_);
    if (expires_.size() >= kDomainsMax) {
        std::erase_if(expires_, [&](const auto& known) { return known.second <= now; });
        if (expires_.size() >= kDomainsMax) return;
    }
    expires_[domain] = expires;
}

bool NullMxDomains::contains(const std::string& domain, Monotonic now) const {
    std::lock_guard lock(mutex_);
    auto found = expires_.find(domain);
    return found != expires_.end() && now < found->second;
}

}  // namespace postrider::daemon
