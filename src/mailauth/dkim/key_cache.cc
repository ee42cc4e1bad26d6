#include "mailauth/dkim/key_cache.h"

#include <algorithm>

namespace postrider::mailauth::dkim {

std::shared_ptr<const KeyAnswer> KeyCache::find(const dns::Name& name, Monotonic now) {
    const auto place = places_.find(name.text());
    if (place == places_.end()) return nullptr;
    const auto entry = place->second;
    if (now >= entry->until) {
        drop(entry);
        return nullptr;
    }
    entries_.splice(entries_.begin(), entries_, entry);
    return entry->answer;
}

void KeyCache::store(const dns::Name& name, std::shared_ptr<const KeyAnswer> answer,
                     Monotonic now) {
    if (const auto place = places_.find(name.text()); place != places_.end()) drop(place->second);
    if (answer->temporary || answer->ttl_seconds == 0 || answers_max_ == 0) return;
    if (entries_.size() >= answers_max_) drop(std::prev(entries_.end()));
    const Duration kept =
        std::min<Duration>(std::chrono::seconds(answer->ttl_seconds), Duration(kKeptMax));
    entries_.push_front({name, std::move(answer), now + kept});
    places_.emplace(entries_.front().name.text(), entries_.begin());
}

void KeyCache::drop(Entries::iterator entry) {
    places_.erase(entry->name.text());
    entries_.erase(entry);
}

}  // namespace postrider::mailauth::dkim
