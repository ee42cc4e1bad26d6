#include "spool/index.h"

#include <algorithm>
#include <cassert>
#include <limits>

#include "base/limits.h"

namespace postrider::spool {

std::optional<Index::Known> Index::find(MessageId id) const {
    auto it = entries_.find(id);
    if (it == entries_.end()) return std::nullopt;
    return known(it->second);
}

Index::Known Index::known(const Entry& entry) {
    return {entry.place, entry.large, entry.unfinished_attempts, entry.recipients, entry.waiting};
}

void Index::add(MessageId id, Place place, uint32_t recipients, bool large) {
    assert(recipients > 0);
    auto [it, fresh] = entries_.try_emplace(id);
    assert(fresh);
    Entry& entry = it->second;
    entry.place = place;
    entry.recipients = entry.waiting = recipients;
    entry.kept = std::make_unique<Kept[]>(recipients);
    entry.large = large;
}

void Index::move(MessageId id, Place place) {
    auto it = entries_.find(id);
    assert(it != entries_.end());
    it->second.place = place;
}

Index::Effect Index::change(const RecipientChange& change) {
    auto it = entries_.find(change.id);
    if (it == entries_.end()) return Effect::None;
    Entry& entry = it->second;
    if (change.recipient >= entry.recipients) return Effect::None;
    Kept& kept = entry.kept[change.recipient];
    if (is_final(kept.state)) return Effect::None;
    entry.unfinished_attempts = 0;
    kept.state = change.state;
    kept.klass = change.status.klass;
    kept.subject = change.status.subject;
    kept.detail = change.status.detail;
    kept.attempts = change.attempts;
    kept.next_attempt = change.next_attempt;
    kept.delay_told = kept.delay_told || change.delay_told;
    set_reason(kept, change.reason);
    if (!is_final(change.state)) return Effect::Changed;
    if (--entry.waiting > 0) return Effect::Changed;
    forget(change.id);
    return Effect::Finished;
}

void Index::take_over(Index& other) {
    for (auto& [id, entry] : other.entries_) {
        for (uint32_t i = 0; i < entry.recipients; ++i) {
            Kept& kept = entry.kept[i];
            if (!kept.reason) continue;
            auto mine = reasons_.try_emplace(kept.reason->first, 0).first;
            ++mine->second;
            kept.reason = &*mine;
        }
    }
    entries_.merge(other.entries_);
    assert(other.entries_.empty());
    other.reasons_.clear();
}

void Index::forget(MessageId id) {
    auto it = entries_.find(id);
    if (it == entries_.end()) return;
    for (uint32_t i = 0; i < it->second.recipients; ++i) set_reason(it->second.kept[i], {});
    entries_.erase(it);
}

void Index::set_attempts(MessageId id, uint8_t count) {
    auto it = entries_.find(id);
    if (it != entries_.end()) it->second.unfinished_attempts = count;
}

void Index::add_attempt(MessageId id) {
    auto it = entries_.find(id);
    if (it == entries_.end()) return;
    uint8_t& count = it->second.unfinished_attempts;
    if (count < std::numeric_limits<uint8_t>::max()) ++count;
}

std::vector<Standing> Index::standings(MessageId id) const {
    const Entry& entry = entries_.at(id);
    std::vector<Standing> out;
    out.reserve(entry.recipients);
    for (uint32_t i = 0; i < entry.recipients; ++i) out.push_back(standing(entry.kept[i]));
    return out;
}

std::vector<RecipientChange> Index::changes(MessageId id) const {
    const Entry& entry = entries_.at(id);
    std::vector<RecipientChange> out;
    for (uint32_t i = 0; i < entry.recipients; ++i) {
        Standing now = standing(entry.kept[i]);
        if (now == Standing{}) continue;
        out.push_back({id, i, now.state, now.status, std::move(now.reason), now.attempts,
                       now.next_attempt, Wall{}, now.delay_told});
    }
    return out;
}

std::vector<MessageId> Index::ids() const {
    std::vector<MessageId> out;
    out.reserve(entries_.size());
    for (const auto& [id, entry] : entries_) out.push_back(id);
    std::sort(out.begin(), out.end());
    return out;
}

void Index::visit(const std::function<void(MessageId, const Known&)>& handle) const {
    for (const auto& [id, entry] : entries_) handle(id, known(entry));
}

std::size_t Index::collect(uint32_t segment, std::size_t from, std::size_t count,
                           std::vector<MessageId>& out) const {
    std::size_t buckets = entries_.bucket_count();
    std::size_t to = std::min(buckets, from + count);
    for (std::size_t bucket = from; bucket < to; ++bucket) {
        for (auto it = entries_.begin(bucket); it != entries_.end(bucket); ++it) {
            if (it->second.place.segment == segment) out.push_back(it->first);
        }
    }
    return to >= buckets ? 0 : to;
}

void Index::set_reason(Kept& kept, const std::string& reason) {
    if (kept.reason) {
        if (kept.reason->first == reason) return;
        if (--kept.reason->second == 0) reasons_.erase(reasons_.find(kept.reason->first));
        kept.reason = nullptr;
    }
    if (reason.empty()) return;
    auto it = reasons_.try_emplace(reason.substr(0, kReasonOctetsMax), 0).first;
    ++it->second;
    kept.reason = &*it;
}

Standing Index::standing(const Kept& kept) {
    return {kept.state,        {kept.klass, kept.subject, kept.detail},          kept.attempts,
            kept.next_attempt, kept.reason ? kept.reason->first : std::string(), kept.delay_told};
}

}  // namespace postrider::spool
