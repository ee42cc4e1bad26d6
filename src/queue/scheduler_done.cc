// How an attempt ends: what becomes of the entry, and what is learnt about its site.

#include <algorithm>
#include <cassert>
#include <functional>

#include "base/situation.h"
#include "queue/scheduler.h"
#include "queue/scheduler_state.h"

namespace postrider::queue {

namespace {

using Verdict = RecipientResult::Verdict;

// What the results of one attempt say together.
struct Summary {
    std::vector<uint32_t> later;            // failed for now, or not reached
    std::vector<uint32_t> at_once;          // the next host wanted fewer at a time
    FailureKind kind = FailureKind::Other;  // of the first of `later`
    int taken = 0;                          // delivered or relayed
    int refused = 0;                        // failed for good
    bool site_failed = false;               // the site as a whole was the matter
    bool throttled = false;                 // it asks for less
};

// Is the site the matter, rather than this message?
bool is_about_site(FailureKind kind) {
    return kind == FailureKind::Connection || kind == FailureKind::Greeting ||
           kind == FailureKind::Tls || kind == FailureKind::Dns;
}

Summary summarize(const std::vector<uint32_t>& recipients,
                  std::span<const RecipientResult> results) {
    Summary sum;
    bool kind_known = false;
    std::size_t at = 0;  // both are in ascending order, as a rule
    for (uint32_t recipient : recipients) {
        const RecipientResult* result = nullptr;
        if (at < results.size() && results[at].recipient == recipient) {
            result = &results[at++];
        } else {
            auto found = std::ranges::find(results, recipient, &RecipientResult::recipient);
            if (found != results.end()) result = &*found;
        }
        if (!result) {
            sum.later.push_back(recipient);
            continue;
        }
        if (result->verdict == Verdict::Permanent) {
            sum.refused++;
        } else if (result->verdict != Verdict::Temporary) {
            sum.taken++;
        } else if (result->kind == FailureKind::TooManyRecipients) {
            sum.at_once.push_back(recipient);
        } else {
            sum.later.push_back(recipient);
            if (!kind_known) sum.kind = result->kind;
            kind_known = true;
            sum.site_failed = sum.site_failed || is_about_site(result->kind);
            sum.throttled = sum.throttled || result->kind == FailureKind::Mail4yz;
        }
    }
    return sum;
}

}  // namespace

Settlement Scheduler::done(Handle handle, std::span<const RecipientResult> results, Monotonic now) {
    Entry* entry = entry_of(handle);
    if (!entry || entry->state != EntryState::Active || entry->expiring) return {};
    uint32_t index = handle.index;
    Entry& e = *entry;
    Summary sum = summarize(recipients_of(index), results);
    // RFC 5321 §4.5.3.1.10: the rest in another transaction at once; but not when nobody was taken,
    // or it would never end.
    if (sum.taken + sum.refused == 0 && !sum.at_once.empty()) {
        if (sum.later.empty()) sum.kind = FailureKind::TooManyRecipients;
        sum.later.insert(sum.later.end(), sum.at_once.begin(), sum.at_once.end());
        std::ranges::sort(sum.later);
        sum.at_once.clear();
    }

    Site& site = sites_[e.site];
    site.delivered += static_cast<uint64_t>(sum.taken);
    site.failed += static_cast<uint64_t>(sum.refused);
    site.deferred += sum.later.size();
    Health health = results.empty()                                   ? Health::Unknown
                    : sum.site_failed && sum.taken + sum.refused == 0 ? Health::Bad
                    : sum.throttled                                   ? Health::Throttled
                                                                      : Health::Good;
    bool hold_wanted = e.hold_wanted;
    handle_health(e.site, health, now);
    e.tried_here = true;
    make_held(index, now);  // out of Active; its next state is chosen below
    return settle(index, {sum.later, sum.at_once, sum.kind, hold_wanted}, now);
}

// The entry goes on with `rest.later`; those of `rest.at_once` get an entry of their own, or this
// one.
Settlement Scheduler::settle(uint32_t index, const Rest& rest, Monotonic now) {
    Settlement settlement;
    if (rest.later.empty() && rest.at_once.empty()) {
        forget(index, now);
        return settlement;
    }
    settlement.outcome = Settlement::Outcome::Deferred;
    settlement.rest_at_once = !rest.at_once.empty();
    if (settlement.rest_at_once) reached(Situation::QueueRestAtOnce);
    if (rest.later.empty()) {
        Entry& e = entries_[index];
        set_recipients(index, rest.at_once);
        settlement.due = now;
        settlement.attempts = e.attempts;
        if (!rest.hold) {
            e.due = now.ns;
            make_ready(index, now);
        }
        return settlement;
    }
    if (!rest.at_once.empty()) split_off(index, rest.at_once, rest.hold, now);

    Entry& e = entries_[index];
    if (e.attempts < 0xFFFF) e.attempts++;
    e.last = rest.kind;
    set_recipients(index, rest.later);
    settlement.attempts = e.attempts;
    if (e.expires_ns() <= now.ns) {
        reached(Situation::QueueExpired);
        settlement.outcome = Settlement::Outcome::Expired;
        forget(index, now);
        return settlement;
    }
    auto notice = notice_s(index);
    if (notice && now.ns >= *notice * kNsPerSecond) {
        reached(Situation::QueueDelayNotice);
        e.noticed = true;
        settlement.delay_notice = true;
    }
    const RetryRow& row =
        options_.of(sites_[e.site].kind).schedule[static_cast<std::size_t>(rest.kind)];
    Monotonic due = now + retry_delay(row, e.attempts, e.message.value);
    settlement.due = {std::min(due.ns, e.expires_ns())};
    // Who asked to be told at a time of its own is told then, if one more attempt does not help.
    if (e.own_notice && !e.noticed && *notice * kNsPerSecond > now.ns) {
        settlement.due.ns = std::min(settlement.due.ns, *notice * kNsPerSecond);
    }
    if (rest.hold) {
        e.due = settlement.due.ns;
    } else {
        make_scheduled(index, settlement.due, now);
    }
    return settlement;
}

void Scheduler::split_off(uint32_t index, std::span<const uint32_t> recipients, bool hold,
                          Monotonic now) {
    uint32_t other = entries_.take();
    const Entry& e = entries_[index];
    Entry& o = entries_[other];
    uint32_t generation = o.generation;
    o = e;
    o.generation = generation;
    o.due = now.ns;
    o.heap_at = kNone;
    held_++;
    sites_[e.site].entries++;
    senders_[e.sender].entries++;
    if (o.own_notice) own_notices_[other] = own_notices_.at(index);
    set_recipients(other, recipients);
    if (!hold) make_ready(other, now);
}

// --- what is learnt about a site

void Scheduler::set_proven(Site& site, bool proven) {
    if (site.proven == proven) return;
    site.proven = proven;
    active_unproven_ += proven ? -site.active : site.active;
}

void Scheduler::handle_health(uint32_t index, Health health, Monotonic now) {
    Site& site = sites_[index];
    const SiteOptions& options = options_.of(site.kind);
    if (health == Health::Unknown) return;
    if (health != Health::Bad) {
        if (site.suspended) reached(Situation::QueueSuspensionEnded);
        set_proven(site, true);
        site.failures = 0;
        site.suspended = false;
        site.suspensions = 0;
        site.suspended_until = 0;
        if (health == Health::Throttled) {
            reached(Situation::QueueThrottled);
            site.connections = std::max(1, site.connections / 2);
            site.successes = 0;
        } else if (++site.successes >= site.connections) {
            site.connections =
                std::min(site.connections + 1, std::max(site.limits->connections_max, 1));
            site.successes = 0;
        }
        place(index, now);
        return;
    }
    set_proven(site, false);
    if (site.connections > 1) reached(Situation::QueueConnectionsHalved);
    site.connections = std::max(1, site.connections / 2);
    site.successes = 0;
    site.failures++;
    // Connections that were open when the site was suspended do not make it longer.
    bool counted_already = site.suspended && site.suspended_until > now.ns;
    if (!counted_already && (site.suspended || site.failures >= options.suspend_after_failures)) {
        reached(site.suspended ? Situation::QueueProbeFailed : Situation::QueueSiteSuspended);
        site.suspended = true;
        site.suspensions++;
        Duration pause =
            retry_delay(options.suspension, site.suspensions, std::hash<std::string>{}(site.key));
        site.suspended_until = (now + pause).ns;
    }
    place(index, now);
}

}  // namespace postrider::queue
