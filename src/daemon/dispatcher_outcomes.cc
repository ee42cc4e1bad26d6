// What became of a job: written durably, told to the queue, the sender and the log.

#include <algorithm>

#include "base/limits.h"
#include "base/situation.h"
#include "daemon/dispatcher.h"
#include "mail/failure_class.h"
#include "mail/trace.h"
#include "report/report.h"

namespace postrider::daemon {

namespace {

constexpr auto kCommitTime = std::chrono::minutes(1);
constexpr auto kCommitPauseFirst = std::chrono::milliseconds(100);
constexpr auto kCommitPauseMax = std::chrono::seconds(30);

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
    Wall now = world_.clock.wall();
    std::vector<RecipientResult> results = std::move(done.results);
    attempts_.add(job.message, {.at = now,
                                .number = job.attempt,
                                .site = site,
                                .envelope = &message.envelope,
                                .results = results,
                                .dialogue = done.dialogue});
    std::vector<RecipientChange> changes;
    std::vector<RecipientResult> failed, succeeded;
    for (const RecipientResult& result : results) {
        if (!result.is_final()) continue;
        changes.push_back(change_of(message.envelope, result, job.attempt, now));
        if (result.verdict == RecipientResult::Verdict::Permanent) {
            failed.push_back(result);
        } else if (report::is_owed(message.envelope, result, report::Kind::Success)) {
            succeeded.push_back(result);
        }
    }
    if (!changes.empty()) {
        if (changes.size() < results.size()) reached(Situation::DaemonPartlyDone);
        co_await record_outcomes(message, std::move(failed), std::move(succeeded),
                                 std::move(changes));
    }
    co_await learn_bounces(message, results);

    bool noted = noted_.erase(job.message) > 0;
    Monotonic monotonic = world_.clock.now();
    queue::Settlement settled = scheduler_.done(job.handle, results, monotonic);
    wake();  // the connection may go on for long with other jobs
    std::vector<RecipientResult> waiting;
    std::vector<RecipientChange> deferrals;
    for (RecipientResult& result : results) {
        if (result.is_final()) {
            log_result(message, result, std::nullopt);
            continue;
        }
        if (settled.outcome == queue::Settlement::Outcome::Deferred) {
            bool at_once = settled.rest_at_once && result.kind == FailureKind::TooManyRecipients;
            Wall next = world_.clock.wall() + (at_once ? Duration{} : settled.due - monotonic);
            log_result(message, result, next);
            RecipientChange change = change_of(message.envelope, result, settled.attempts, now);
            change.state = RecipientState::Waiting;
            change.next_attempt = next;
            if (settled.delay_notice || noted) deferrals.push_back(change);
            spool_.record_lazily(std::move(change));
        }
        waiting.push_back(std::move(result));
    }
    // The end of an attempt that was noted durably is durable too: a deferral that a crash forgets
    // would be counted as one more death in this message's attempt.
    if (noted && !deferrals.empty()) co_await record({}, deferrals);
    end_trial(job.message);
    let_go(job.message);  // what waits long lives on disk
    if (settled.outcome == queue::Settlement::Outcome::Expired) {
        co_await give_up(message, std::move(waiting), job.attempt);
    } else if (settled.delay_notice) {
        co_await tell_of_delay(message, job.handle, std::move(waiting), std::move(deferrals));
    }
}

RecipientChange Dispatcher::change_of(const Envelope& envelope, const RecipientResult& result,
                                      uint32_t attempts, Wall now) const {
    return {.id = envelope.id,
            .recipient = result.recipient,
            .state = state_after(envelope, result),
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
        bool unnamed = result.status.subject == 0 && result.status.detail == 0;
        // RFC 2852 §4.1.3.
        if (unnamed || is_too_late(message.envelope)) result.status = {5, 4, 7};
        changes.push_back(change_of(message.envelope, result, attempts, now));
    }
    attempts_.add(message.envelope.id,
                  {.at = now, .envelope = &message.envelope, .results = results});
    co_await record_outcomes(message, results, {}, std::move(changes));
    for (const RecipientResult& result : results) log_result(message, result, std::nullopt);
}

// THE COMMIT of an outcome: it and the reports it causes are stored together or not at all.
Task<void> Dispatcher::record_outcomes(const spool::StoredMessage& message,
                                       std::vector<RecipientResult> failed,
                                       std::vector<RecipientResult> succeeded,
                                       std::vector<RecipientChange> changes) {
    std::vector<spool::Incoming> reports;
    if (!failed.empty()) {
        auto report =
            co_await reporter_.compose(message, std::move(failed), report::Kind::Failure, {});
        if (report) reports.push_back(std::move(*report));
    }
    if (!succeeded.empty()) {
        auto report =
            co_await reporter_.compose(message, std::move(succeeded), report::Kind::Success, {});
        if (report) reports.push_back(std::move(*report));
    }
    co_await record(std::move(reports), std::move(changes));
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
        std::vector<RecipientResult> ended;
        for (uint32_t number : recipients) {
            RecipientResult result{.recipient = number,
                                   .verdict = RecipientResult::Verdict::Permanent,
                                   .status = {5, 7, 1},
                                   .reason = "given back by the operator of this server",
                                   .detail = who,
                                   .kind = FailureKind::Policy};
            RecipientChange change =
                change_of(message->envelope, result, message->recipients[number].attempts, now);
            if (ending == Ending::Remove) {
                change.state = RecipientState::Removed;
                change.reason = result.reason = "removed by " + who;
                result.status = {};
                result.detail = {};
            }
            ended.push_back(std::move(result));
            changes.push_back(std::move(change));
        }
        attempts_.add(id, {.at = now,
                           .envelope = &message->envelope,
                           .results = ended,
                           .state = ending == Ending::Remove ? RecipientState::Removed
                                                             : RecipientState::Failed});
        // Who removes tells nobody.
        if (ending == Ending::Remove) ended.clear();
        world_.log.write(
            ending == Ending::Remove ? Event::RemovedByOperator : Event::BouncedByOperator,
            {{"id", id.text()},
             {"recipients", static_cast<int64_t>(recipients.size())},
             {"operator", who}});
        co_await record_outcomes(*message, std::move(ended), {}, std::move(changes));
    }
    bool removed = scheduler_.remove(handle, world_.clock.now());
    let_go(id);
    co_return removed;
}

