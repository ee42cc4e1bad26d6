// What became of a job: written durably, told to the queue, the sender and the log.

#include <algorithm>

#include "base/limits.h"
#include "daemon/dispatcher.h"
#include "mail/trace.h"
#include "report/report.h"

namespace postrider::daemon {

namespace {

constexpr auto kCommitTime = std::chrono::minutes(1);
constexpr auto kCommitPauseFirst = std::chrono::milliseconds(100);
constexpr auto kCommitPauseMax = std::chrono::seconds(30);

RecipientState final_state(RecipientResult::Verdict verdict) {
    switch (verdict) {
        case RecipientResult::Verdict::Delivered:
            return RecipientState::Delivered;
        case RecipientResult::Verdict::Relayed:
            return RecipientState::Relayed;
        default:
            return RecipientState::Failed;
    }
}

std::string bounded_reason(const RecipientResult& result) {
    std::string reason = result.reason;
    if (!result.detail.empty()) reason += " (" + result.detail + ")";
    reason.resize(std::min(reason.size(), kReasonOctetsMax));
    return reason;
}

}  // namespace

// Final outcomes first, durably and with the report they cause; then the queue may forget.
Task<void> Dispatcher::settle(const queue::Job& job, std::string site,
                              const spool::StoredMessage& message, WorkDone done) {
    if (trial_ == job.message) trial_.reset();
    Wall now = world_.clock.wall();
    std::vector<RecipientResult> results = std::move(done.results);
    bool plain = done.dialogue.empty() && std::ranges::all_of(results, &RecipientResult::is_final);
    if (!plain) {
        attempts_.add(job.message, {.at = now,
                                    .number = job.attempt,
                                    .site = std::move(site),
                                    .results = results,
                                    .dialogue = std::move(done.dialogue)});
    }
    std::vector<RecipientChange> changes;
    std::vector<RecipientResult> failed;
    for (const RecipientResult& result : results) {
        if (!result.is_final()) continue;
        changes.push_back(change_of(job.message, result, job.attempt, now));
        if (result.verdict == RecipientResult::Verdict::Permanent) failed.push_back(result);
    }
    if (!changes.empty()) co_await record_failures(message, std::move(failed), std::move(changes));

    Monotonic monotonic = world_.clock.now();
    queue::Settlement settled = scheduler_.done(job.handle, results, monotonic);
    std::vector<RecipientResult> waiting;
    for (RecipientResult& result : results) {
        std::optional<Wall> next;
        if (!result.is_final() && settled.outcome == queue::Settlement::Outcome::Deferred) {
            next = world_.clock.wall() + (settled.due - monotonic);
        }
        log_result(message, result, next);
        if (result.is_final()) continue;
        if (next) {
            RecipientChange change = change_of(job.message, result, settled.attempts, now);
            change.state = RecipientState::Waiting;
            change.next_attempt = *next;
            spool_.record_lazily(std::move(change));
        }
        waiting.push_back(std::move(result));
    }
    switch (settled.outcome) {
        case queue::Settlement::Outcome::Expired:
            co_await give_up(message, std::move(waiting), job.attempt);
            let_go(job.message);
            break;
        case queue::Settlement::Outcome::Finished:
            let_go(job.message);
            break;
        case queue::Settlement::Outcome::Deferred:
            let_go(job.message);  // what waits long lives on disk
            if (settled.delay_notice) {
                co_await tell_of_delay(message, std::move(waiting));
            }
            break;
    }
}

RecipientChange Dispatcher::change_of(MessageId id, const RecipientResult& result,
                                      uint32_t attempts, Wall now) const {
    return {.id = id,
            .recipient = result.recipient,
            .state = final_state(result.verdict),
            .status = result.status,
            .reason = bounded_reason(result),
            .attempts = attempts,
            .next_attempt = {},
            .at = now};
}

// Too old: what failed for now has failed for good (RFC 5321 §4.5.4.1).
Task<void> Dispatcher::give_up(const spool::StoredMessage& message,
                               std::vector<RecipientResult> results, uint32_t attempts) {
    Wall now = world_.clock.wall();
    std::vector<RecipientChange> changes;
    for (RecipientResult& result : results) {
        result.verdict = RecipientResult::Verdict::Permanent;
        result.status.klass = 5;  // RFC 3464 §2.3.4: the last reason, but for good
        if (result.status.subject == 0 && result.status.detail == 0) result.status = {5, 4, 7};
        changes.push_back(change_of(message.envelope.id, result, attempts, now));
        log_result(message, result, std::nullopt);
    }
    co_await record_failures(message, std::move(results), std::move(changes));
}

// THE COMMIT of a failure: outcome and report are stored together or not at all.
Task<void> Dispatcher::record_failures(const spool::StoredMessage& message,
                                       std::vector<RecipientResult> failed,
                                       std::vector<RecipientChange> changes) {
    std::optional<spool::Incoming> report;
    if (!failed.empty()) {
        report = co_await reporter_.compose(message, std::move(failed), report::Kind::Failure, {});
    }
    co_await record(std::move(report), std::move(changes));
}

Task<bool> Dispatcher::end(queue::Handle handle, MessageId id, std::vector<uint32_t> recipients,
                           Ending ending, std::string who) {
    // Held, it is not tried while its end is being written.
    auto state = scheduler_.state_of(handle);
    if (!state || *state == queue::EntryState::Active) co_return false;
    scheduler_.hold(handle, world_.clock.now());
    bool passing = false;
    auto message = co_await load(id, &passing);
    if (passing) {  // the disk does not give it now: nothing was done
        scheduler_.release(handle, world_.clock.now());
        co_return false;
    }
    if (message) {
        Wall now = world_.clock.wall();
        std::vector<RecipientChange> changes;
        std::vector<RecipientResult> failed;
        for (uint32_t number : recipients) {
            RecipientResult result{.recipient = number,
                                   .verdict = RecipientResult::Verdict::Permanent,
                                   .status = {5, 7, 1},
                                   .reason = "given back by the operator of this server",
                                   .detail = who,
                                   .kind = FailureKind::Policy};
            RecipientChange change =
                change_of(id, result, message->recipients[number].attempts, now);
            if (ending == Ending::Remove) {
                change.state = RecipientState::Removed;
                change.reason = "removed by " + who;
            } else {
                failed.push_back(std::move(result));
            }
            changes.push_back(std::move(change));
        }
        world_.log.write(
            ending == Ending::Remove ? Event::RemovedByOperator : Event::BouncedByOperator,
            {{"id", id.text()},
             {"recipients", static_cast<int64_t>(recipients.size())},
             {"operator", who}});
        co_await record_failures(*message, std::move(failed), std::move(changes));
    }
    bool removed = scheduler_.remove(handle, world_.clock.now());
    let_go(id);
    co_return removed;
}

Task<void> Dispatcher::tell_of_delay(const spool::StoredMessage& message,
                                     std::vector<RecipientResult> results) {
    Wall until = message.envelope.received + scheduler_.options().remote.lifetime;
    auto report =
        co_await reporter_.compose(message, std::move(results), report::Kind::Delay, until);
    if (report) co_await record(std::move(report), {});
}

// Writes until it is written: what has happened is not undone, and must not happen again.
Task<void> Dispatcher::record(std::optional<spool::Incoming> report,
                              std::vector<RecipientChange> changes) {
    Duration pause = kCommitPauseFirst;
    while (true) {
        spool::CommitRequest request{.messages = {}, .changes = changes};
        if (report) request.messages.push_back(Reporter::copy_of(*report));
        auto stored = co_await spool_.commit(std::move(request),
                                             Deadline::after(world_.clock.now(), kCommitTime));
        if (stored) {
            for (auto& message : *stored) accept(std::move(message));
            co_return;
        }
        // Without its report an outcome is not written; without the disk nothing is.
        MessageId id = changes.empty() ? report->envelope.id : changes.front().id;
        world_.log.write(Event::OutcomeNotRecorded,
                         {{"id", id.text()}, {"reason", stored.error().message}});
        if (stored.error().kind == spool::SpoolError::Kind::Closed) co_return;
        co_await world_.clock.sleep_for(pause);
        pause = std::min<Duration>(pause * 2, kCommitPauseMax);
    }
}

void Dispatcher::log_result(const spool::StoredMessage& message, const RecipientResult& result,
                            std::optional<Wall> next) {
    const Recipient& recipient = message.envelope.recipient(result.recipient);
    Destination destination = settings_.now()->destination(recipient.mailbox);
    std::string id = message.envelope.id.text();
    std::string to = recipient.mailbox.text();
    std::string where = text(destination);
    if (result.verdict == RecipientResult::Verdict::Delivered ||
        result.verdict == RecipientResult::Verdict::Relayed) {
        world_.log.write(Event::Delivered, {{"id", id}, {"to", to}, {"destination", where}});
        if (observer_) observer_(message.envelope, result.recipient, destination);
        return;
    }
    std::string status = result.status.text();
    std::string reason = bounded_reason(result);
    if (next) {
        world_.log.write(Event::Deferred, {{"id", id},
                                           {"to", to},
                                           {"destination", where},
                                           {"status", status},
                                           {"reason", reason},
                                           {"next", date_time(*next)}});
    } else {
        world_.log.write(Event::Failed, {{"id", id},
                                         {"to", to},
                                         {"destination", where},
                                         {"status", status},
                                         {"reason", reason}});
    }
}

}  // namespace postrider::daemon
