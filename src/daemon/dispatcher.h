// daemon/dispatcher.h: takes the queue's decisions to delivery, and their outcomes to the spool.
//
// The queue decides, delivery tries, the spool remembers; none of them knows the others. This is
// the loop between them: take the next job, read the message if it is not in memory, make one
// attempt per recipient, write what became of it durably, and tell the queue.
//
// A message that is forwarded by an address of ours bears Delivered-To with that address. Coming by
// again it would go round for ever: such a recipient fails with 5.4.6.
//
// Promise
//   1. An outcome is on stable storage before the queue forgets the recipient; when it cannot be
//      written it is kept and tried again, and the delivery is not repeated meanwhile.
//   2. A failure that owes its sender a report is stored together with that report, in one commit.
//   3. A message that was being tried when the process died, several times in a row, is set aside.
//   4. Messages wait on disk; in memory are only those that just came in, as far as the memory
//      account allows, and those that are being tried.
//
// Threads: shard 0's, but for accept(), which may be called from any shard.

#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/memory_account.h"
#include "daemon/attempt_log.h"
#include "daemon/entry_domains.h"
#include "daemon/onward.h"
#include "daemon/reporter.h"
#include "daemon/settings.h"
#include "daemon/suppression_list.h"
#include "deliver/maildir.h"
#include "mail/attempt.h"
#include "queue/scheduler.h"
#include "spool/spool.h"
#include "world/signal.h"
#include "world/world.h"

namespace postrider::daemon {

// Called after each delivery to a local mailbox was recorded; for `serve --try`.
using DeliveryObserver = std::function<void(const Envelope& envelope, uint32_t recipient,
                                            const Destination& destination)>;

// How long until what the disk did not give is asked for again.
inline constexpr auto kReadAgain = std::chrono::minutes(1);

class Dispatcher : private WorkSource {
public:
    // REQUIRES: world, spool, account, settings, reporter and suppression outlive the dispatcher.
    Dispatcher(world::World& world, spool::Spool& spool, MemoryAccount& account,
               SettingsSource& settings, Reporter& reporter, SuppressionList& suppression,
               queue::Options options, AttemptLogOptions attempts, DeliveryObserver observer);
    ~Dispatcher() override;

    // A message that was just committed. From any shard.
    void accept(std::shared_ptr<const spool::StoredMessage> message);

    // What the spool found of earlier lives, which may be long after the start. `clean_stop`:
    // nothing was being tried when we stopped.
    void recover(std::vector<spool::RecoveredMessage> messages, bool clean_stop);

    // Begins no more jobs and returns when the running ones have ended and their attempts are
    // written, or the deadline passes.
    Task<void> stop(Deadline deadline);

    // An operator ends recipients of a message that waits: without a word to anybody, or with a
    // report to its sender. False when the entry is gone, or is being tried right now.
    enum class Ending : uint8_t {
        Remove,
        Bounce
    };
    Task<bool> end(queue::Handle handle, MessageId id, std::vector<uint32_t> recipients,
                   Ending ending, std::string who);

    // RFC 1985: what waits for a domain that is relayed here, and for those below it, is due now.
    // How many entries of the queue; nothing if it is no such domain. From any shard.
    Task<std::optional<std::size_t>> run_queue(std::string domain, bool below);
    const NullMxDomains& null_mx() const { return onward_.null_mx(); }  // from any shard

    queue::Scheduler& scheduler() { return scheduler_; }
    const EntryDomains& domains() const { return domains_; }
    AttemptLog& attempts() { return attempts_; }
    // Whether messages of earlier lives are not all in the queue yet.
    bool is_recovering() const { return recovering_; }
    // New limits and schedules, from now on.
    void reconfigure(queue::Options options);
    // The queue has changed from outside (a verb of the operator): look again.
    void wake();

private:
    struct Kept {  // a message that just came in, with its content in memory
        std::shared_ptr<const spool::StoredMessage> message;
        MemoryCharge charge;
        int entries = 0;  // of the queue that still want it
    };

    // Into the queue, and out of it.
    struct Enqueued {
        int entries = 0;
        bool soon = false;  // one of them may be tried now
    };
    Enqueued enqueue(const spool::StoredMessage& message, Duration age, std::optional<Wall> due);
    Task<void> run_recovery(std::vector<spool::RecoveredMessage> messages, bool clean_stop);
    Task<std::vector<spool::RecoveredMessage>> recover_readable(
        std::vector<spool::RecoveredMessage> messages, bool clean_stop);
    void pump();
    void start(Task<void> work);