// `changes` say how the recipients stand; with them it is stored that their sender was told.
Task<void> Dispatcher::tell_of_delay(const spool::StoredMessage& message, queue::Handle entry,
                                     std::vector<RecipientResult> results,
                                     std::vector<RecipientChange> changes) {
    Wall begin = std::max(message.envelope.received,
                          message.envelope.hold_until.value_or(message.envelope.received));
    Wall until = begin + scheduler_.options().remote.lifetime;
    // RFC 2852 §4.1.3: it is not only late, but later than its sender wished.
    if (message.envelope.deliver_by && world_.clock.wall() >= *message.envelope.deliver_by) {
        for (RecipientResult& result : results) result.status = {4, 4, 7};
    }
    auto report =
        co_await reporter_.compose(message, std::move(results), report::Kind::Delay, until);
    if (!report) co_return;
    for (RecipientChange& change : changes) change.delay_told = true;
    std::vector<spool::Incoming> reports;
    reports.push_back(std::move(*report));
    co_await record(std::move(reports), std::move(changes), entry);
}

// Writes until it is written: what has happened is not undone, and must not happen again. What is
// true only while an entry waits is dropped when that has ended.
Task<void> Dispatcher::record(std::vector<spool::Incoming> reports,
                              std::vector<RecipientChange> changes,
                              std::optional<queue::Handle> while_waiting) {
    Duration pause = kCommitPauseFirst;
    while (!while_waiting || scheduler_.state_of(*while_waiting)) {
        spool::CommitRequest request{.messages = {}, .changes = changes};
        for (const spool::Incoming& report : reports) {
            request.messages.push_back(Reporter::copy_of(report));
        }
        auto stored = co_await spool_.commit(std::move(request),
                                             Deadline::after(world_.clock.now(), kCommitTime));
        if (stored) {
            for (auto& message : *stored) accept(std::move(message));
            co_return;
        }
        // Without its report an outcome is not written; without the disk nothing is.
        MessageId id = changes.empty() ? reports.front().envelope.id : changes.front().id;
        world_.log.write(Event::OutcomeNotRecorded,
                         {{"id", id.text()}, {"reason", stored.error().message}});
        if (stored.error().kind == spool::SpoolError::Kind::Closed) {
            reached(Situation::DaemonOutcomeLeftAtStop);
            co_return;
        }
        reached(reports.empty() ? Situation::DaemonOutcomeRetried : Situation::DaemonReportRetried);
        co_await world_.clock.sleep_for(pause);
        pause = std::min<Duration>(pause * 2, kCommitPauseMax);
    }
}

void Dispatcher::log_result(const spool::StoredMessage& message, const RecipientResult& result,
                            std::optional<Wall> next) {
    const Recipient& recipient = message.envelope.recipient(result.recipient);
    Destination destination = settings_.now()->destination_of(message.envelope, result.recipient);
    std::string id = message.envelope.id.text();
    std::string to = recipient.mailbox.text();
    std::string where = text(destination);
    if (result.verdict == RecipientResult::Verdict::Delivered ||
        result.verdict == RecipientResult::Verdict::Relayed) {
        world_.log.write(Event::Delivered,
                         {{"id", id},
                          {"to", to},
                          {"destination", where},
                          {"state", name(state_after(message.envelope, result))}});
        if (observer_) observer_(message.envelope, result.recipient, destination);
        return;
    }
    std::string status = result.status.text();
    std::string reason = bounded_reason(result);
    std::string_view failure = name(failure_class(result));
    if (next) {
        world_.log.write(Event::Deferred, {{"id", id},
                                           {"to", to},
                                           {"destination", where},
                                           {"status", status},
                                           {"class", failure},
                                           {"reason", reason},
                                           {"next", date_time(*next)}});
    } else {
        world_.log.write(Event::Failed, {{"id", id},
                                         {"to", to},
                                         {"destination", where},
                                         {"status", status},
                                         {"class", failure},
                                         {"reason", reason}});
    }
}

}  // namespace postrider::daemon
