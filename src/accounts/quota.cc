#include "accounts/quota.h"

#include <algorithm>

namespace postrider::accounts {

bool Quota::take(const std::string& sender, Monotonic now, uint64_t per_hour) {
    const std::scoped_lock held(lock_);
    const auto full = static_cast<double>(per_hour);
    auto found = places_.find(sender);
    if (found == places_.end()) {
        if (buckets_.size() >= kSendersMax) {
            places_.erase(buckets_.back().sender);
            buckets_.pop_back();
        }
        buckets_.push_front({sender, full, now});
        found = places_.emplace(sender, buckets_.begin()).first;
    } else {
        buckets_.splice(buckets_.begin(), buckets_, found->second);
    }
    Bucket& bucket = *found->second;
    const double hours = std::chrono::duration<double, std::ratio<3600>>(now - bucket.at).count();
    bucket.messages = std::min(full, bucket.messages + hours * full);
    bucket.at = now;
    if (bucket.messages < 1) return false;
    bucket.messages -= 1;
    return true;
}

}  // namespace postrider::accounts
