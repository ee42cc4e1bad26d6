// Deciding what is next. How attempts end is in scheduler_done.cc, the operator's side in
// scheduler_operator.cc.

#include "queue/scheduler.h"

#include <algorithm>
#include <cassert>

#include "base/situation.h"
#include "queue/scheduler_state.h"

namespace postrider::queue {

namespace {

constexpr int kIdleDropsPerCall = 16;
constexpr int64_t kExpireLaterSeconds = 10;

// RFC 6710 §5.1: a priority that is no level of ours is rounded up to one.
std::size_t level_of(int priority) {
    int rounded = std::clamp(priority, -4, 6);
    return static_cast<std::size_t>((rounded + 5) / 2);
}

uint64_t flow_key(uint32_t site, uint32_t sender, std::size_t level) {
    return uint64_t{site} << 32 | uint64_t{sender} << 3 | level;
}

}  // namespace

Scheduler::Scheduler(Options options) : options_(std::move(options)) {
    static_assert(sizeof(Entry) == Entry::kEntryOctets);
}
Scheduler::~Scheduler() = default;

Handle Scheduler::add(const NewEntry& entry, Monotonic now) {
    assert(!entry.recipients.empty());
    uint32_t index = make_entry(entry, now);
    if (entry.due <= now) {
        entries_[index].due = entry.due.ns;
        make_ready(index, now);
    } else {
        make_scheduled(index, entry.due, now);
    }
    return handle_of(index);
}

uint32_t Scheduler::make_entry(const NewEntry& entry, Monotonic now) {
    uint32_t site = site_for(entry.site, entry.kind);
    sites_[site].entries++;
    sites_[site].idle_since = -1;
    uint32_t sender = senders_.find(entry.sender);
    if (sender == kNone) sender = senders_.make(entry.sender, {});
    senders_[sender].entries++;

    uint32_t index = entries_.take();
    Entry& e = entries_[index];
    uint32_t generation = e.generation;
    e = Entry{};
    e.generation = generation;
    e.taken = true;
    e.message = entry.message;
    e.first_s = static_cast<int32_t>(to_seconds((now - entry.age).ns));
    Duration lifetime = entry.lifetime.value_or(options_.of(sites_[site].kind).lifetime);
    e.lifetime_s = static_cast<uint32_t>(std::max<int64_t>(to_seconds(lifetime.count()), 1));
    e.site = site;
    e.sender = sender;
    e.attempts = static_cast<uint16_t>(std::min<uint32_t>(entry.attempts, 0xFFFF));
    e.noticed = entry.noticed;
    e.own_notice = entry.notice_after.has_value();
    // Not too early: the whole second in which the moment lies has passed.
    if (e.own_notice) {
        own_notices_[index] =
            to_seconds((now - entry.age + *entry.notice_after).ns + kNsPerSecond - 1);
    }
    e.priority = static_cast<int8_t>(std::clamp(entry.priority, -9, 9));
    e.state = EntryState::Held;  // until its first state is chosen
    held_++;
    set_recipients(index, entry.recipients);
    return index;
}

uint32_t Scheduler::site_for(std::string_view key, SiteKind kind) {
    uint32_t index = sites_.find(key);
    if (index != kNone) return index;
    Site site;
    site.kind = kind;
    site.limits = &options_.limits_of(key, kind);
    site.connections =
        std::clamp(site.limits->connections_first, 1, std::max(site.limits->connections_max, 1));
    site.proven = kind == SiteKind::Local;
    return sites_.make(key, std::move(site));
}

Decision Scheduler::next(Monotonic now) {
    drop_idle_sites(now);
    std::optional<Decision> decision;
    for (bool more = true; more;) {
        more = move_due(now, decision);
        if (decision) return std::move(*decision);
        if (auto site = choose_site()) return start(*site, now);
    }
    if (timers_.empty() && sleeping_.empty()) return Empty{};
    int64_t at = std::numeric_limits<int64_t>::max();
    if (!timers_.empty()) at = std::min(at, timers_.top_timer());
    if (!sleeping_.empty()) at = std::min(at, sleeping_.top_timer());
    return SleepUntil{{at}};
}

std::optional<Job> Scheduler::next_on(std::string_view key, Monotonic now) {
    uint32_t index = sites_.find(key);
    if (index == kNone) return std::nullopt;
    const Site& site = sites_[index];
    // A site in trouble opens a new connection, and the last free place goes by turns.
    if (site.place != Place::Proven || active_ >= options_.active_max) return std::nullopt;
    bool alone = site.next == index && unproven_ring_.empty();
    if (active_ + 1 == options_.active_max && !alone) return std::nullopt;
    return start(index, now);
}

bool Scheduler::is_suspended(std::string_view key, Monotonic now) const {
    uint32_t index = sites_.find(key);
    return index != kNone && sites_[index].suspended && sites_[index].suspended_until > now.ns;
}

// Moves what has become due, at most kMovesPerCall of it; true if there is more. Stops at the
// first entry that leads to a decision of its own.
bool Scheduler::move_due(Monotonic now, std::optional<Decision>& decision) {
    int moves = 0;
    for (; !timers_.empty() && timers_.top_timer() <= now.ns; moves++) {
        if (moves == kMovesPerCall) return true;
        uint32_t index = timers_.top();
        if (entries_[index].state == EntryState::Scheduled) {
            make_ready(index, now);
        } else if ((decision = handle_overdue(index, now))) {
            return true;
        }
    }
    for (; !sleeping_.empty() && sleeping_.top_timer() <= now.ns; moves++) {
        if (moves == kMovesPerCall) return true;
        place(sleeping_.top(), now);
    }
    return false;
}

// A Ready entry whose watch has come: too old, or late enough for a notice.
std::optional<Decision> Scheduler::handle_overdue(uint32_t index, Monotonic now) {
    Entry& e = entries_[index];
    if (e.expires_ns() > now.ns) {
        reached(Situation::QueueDelayNoticeWaiting);
        e.noticed = true;
        make_ready(index, now);
        return DelayNotice{handle_of(index), e.message, recipients_of(index)};
    }
    const Site& site = sites_[e.site];
    if (!e.tried_here && !site.suspended) {
        reached(Situation::QueueGraceAtStart);
        e.lifetime_s = static_cast<uint32_t>(to_seconds(now.ns + kGrace.count()) - e.first_s);
        make_ready(index, now);
        return std::nullopt;
    }
    // The reports of others are still being written.
    if (expiring_ >= options_.active_max || forced(Switch::QueueExpiresLater)) {
        e.lifetime_s = static_cast<uint32_t>(to_seconds(now.ns) + kExpireLaterSeconds - e.first_s);
        make_ready(index, now);
        return std::nullopt;
    }
    leave_state(index, now);
    e.state = EntryState::Active;
    e.expiring = true;
    expiring_++;
    reached(Situation::QueueExpiredWaiting);
    FailureKind last = e.tried_here ? e.last : FailureKind::Connection;
    return Expire{handle_of(index), e.message, recipients_of(index), site.key, last, e.attempts};
}

// The site whose turn it is: proven and unproven ones alternate, the latter within their share.
std::optional<uint32_t> Scheduler::choose_site() {
    if (active_ >= options_.active_max) return std::nullopt;
    int share = std::max(1, options_.active_max * options_.active_unproven_percent / 100);
    bool unproven = !unproven_ring_.empty() && active_unproven_ < share;
    bool proven = !proven_ring_.empty();
    if (!unproven && !unproven_ring_.empty()) reached(Situation::QueueUnprovenShareUsed);
    if (!proven && !unproven) return std::nullopt;
    bool take_unproven = unproven && (!proven || unproven_turn_);
    unproven_turn_ = !take_unproven;
    return take_unproven ? unproven_ring_.front : proven_ring_.front;
}

// Within a level senders take turns; between levels the longest waiting goes first, where a step of
// priority is worth Options::priority_step.
uint32_t Scheduler::choose_entry(const Site& site) const {
    uint32_t best = kNone;
    int64_t best_rank = 0;
    for (std::size_t level = kLevels; level-- > 0;) {
        if (site.levels[level].empty()) continue;
        uint32_t index = flows_[site.levels[level].front].entries.front;
        // Levels are two apart in priority.
        int64_t rank =
            entries_[index].due - 2 * static_cast<int64_t>(level) * options_.priority_step.count();
        if (best == kNone || rank < best_rank) {
            best = index;
            best_rank = rank;
        }
    }
    return best;
}

Job Scheduler::start(uint32_t site_index, Monotonic now) {
    Site& site = sites_[site_index];
    assert(site.ready > 0);
    uint32_t index = choose_entry(site);
    Entry& e = entries_[index];
    // The sender's turn is over: it goes to the back, or away if this was its last entry.
    if (e.next != index) {
        Ring& level = site.levels[level_of(e.priority)];
        if (flows_[level.front].next != level.front) reached(Situation::QueueSendersTurn);
        level.rotate(flows_);
    }
    make_active(index, now);
    // The site's turn is over, too.
    leave_place(site_index);
    place(site_index, now);

    Job job;
    job.handle = handle_of(index);
    job.message = e.message;
    job.recipients = recipients_of(index);
    job.site = site.key;
    job.attempt = e.attempts + 1u;
    job.probe = site.suspended;
    job.messages_per_connection = site.suspended ? 1 : site.limits->messages_per_connection;
    job.more = site.ready;
    return job;
}

// --- where a site stands

void Scheduler::place(uint32_t index, Monotonic now) {
    Site& site = sites_[index];
    Place wanted = site.proven ? Place::Proven : Place::Unproven;
    int64_t wake = 0;
    if (site.ready == 0 || site.active >= site.connections_now()) {
        wanted = Place::Nowhere;  // done() or add() puts it back
    } else if (site.suspended && site.suspended_until > now.ns) {
        wanted = Place::Sleeping;
        wake = site.suspended_until;
    } else if (auto at = rate_wait(site, now)) {
        reached(Situation::QueueRateWait);
        wanted = Place::Sleeping;
        wake = at->ns;
    }
    if (wanted == site.place && (wanted != Place::Sleeping || wake == site.wake)) return;
    leave_place(index);
    site.place = wanted;
    if (wanted == Place::Proven) proven_ring_.push_back(sites_.slab(), index);
    if (wanted == Place::Unproven) unproven_ring_.push_back(sites_.slab(), index);
    if (wanted == Place::Sleeping) {
        site.wake = wake;
        sleeping_.push(index);
    }
}

void Scheduler::leave_place(uint32_t index) {
    Site& site = sites_[index];
    if (site.place == Place::Proven) proven_ring_.erase(sites_.slab(), index);
    if (site.place == Place::Unproven) unproven_ring_.erase(sites_.slab(), index);
    if (site.place == Place::Sleeping) sleeping_.erase(index);
    site.place = Place::Nowhere;
}

// The rate as one number: rate_base is when the bucket would be full again; each message moves it
// by interval / messages. A message may go when that leaves it within one interval from now.
std::optional<Monotonic> Scheduler::rate_wait(const Site& site, Monotonic now) const {
    const SiteLimits& limits = *site.limits;
    if (limits.rate_messages <= 0) return std::nullopt;
    int64_t step = limits.rate_interval.count() / limits.rate_messages;
    int64_t base = std::max(site.rate_base, now.ns);
    int64_t free_at = base + step - limits.rate_interval.count();
    if (free_at <= now.ns) return std::nullopt;
    return Monotonic{free_at};
}

// --- the state of an entry; the counters of its site and of all follow it

void Scheduler::leave_state(uint32_t index, Monotonic now) {
    Entry& e = entries_[index];
    Site& site = sites_[e.site];
    switch (e.state) {
        case EntryState::Scheduled:
            timers_.erase(index);
            scheduled_--;
            break;
        case EntryState::Ready:
            timers_.erase(index);
            leave_flow(index);
            ready_--;
            site.ready--;
            place(e.site, now);
            break;
        case EntryState::Active:
            if (e.expiring) {
                e.expiring = false;
                expiring_--;
            } else {
                active_--;
                site.active--;
                if (!site.proven) active_unproven_--;
                place(e.site, now);
            }
            break;
        case EntryState::Held:
            held_--;
            break;
    }
}

void Scheduler::make_scheduled(uint32_t index, Monotonic due, Monotonic now) {
    leave_state(index, now);
    Entry& e = entries_[index];
    e.state = EntryState::Scheduled;
    e.due = due.ns;
    scheduled_++;
    timers_.push(index);
}

// Also renews the watch of an entry that is Ready already; it keeps its turn.
void Scheduler::make_ready(uint32_t index, Monotonic now) {
    Entry& e = entries_[index];
    bool was_ready = e.state == EntryState::Ready;
    if (was_ready) {
        timers_.erase(index);
    } else {
        leave_state(index, now);
        e.state = EntryState::Ready;
    }
    int64_t watch = int64_t{e.first_s} + e.lifetime_s;
    if (auto notice = notice_s(index)) watch = std::min(watch, *notice);
    e.watch_s = static_cast<int32_t>(std::min<int64_t>(watch, std::numeric_limits<int32_t>::max()));
    timers_.push(index);
    if (was_ready) return;
    enter_flow(index);
    ready_++;
    sites_[e.site].ready++;
    place(e.site, now);
}

void Scheduler::make_active(uint32_t index, Monotonic now) {
    leave_state(index, now);
    Entry& e = entries_[index];
    Site& site = sites_[e.site];
    e.state = EntryState::Active;
    active_++;
    site.active++;
    if (!site.proven) active_unproven_++;
    if (site.limits->rate_messages > 0) {
        site.rate_base = std::max(site.rate_base, now.ns) +
                         site.limits->rate_interval.count() / site.limits->rate_messages;
    }
}

void Scheduler::make_held(uint32_t index, Monotonic now) {
    leave_state(index, now);
    entries_[index].state = EntryState::Held;
    entries_[index].hold_wanted = false;
    held_++;
}

void Scheduler::enter_flow(uint32_t index) {
    const Entry& e = entries_[index];
    std::size_t level = level_of(e.priority);
    uint64_t key = flow_key(e.site, e.sender, level);
    auto [at, fresh] = flow_of_.try_emplace(key, kNone);
    if (fresh) {
        at->second = flows_.take();
        flows_[at->second] = Flow{.key = key};
        sites_[e.site].levels[level].push_back(flows_, at->second);
    }
    flows_[at->second].entries.push_back(entries_, index);
}

void Scheduler::leave_flow(uint32_t index) {
    const Entry& e = entries_[index];
    std::size_t level = level_of(e.priority);
    auto at = flow_of_.find(flow_key(e.site, e.sender, level));
    uint32_t flow = at->second;
    flows_[flow].entries.erase(entries_, index);
    if (!flows_[flow].entries.empty()) return;
    sites_[e.site].levels[level].erase(flows_, flow);
    flows_.give_back(flow);
    flow_of_.erase(at);
}

// When its sender is to be told that it is late; nothing if never, or told already.
std::optional<int64_t> Scheduler::notice_s(uint32_t index) const {
    const Entry& e = entries_[index];
    if (e.noticed) return std::nullopt;
    if (e.own_notice) return own_notices_.at(index);
    int64_t after = to_seconds(options_.delay_notice_after.count());
    if (after <= 0) return std::nullopt;
    return e.first_s + after;
}

// --- its recipients, its name and its end

void Scheduler::set_recipients(uint32_t index, std::span<const uint32_t> recipients) {
    Entry& e = entries_[index];
    scattered_.erase(index);
    e.recipient_count = static_cast<uint16_t>(recipients.size());
    e.first_recipient = recipients.front();
    if (recipients.back() - recipients.front() + 1 != recipients.size()) {
        e.first_recipient = kNone;
        scattered_.emplace(index, std::vector<uint32_t>(recipients.begin(), recipients.end()));
    }
}

std::vector<uint32_t> Scheduler::recipients_of(uint32_t index) const {
    const Entry& e = entries_[index];
    if (e.first_recipient == kNone) return scattered_.at(index);
    std::vector<uint32_t> recipients(e.recipient_count);
    for (uint32_t i = 0; i < e.recipient_count; i++) recipients[i] = e.first_recipient + i;
    return recipients;
}

Handle Scheduler::handle_of(uint32_t index) const { return {index, entries_[index].generation}; }

Scheduler::Entry* Scheduler::entry_of(Handle handle) {
    if (handle.index >= entries_.end()) return nullptr;
    Entry& e = entries_[handle.index];
    return e.taken && e.generation == handle.generation ? &e : nullptr;
}

// REQUIRES: the entry is Held (in nothing).
void Scheduler::forget(uint32_t index, Monotonic now) {
    Entry& e = entries_[index];
    assert(e.state == EntryState::Held);
    held_--;
    if (e.first_recipient == kNone) scattered_.erase(index);
    if (e.own_notice) own_notices_.erase(index);
    if (--senders_[e.sender].entries == 0) senders_.erase(e.sender);
    leave_site(e.site, now);
    e.taken = false;
    e.generation++;
    entries_.give_back(index);
}

// One entry less: a site without entries is kept for a while, for what was learnt about it.
void Scheduler::leave_site(uint32_t index, Monotonic now) {
    Site& site = sites_[index];
    if (--site.entries > 0) return;
    site.idle_since = now.ns;
    idle_.emplace_back(index, now);
}

void Scheduler::drop_idle_sites(Monotonic now) {
    for (int i = 0; i < kIdleDropsPerCall && !idle_.empty(); i++) {
        auto [index, since] = idle_.front();
        bool old = now - since >= options_.idle_site_kept;
        // Early only what would be learnt again without a promise broken meanwhile.
        const Site& site = sites_[index];
        bool fresh = !site.suspended && site.rate_base <= now.ns;
        old = old || (fresh && forced(Switch::QueueForgetsSite));
        if (!old && idle_.size() <= options_.idle_sites_max) return;
        idle_.pop_front();
        // It may have had entries again meanwhile; then it stands here a second time, or not.
        if (sites_[index].idle_since != since.ns) continue;
        reached(Situation::QueueSiteForgotten);
        sites_.erase(index);
    }
}

}  // namespace postrider::queue
