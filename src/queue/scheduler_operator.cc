// The operator's side: verbs, lists, figures; and taking back what could not be carried out.

#include <algorithm>

#include "base/situation.h"
#include "queue/scheduler.h"
#include "queue/scheduler_state.h"

namespace postrider::queue {

bool Scheduler::put_back(Handle handle, Monotonic due, Monotonic now) {
    Entry* e = entry_of(handle);
    if (!e || e->state != EntryState::Active) return false;
    if (e->hold_wanted) {
        make_held(handle.index, now);
    } else {
        make_scheduled(handle.index, due, now);
    }
    return true;
}

bool Scheduler::move_to(Handle handle, std::string_view site, SiteKind kind, Monotonic now) {
    Entry* e = entry_of(handle);
    if (!e || e->state != EntryState::Active) return false;
    bool hold_wanted = e->hold_wanted;
    make_held(handle.index, now);
    reached(Situation::QueueMovedToSite);
    uint32_t target = site_for(site, kind);
    leave_site(e->site, now);
    e->site = target;
    sites_[target].entries++;
    sites_[target].idle_since = -1;
    if (!hold_wanted) {
        e->due = now.ns;
        make_ready(handle.index, now);
    }
    return true;
}

bool Scheduler::give_up_job(Handle handle, Monotonic now) {
    Entry* e = entry_of(handle);
    if (!e || e->state != EntryState::Active) return false;
    make_held(handle.index, now);
    forget(handle.index, now);
    return true;
}

bool Scheduler::hold(Handle handle, Monotonic now) {
    Entry* e = entry_of(handle);
    if (!e) return false;
    if (e->state == EntryState::Active) {
        if (e->expiring) return false;
        e->hold_wanted = true;
    } else {
        make_held(handle.index, now);
    }
    return true;
}

bool Scheduler::release(Handle handle, Monotonic now) {
    Entry* e = entry_of(handle);
    if (!e) return false;
    if (e->state == EntryState::Active && e->hold_wanted) {
        e->hold_wanted = false;
        return true;
    }
    if (e->state != EntryState::Held) return false;
    e->due = now.ns;
    make_ready(handle.index, now);
    return true;
}

bool Scheduler::retry_now(Handle handle, Monotonic now) {
    Entry* e = entry_of(handle);
    if (!e || (e->state != EntryState::Scheduled && e->state != EntryState::Ready)) return false;
    if (e->state == EntryState::Scheduled) {
        make_held(handle.index, now);
        e->due = now.ns;
        make_ready(handle.index, now);
    }
    Site& site = sites_[e->site];
    if (site.suspended) site.suspended_until = now.ns;
    place(e->site, now);
    return true;
}

bool Scheduler::remove(Handle handle, Monotonic now) {
    Entry* e = entry_of(handle);
    if (!e || (e->state == EntryState::Active && !e->expiring)) return false;
    make_held(handle.index, now);
    forget(handle.index, now);
    return true;
}

std::optional<EntryState> Scheduler::state_of(Handle handle) const {
    const Entry* e = const_cast<Scheduler*>(this)->entry_of(handle);
    return e ? std::optional(e->state) : std::nullopt;
}

void Scheduler::reconfigure(Options options, Monotonic now) {
    options_ = std::move(options);
    sites_.for_each([&](uint32_t index) {
        Site& site = sites_[index];
        site.limits = &options_.limits_of(site.key, site.kind);
        site.connections =
            std::clamp(site.connections, 1, std::max(site.limits->connections_max, 1));
        place(index, now);
    });
}

std::optional<uint32_t> Scheduler::scan(uint32_t from, std::size_t slice, const Filter& filter,
                                        Monotonic now,
                                        const std::function<void(const EntryView&)>& visit) const {
    uint32_t site = filter.site.empty() ? kNone : sites_.find(filter.site);
    uint32_t sender = filter.sender.empty() ? kNone : senders_.find(filter.sender);
    if (!filter.site.empty() && site == kNone) return std::nullopt;
    if (!filter.sender.empty() && sender == kNone) return std::nullopt;
    uint32_t end = entries_.end();
    uint32_t stop = slice < end - std::min(from, end) ? from + static_cast<uint32_t>(slice) : end;
    for (uint32_t index = from; index < stop; index++) {
        const Entry& e = entries_[index];
        if (!e.taken || (site != kNone && e.site != site)) continue;
        if (sender != kNone && e.sender != sender) continue;
        if (filter.message && e.message != *filter.message) continue;
        if (filter.state && e.state != *filter.state) continue;
        if (age_of(e, now) >= filter.older_than) show(index, now, visit);
    }
    if (stop >= end) return std::nullopt;
    return stop;
}

bool Scheduler::look_at(Handle handle, Monotonic now,
                        const std::function<void(const EntryView&)>& visit) const {
    if (!const_cast<Scheduler*>(this)->entry_of(handle)) return false;
    show(handle.index, now, visit);
    return true;
}

Duration Scheduler::age_of(const Entry& entry, Monotonic now) {
    return std::max(Duration{}, now - Monotonic{int64_t{entry.first_s} * kNsPerSecond});
}

void Scheduler::show(uint32_t index, Monotonic now,
                     const std::function<void(const EntryView&)>& visit) const {
    const Entry& e = entries_[index];
    std::vector<uint32_t> recipients = recipients_of(index);
    visit({handle_of(index), e.message, sites_[e.site].key, senders_[e.sender].key, recipients,
           e.priority, e.state, Monotonic{e.due}, age_of(e, now), e.attempts, e.last});
}

void Scheduler::visit_sites(const std::function<void(const SiteView&)>& visit,
                            Monotonic now) const {
    sites_.for_each([&](uint32_t index) {
        const Site& site = sites_[index];
        SiteView view{.site = site.key,
                      .kind = site.kind,
                      .entries = site.entries,
                      .ready = site.ready,
                      .active = site.active,
                      .connections = site.connections_now(),
                      .failures = site.failures};
        if (site.suspended && site.suspended_until > now.ns) {
            view.suspended_until = Monotonic{site.suspended_until};
        }
        view.delivered = site.delivered;
        view.deferred = site.deferred;
        view.failed = site.failed;
        visit(view);
    });
}

Totals Scheduler::totals() const {
    return {entries_.used(), scheduled_,   ready_, static_cast<std::size_t>(active_ + expiring_),
            held_,           sites_.size()};
}

}  // namespace postrider::queue