    // One decision of the queue, carried out.
    Task<void> run_job(queue::Job job);
    Task<void> run_expire(queue::Expire expire);
    Task<void> run_notice(queue::DelayNotice notice);
    RecipientResult last_result(const spool::StoredMessage& message, uint32_t number) const;

    // Moments that a message has brought with it: not before (RFC 4865), not after (RFC 2852).
    struct Moments {
        Duration age;
        std::optional<Monotonic> held_until;
        std::optional<Duration> lifetime, notice_after;
    };
    Moments moments_of(const spool::StoredMessage& message, Duration age) const;
    bool put_back_if_held(const queue::Job& job, const spool::StoredMessage& message);
    bool is_too_late(const Envelope& envelope) const;
    Task<void> give_back_late(const queue::Job& job, const spool::StoredMessage& message);
    std::size_t start_queue(const std::string& domain, bool below);

    // The parts of a job.
    // Null when it cannot be read; `passing`, when given: it may be readable later.
    Task<std::shared_ptr<const spool::StoredMessage>> load(MessageId id, bool* passing = nullptr);
    void not_loaded(const queue::Job& job, bool passing);
    bool waits_for_trial(const queue::Job& job);
    Task<bool> may_try(const queue::Job& job);
    void end_trial(MessageId id);
    bool call_waiting(std::deque<std::pair<queue::Handle, MessageId>>& waiting);
    Task<void> run_onward(Work work, Destination destination);
    Task<void> find_loops(Work& work);
    void leave_out_suppressed(Work& work);
    Task<void> learn_bounces(const spool::StoredMessage& message,
                             std::vector<RecipientResult> results);
    Task<void> learn_from_report(const spool::StoredMessage& message, Mailbox mailbox);
    void suppress(const std::string& address, const std::string& sender, FailureClass failure,
                  const std::string& reason);
    Task<std::optional<Work>> finish(Work work, WorkDone done, bool wants_more) override;
    Task<std::vector<RecipientResult>> attempt_here(
        const queue::Job& job, std::shared_ptr<const spool::StoredMessage> message);
    Task<RecipientResult> attempt_one(std::shared_ptr<const spool::StoredMessage> message,
                                      uint32_t recipient, const Settings& settings, bool repeated);
    Task<void> settle(const queue::Job& job, std::string site, const spool::StoredMessage& message,
                      WorkDone done);
    Task<void> give_up(const spool::StoredMessage& message, std::vector<RecipientResult> results,
                       uint32_t attempts);
    Task<void> tell_of_delay(const spool::StoredMessage& message, queue::Handle entry,
                             std::vector<RecipientResult> results,
                             std::vector<RecipientChange> changes);

    // What is written about it.
    RecipientChange change_of(const Envelope& envelope, const RecipientResult& result,
                              uint32_t attempts, Wall now) const;
    Task<void> record_outcomes(const spool::StoredMessage& message,
                               std::vector<RecipientResult> failed,
                               std::vector<RecipientResult> succeeded,
                               std::vector<RecipientChange> changes);
    Task<void> record(std::vector<spool::Incoming> reports, std::vector<RecipientChange> changes,
                      std::optional<queue::Handle> while_waiting = {});
    void log_result(const spool::StoredMessage& message, const RecipientResult& result,
                    std::optional<Wall> next);
    void let_go(MessageId id);

    struct Suspect {
        int unfinished = 0;    // attempts that a crash cut off
        bool waiting = false;  // stands in one of the queues of those who wait

        // Before it is taken for the culprit nobody else may have been there.
        bool must_be_alone() const { return unfinished > 1; }
    };

    world::World& world_;
    spool::Spool& spool_;
    MemoryAccount& account_;
    SettingsSource& settings_;
    Reporter& reporter_;
    SuppressionList& suppression_;
    DeliveryObserver observer_;
    queue::Scheduler scheduler_;
    Onward onward_;
    AttemptLog attempts_;
    bool recovering_ = true;  // messages of earlier lives are not all in the queue yet
    EntryDomains domains_;
    std::unordered_map<MessageId, Kept> kept_;
    // Suspects that are being tried: several of those that one crash cut off, or one of the others
    // alone; and those that wait for the end of that.
    std::unordered_set<MessageId> trials_;
    bool alone_ = false;
    std::deque<std::pair<queue::Handle, MessageId>> waiting_alone_, waiting_others_;
    std::unordered_map<MessageId, Suspect> suspects_;  // recovered after a crash
    std::unordered_set<MessageId> noted_;              // their attempts, noted durably, go on
    std::unique_ptr<world::Timer> timer_;
    Monotonic timer_at_;
    world::Signal ended_;  // a job has ended
    int running_ = 0;
    bool pumping_ = false;  // a pump is posted
    bool stopping_ = false;
};

}  // namespace postrider::daemon
