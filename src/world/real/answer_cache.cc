#include "world/real/answer_cache.h"

#include <algorithm>

namespace postrider::world::real {

using Status = dns::Answer::Status;

std::optional<dns::Answer> AnswerCache::find(const dns::Question& question, Monotonic now) {
    auto found = entries_.find(question);
    if (found == entries_.end()) return std::nullopt;
    Entry& entry = found->second;
    if (now >= entry.until) {
        ages_.erase(entry.age);
        entries_.erase(found);
        return std::nullopt;
    }
    dns::Answer answer = entry.answer;
    auto passed = std::chrono::floor<std::chrono::seconds>(now - entry.stored).count();
    answer.ttl_seconds -= std::min(answer.ttl_seconds, static_cast<uint32_t>(passed));
    return answer;
}

void AnswerCache::put(const dns::Question& question, const dns::Answer& answer, Monotonic now) {
    if (answer.status == Status::Temporary || answer.ttl_seconds == 0 || entries_max_ == 0) return;
    Duration kept = std::min<Duration>(std::chrono::seconds(answer.ttl_seconds), kAnswerKeptMax);
    auto [entry, added] = entries_.try_emplace(question);
    if (added) {
        entry->second.age = ages_.insert(ages_.end(), question);
    } else {
        ages_.splice(ages_.end(), ages_, entry->second.age);
    }
    entry->second.answer = answer;
    entry->second.stored = now;
    entry->second.until = now + kept;
    if (entries_.size() > entries_max_) {
        entries_.erase(ages_.front());
        ages_.pop_front();
    }
}

}  // namespace postrider::world::real
