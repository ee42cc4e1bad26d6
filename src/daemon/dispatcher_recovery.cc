// What the spool found at the start comes back into the queue; and what brought the process down is
// found out by trying suspects alone.

#include <algorithm>
#include <utility>

#include "base/situation.h"
#include "daemon/dispatcher.h"

namespace postrider::daemon {

namespace {

constexpr auto kCommitTime = std::chrono::minutes(1);
constexpr int kUnfinishedAttemptsMax = 3;
constexpr std::size_t kTrialsAtOnce = 16;
constexpr auto kNextTrial = std::chrono::seconds(30);  // if no other trial ends before
constexpr std::size_t kRecoveredAtOnce = 1000;         // then others get a turn

}  // namespace

void Dispatcher::recover(std::vector<spool::RecoveredMessage> messages, bool clean_stop) {
    world_.executor.spawn(run_recovery(std::move(messages), clean_stop));
}

// What the disk did not give at once is asked for again: it is accepted, and must not wait for the
// next start.
Task<void> Dispatcher::run_recovery(std::vector<spool::RecoveredMessage> messages,
                                    bool clean_stop) {
    while (true) {
        messages = co_await recover_readable(std::move(messages), clean_stop);
        recovering_ = false;
        if (messages.empty() || stopping_) co_return;
        reached(Situation::DaemonRecoveryRepeated);
        co_await world_.clock.sleep_for(kReadAgain);
    }
}

// Reads each message's envelope once, to learn where it goes; mail that comes in meanwhile is
// taken and delivered. Answers those that could not be read for now.
Task<std::vector<spool::RecoveredMessage>> Dispatcher::recover_readable(
    std::vector<spool::RecoveredMessage> messages, bool clean_stop) {
    std::size_t done = 0;
    std::vector<spool::RecoveredMessage> unread;
    for (auto& recovered : messages) {
        if (stopping_) break;
        bool passing = false;
        auto message = co_await load(recovered.id, &passing);
        if (!message) {
            if (passing) unread.push_back(std::move(recovered));
            continue;
        }
        Wall now = world_.clock.wall();
        std::optional<Wall> due;
        for (const auto& standing : message->recipients) {
            if (is_final(standing.state)) continue;
            due = due ? std::min(*due, standing.next_attempt) : standing.next_attempt;
        }
        if (due && *due > now) reached(Situation::DaemonRecoveredNotYetDue);
        if (!clean_stop) suspects_[recovered.id].unfinished = recovered.unfinished_attempts;
        enqueue(*message, std::max(Duration{}, now - message->envelope.received), due);
        wake();
        if (++done % kRecoveredAtOnce == 0 || forced(Switch::DaemonRecoveryYields)) {
            co_await world_.executor.switch_to(world_.executor.current_shard());
        }
    }
    co_return unread;
}

// Suspects are tried a few at a time, and those that two crashes cut off alone: so the third counts
// for the culprit only, and a thousand innocents need not wait for one another. Puts the job back
// while it is not its turn.
bool Dispatcher::waits_for_trial(const queue::Job& job) {
    auto suspect = suspects_.find(job.message);
    if (suspect == suspects_.end() || suspect->second.unfinished == 0) return false;
    bool may_join = !suspect->second.must_be_alone() && !alone_ && waiting_alone_.empty() &&
                    trials_.size() < kTrialsAtOnce;
    if (trials_.empty() || may_join || trials_.contains(job.message)) return false;
    reached(Situation::DaemonSuspectWaits);
    Monotonic now = world_.clock.now();
    scheduler_.put_back(job.handle, now + kNextTrial, now);
    if (!std::exchange(suspect->second.waiting, true)) {
        auto& waiting = suspect->second.must_be_alone() ? waiting_alone_ : waiting_others_;
        waiting.emplace_back(job.handle, job.message);
    }
    return true;
}

// A message that was being tried each time the process died is not tried for ever. Asked when all
// else is known, just before the attempt: what waits for its turn at a site is not being tried.
Task<bool> Dispatcher::may_try(const queue::Job& job) {
    if (waits_for_trial(job)) co_return false;
    auto suspect = suspects_.find(job.message);
    if (suspect == suspects_.end()) co_return true;
    int unfinished = suspect->second.unfinished;
    Monotonic now = world_.clock.now();
    if (unfinished > 0) {
        alone_ = suspect->second.must_be_alone();
        if (alone_) reached(Situation::DaemonSuspectAlone);
        trials_.insert(job.message);
    }
    bool may = false;
    if (unfinished < kUnfinishedAttemptsMax) {
        if (!noted_.insert(job.message).second) co_return true;  // its job for another site did
        may = (co_await spool_.note_attempt(job.message, Deadline::after(now, kCommitTime)))
                  .has_value();
    } else {
        std::string reason = "the process died " + std::to_string(unfinished) +
                             " times in a row while this message was being tried";
        auto aside = co_await spool_.set_aside(job.message, reason);
        if (aside) {
            std::vector<RecipientResult> results;
            results.reserve(job.recipients.size());
            for (uint32_t number : job.recipients) {
                results.push_back({.recipient = number, .reason = reason});
            }
            attempts_.add(
                job.message,
                {.at = world_.clock.wall(), .results = results, .state = RecipientState::SetAside});
            suspects_.erase(job.message);
            end_trial(job.message);
            scheduler_.give_up_job(job.handle, world_.clock.now());
            let_go(job.message);
            co_return false;
        }
    }
    if (may) {
        suspects_.erase(job.message);
        co_return true;
    }
    noted_.erase(job.message);
    end_trial(job.message);
    now = world_.clock.now();
    scheduler_.put_back(job.handle, now + kReadAgain, now);
    co_return false;
}

// The next suspects need not wait for their time: thousands may.
void Dispatcher::end_trial(MessageId id) {
    if (trials_.erase(id) == 0) return;
    if (trials_.empty()) alone_ = false;
    bool called = trials_.empty() && call_waiting(waiting_alone_);
    if (!called && waiting_alone_.empty()) {
        for (std::size_t i = trials_.size(); i < kTrialsAtOnce; i++) {
            if (!call_waiting(waiting_others_)) break;
        }
    }
    wake();
}

// False: nobody waits there.
bool Dispatcher::call_waiting(std::deque<std::pair<queue::Handle, MessageId>>& waiting) {
    while (!waiting.empty()) {
        auto [next, message] = waiting.front();
        waiting.pop_front();
        // One that was tried meanwhile has a time of its own.
        auto suspect = suspects_.find(message);
        if (suspect == suspects_.end()) continue;
        suspect->second.waiting = false;
        if (scheduler_.retry_now(next, world_.clock.now())) return true;
    }
    return false;
}

}  // namespace postrider::daemon
