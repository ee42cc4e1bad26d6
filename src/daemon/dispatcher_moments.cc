// Moments that a message brings with it, and what is due at the wish of a client.

#include <algorithm>

#include "base/situation.h"
#include "daemon/dispatcher.h"
#include "route/address_key.h"

namespace postrider::daemon {

namespace {

constexpr std::size_t kScanSlice = 1000;

}  // namespace

// The queue counts by the clock that never jumps. A message that is held begins its time when it is
// released; one that is to be given back when it is late has no more time than that; and who asked
// to be told is told at that moment instead of after queue.delay_notice.
Dispatcher::Moments Dispatcher::moments_of(const spool::StoredMessage& message,
                                           Duration age) const {
    const Envelope& envelope = message.envelope;
    Moments moments{.age = age};
    Wall wall = world_.clock.wall();
    if (envelope.hold_until) {
        // If the clock was set back meanwhile it is not held for longer than it was to be at first;
        // if it was set ahead, the job will find that its time has not come.
        Duration whole = std::max(Duration{}, *envelope.hold_until - envelope.received);
        Duration left = std::clamp(*envelope.hold_until - wall, Duration{}, whole);
        if (left > Duration{}) {
            moments.held_until = world_.clock.now() + left;
            moments.age = -left;
        } else {
            moments.age = std::max(Duration{}, age - whole);
        }
    }
    if (!envelope.deliver_by) return moments;
    // From where the queue counts to the moment.
    Wall begin = std::max(envelope.received, envelope.hold_until.value_or(envelope.received));
    Duration within = *envelope.deliver_by - begin;
    if (envelope.deliver_by_return) {
        Duration usual = scheduler_.options().remote.lifetime;
        moments.lifetime = std::clamp(within, Duration{std::chrono::seconds(1)}, usual);
    } else if (within > Duration{}) {
        // What came late already was told by the host where it became so.
        moments.notice_after = within;
    }
    return moments;
}

// RFC 4865 §4.2 (5), (6): by the wall clock, whatever the queue or an operator thought.
bool Dispatcher::put_back_if_held(const queue::Job& job, const spool::StoredMessage& message) {
    const auto& until = message.envelope.hold_until;
    if (!until) return false;
    Duration whole = std::max(Duration{}, *until - message.envelope.received);
    Duration left = std::min(*until - world_.clock.wall(), whole);
    if (left <= Duration{}) return false;
    Monotonic now = world_.clock.now();
    scheduler_.put_back(job.handle, now + left, now);
    return true;
}

bool Dispatcher::is_too_late(const Envelope& envelope) const {
    // The queue counts in seconds, so an entry may have expired up to one too early.
    return envelope.deliver_by && envelope.deliver_by_return &&
           world_.clock.wall() + std::chrono::seconds(1) >= *envelope.deliver_by;
}

// RFC 2852 §4.1.3: no further attempt. Nothing is learnt about the site.
Task<void> Dispatcher::give_back_late(const queue::Job& job, const spool::StoredMessage& message) {
    end_trial(job.message);
    std::vector<RecipientResult> results;
    for (uint32_t number : job.recipients) {
        results.push_back({.recipient = number,
                           .status = {4, 4, 7},
                           .reason = "the message could not be delivered by the time that its "
                                     "sender has set"});
    }
    co_await give_up(message, std::move(results), job.attempt - 1);
    scheduler_.give_up_job(job.handle, world_.clock.now());
    let_go(job.message);
}

Task<std::optional<std::size_t>> Dispatcher::run_queue(std::string domain, bool below) {
    auto settings = settings_.now();
    auto key = route::domain_key(domain);
    if (!key) co_return std::nullopt;
    auto decision = settings->table->resolve(Mailbox{"postmaster", *key});
    auto* relay = std::get_if<route::Relay>(&decision);
    if (!relay || !relay->open_to_all) co_return std::nullopt;
    auto on_first = [](Dispatcher& self, std::string name, bool all) -> Task<std::size_t> {
        co_return self.start_queue(name, all);
    };
    co_return co_await world_.executor.run_on(0, on_first(*this, std::move(*key), below));
}

std::size_t Dispatcher::start_queue(const std::string& domain, bool below) {
    Monotonic now = world_.clock.now();
    std::vector<std::string> sites = onward_.sites_for(domain, below);
    if (below) {
        // Those whose hosts were not looked up yet have their domain as their key.
        scheduler_.visit_sites(
            [&](const queue::SiteView& site) {
                if (site.site.starts_with("mx:") && site.site.ends_with("." + domain)) {
                    sites.emplace_back(site.site);
                }
            },
            now);
    }
    std::vector<queue::Handle> waiting;
    for (const std::string& site : sites) {
        queue::Filter filter{.site = site};
        for (std::optional<uint32_t> from = 0; from;) {
            from = scheduler_.scan(
                *from, kScanSlice, filter, now,
                [&](const queue::EntryView& entry) { waiting.push_back(entry.handle); });
        }
    }
    std::size_t started = 0;
    for (queue::Handle handle : waiting) {
        if (auto state = scheduler_.state_of(handle); !state || *state == queue::EntryState::Held) {
            continue;
        }
        scheduler_.retry_now(handle, now);  // one that is being tried is on its way already
        started++;
    }
    wake();
    return started;
}

}  // namespace postrider::daemon
