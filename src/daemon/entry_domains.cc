#include "daemon/entry_domains.h"

namespace postrider::daemon {

void EntryDomains::note(queue::Handle handle, std::string_view domain) {
    uint32_t number = domain.empty() ? kSeveral : take(domain);
    if (marks_.size() <= handle.index) marks_.resize(std::size_t{handle.index} + 1);
    Mark& mark = marks_[handle.index];
    give_back(mark.domain);  // of the entry that had this place before
    mark = {handle.generation, number};
}

EntryDomains::Has EntryDomains::has(queue::Handle handle, std::string_view domain) const {
    if (handle.index >= marks_.size()) return Has::Unknown;
    const Mark& mark = marks_[handle.index];
    // What the queue has made of a part of another entry bears no mark.
    if (mark.generation != handle.generation || mark.domain == kSeveral) return Has::Unknown;
    return *domains_[mark.domain].name == domain ? Has::All : Has::No;
}

uint32_t EntryDomains::take(std::string_view domain) {
    auto [it, fresh] = numbers_.try_emplace(std::string(domain), 0);
    if (fresh) {
        if (free_.empty()) {
            free_.push_back(static_cast<uint32_t>(domains_.size()));
            domains_.emplace_back();
        }
        it->second = free_.back();
        free_.pop_back();
        domains_[it->second].name = &it->first;
    }
    domains_[it->second].marks++;
    return it->second;
}

void EntryDomains::give_back(uint32_t number) {
    if (number == kSeveral || --domains_[number].marks > 0) return;
    numbers_.erase(*domains_[number].name);
    domains_[number].name = nullptr;
    free_.push_back(number);
}

}  // namespace postrider::daemon
