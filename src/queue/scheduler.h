// queue/scheduler.h: which message is tried when, and where: decisions only.
//
// The problem: a million messages wait for a hundred thousand places, some dead, some slow, some
// with half of all mail. Each is to be tried at the right time, and none may stand in another's
// way.
//
// How it is used. The dispatcher calls next() until it says SleepUntil or Empty, gives each Job to
// delivery and reports its end by done(). It calls next() again when that time comes, and after
// every add(), done() and verb of the operator. Nothing here awaits, and nothing knows a clock, a
// file or chance: time is an argument, and jitter is made from the message's id.
//
//   add() ──► Scheduled ──due──► Ready ──next()──► Active ──done()──► finished, and forgotten
//                 ▲                 │                  │
//                 └── temporary failure ◄──────────────┘          Held: by the operator
//
// Promise
//   1. Sites take turns, senders inside a site take turns; so a site that hangs, or a sender with
//      100,000 messages, delays others by one turn and not by its queue.
//   2. A site holds at most its limit of connections, which grows with success and shrinks with
//      failure; sites of which no connection has succeeded yet, or not since the last failure, hold
//      together at most a share of active_max.
//   3. A site that only fails is suspended as a whole; when its time has come one job probes it.
//   4. Inside a site higher priority goes first (RFC 6710, six levels), but waiting counts for
//      priority too: each level is worth Options::priority_step, so nothing starves.
//   5. Expiry. A message's age is told once, at add(), and from there it ages by the clock that
//   never
//      jumps: setting the wall clock while we run changes nothing. A message that is too old when
//      it is added (a restart after a long stop, or with a wrong clock) is tried for at least one
//      more hour (kGrace), and gives up only after this process has tried it or found its site
//      dead.
//   6. A decision costs O(log n); no call looks through all entries but scan(), in slices. Entries
//      that come due together are moved in portions of kMovesPerCall as long as there is work.
//   7. Memory for a waiting entry is at most about 100 octets (queue_bench.cc measures it).
//
// Failure: none. A handle whose entry is gone is answered with false or Finished.
// Threads: one owner.
// RFC 5321 §4.5.4.1, RFC 6710 §5.

#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "mail/attempt.h"
#include "queue/names.h"
#include "queue/options.h"
#include "queue/slab.h"
#include "queue/timer_heap.h"

namespace postrider::queue {

inline constexpr Duration kGrace = std::chrono::hours(1);
inline constexpr int kMovesPerCall = 256;

// Names an entry as long as it is in the queue; never names another one afterwards.
struct Handle {
    uint32_t index = kNone;
    uint32_t generation = 0;
    friend bool operator==(Handle, Handle) = default;
};

// Recipients of one message that go to one site. A message has one entry per site.
struct NewEntry {
    MessageId message;
    std::span<const uint32_t> recipients;  // REQUIRES: not empty, ascending
    std::string_view site;                 // key: same hosts, same key ("mx:a.example", "local")
    SiteKind kind = SiteKind::Remote;
    std::string_view sender;  // key of fair shares: account, or reverse-path's domain
    int priority = 0;         // RFC 6710: -9 to 9
    Monotonic due;            // first try, or the next one (monotonic_due)
    Duration age{};  // since the message was received, by the wall clock; negative: it is held
                     // until then (RFC 4865), and its time begins there
    uint32_t attempts = 0;             // so far
    bool noticed = false;              // its delay notice was sent
    std::optional<Duration> lifetime;  // instead of the option; counted from its receipt
    // When its sender is told that it is late, instead of the option; counted from its receipt.
    std::optional<Duration> notice_after;
};

struct Job {
    Handle handle;
    MessageId message;
    std::vector<uint32_t> recipients;
    std::string_view site;  // valid until done()
    uint32_t attempt = 0;   // number of this attempt, from 1
    bool probe = false;     // its site was suspended: try it with one short connection
    int messages_per_connection = 0;
    std::size_t more = 0;  // entries ready for the same site: keep the connection for next_on()
};

// The message is too old and is not tried any more. It counts as Active until the caller has
// written the outcomes and said remove(), or put_back() if that failed.
struct Expire {
    Handle handle;
    MessageId message;
    std::vector<uint32_t> recipients;
    std::string_view site;
    FailureKind last = FailureKind::Other;  // of its last attempt, or of its site
    uint32_t attempts = 0;
};

// The sender should be told once that it is late. The entry goes on waiting.
struct DelayNotice {
    Handle handle;
    MessageId message;
    std::vector<uint32_t> recipients;
};

struct SleepUntil {
    Monotonic at;  // earlier, if add(), done() or a verb is called
};
struct Empty {};  // nothing to do until add(), done() or a verb is called

using Decision = std::variant<Job, Expire, DelayNotice, SleepUntil, Empty>;

// What done() decided about the recipients that failed for now.
struct Settlement {
    enum class Outcome : uint8_t {
        Finished,  // none is left
        Deferred,  // they are tried again
        Expired,   // they failed for good: too old. The entry is gone
    };
    Outcome outcome = Outcome::Finished;
    Monotonic due;              // Deferred: the next attempt
    uint32_t attempts = 0;      // so far
    bool rest_at_once = false;  // those with TooManyRecipients are due now, the others at `due`
    bool delay_notice = false;  // tell the sender once that it is late
};

enum class EntryState : uint8_t {
    Scheduled,
    Ready,
    Active,
    Held
};

// For the operator's list; views are valid inside the callback.
struct EntryView {
    Handle handle;
    MessageId message;
    std::string_view site;
    std::string_view sender;
    std::span<const uint32_t> recipients;
    int priority = 0;
    EntryState state = EntryState::Scheduled;
    Monotonic due;
    Duration age{};
    uint32_t attempts = 0;
    FailureKind last = FailureKind::Other;
};

struct Filter {
    std::optional<MessageId> message;
    std::string site;    // empty = any
    std::string sender;  // empty = any
    Duration older_than{};
    std::optional<EntryState> state;
};

struct SiteView {
    std::string_view site;
    SiteKind kind = SiteKind::Remote;
    std::size_t entries = 0;  // all of them: waiting, held and active
    std::size_t ready = 0;
    int active = 0;
    int connections = 0;  // its limit now
    int failures = 0;     // connections that failed one after the other
    std::optional<Monotonic> suspended_until;
    uint64_t delivered = 0, deferred = 0, failed = 0;  // recipients, since the site is known
};

struct Totals {
    std::size_t entries = 0, scheduled = 0, ready = 0, active = 0, held = 0, sites = 0;
};

class Scheduler {
public:
    explicit Scheduler(Options options);
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    Handle add(const NewEntry& entry, Monotonic now);

    // The next thing to do. Call until SleepUntil or Empty.
    Decision next(Monotonic now);

    // Another job for a connection that is open to `site` and whose job was just done(). Nothing if
    // there is none, or if other sites wait for a place and it is their turn.
    std::optional<Job> next_on(std::string_view site, Monotonic now);

    // A job has ended. Recipients of the entry without a result go on waiting.
    Settlement done(Handle handle, std::span<const RecipientResult> results, Monotonic now);

    // A job or an Expire could not be carried out for a reason that is ours (no memory, spool
    // full): it is due again at `due`, and counts neither as an attempt nor against the site.
    bool put_back(Handle handle, Monotonic due, Monotonic now);

    // A job found out that its site is another one (its domain's hosts were looked up): it is due
    // there at once, and this was no attempt.
    bool move_to(Handle handle, std::string_view site, SiteKind kind, Monotonic now);

    // A job whose message is gone: the entry is forgotten, and nothing is learnt from it.
    bool give_up_job(Handle handle, Monotonic now);

    // Verbs of the operator. False when the entry is gone or, but for hold(), is Active.
    bool hold(Handle handle, Monotonic now);       // an Active one: when its attempt has ended
    bool release(Handle handle, Monotonic now);    // Held: due now
    bool retry_now(Handle handle, Monotonic now);  // not Held; its site may be probed now, too
    bool remove(Handle handle, Monotonic now);     // also ends an Expire

    // Nothing when the entry is gone.
    std::optional<EntryState> state_of(Handle handle) const;

    // Whether this site is left alone at the moment, and what comes for it will wait for long.
    bool is_suspended(std::string_view site, Monotonic now) const;

    // New options, from now on; what was decided before stays. O(sites).
    void reconfigure(Options options, Monotonic now);

    // Calls `visit` for those of the next `slice` places that match; returns where to go on, or
    // nothing at the end. Entries added or removed between slices may be missed, none is seen
    // twice.
    std::optional<uint32_t> scan(uint32_t from, std::size_t slice, const Filter& filter,
                                 Monotonic now,
                                 const std::function<void(const EntryView&)>& visit) const;
    // The same for one entry; false when it is gone.
    bool look_at(Handle handle, Monotonic now,
                 const std::function<void(const EntryView&)>& visit) const;
    void visit_sites(const std::function<void(const SiteView&)>& visit, Monotonic now) const;

    Totals totals() const;
    const Options& options() const { return options_; }

private:
    // RFC 6710 §9.2 and appendix A: the six levels -4, -2, 0, 2, 4, 6.
    static constexpr std::size_t kLevels = 6;

    struct Entry;
    struct Flow;  // ready entries of one sender, at one site, of one level
    struct Sender;
    struct Site;
    enum class Place : uint8_t {
        Nowhere,
        Proven,
        Unproven,
        Sleeping
    };
    enum class Health : uint8_t {
        Unknown,
        Good,
        Throttled,
        Bad
    };

    Entry* entry_of(Handle handle);
    Handle handle_of(uint32_t index) const;
    std::vector<uint32_t> recipients_of(uint32_t index) const;
    static Duration age_of(const Entry& entry, Monotonic now);
    void show(uint32_t index, Monotonic now,
              const std::function<void(const EntryView&)>& visit) const;
    void set_recipients(uint32_t index, std::span<const uint32_t> recipients);
    std::optional<int64_t> notice_s(uint32_t index) const;

    uint32_t site_for(std::string_view key, SiteKind kind);
    uint32_t make_entry(const NewEntry& entry, Monotonic now);
    void forget(uint32_t index, Monotonic now);
    void leave_site(uint32_t index, Monotonic now);
    void drop_idle_sites(Monotonic now);

    // Changes of an entry's state. Each begins by leaving what the entry was in.
    void leave_state(uint32_t index, Monotonic now);
    void make_scheduled(uint32_t index, Monotonic due, Monotonic now);
    void make_ready(uint32_t index, Monotonic now);
    void make_active(uint32_t index, Monotonic now);
    void make_held(uint32_t index, Monotonic now);
    void enter_flow(uint32_t index);
    void leave_flow(uint32_t index);

    bool move_due(Monotonic now, std::optional<Decision>& decision);
    std::optional<Decision> handle_overdue(uint32_t index, Monotonic now);
    std::optional<uint32_t> choose_site();
    uint32_t choose_entry(const Site& site) const;
    Job start(uint32_t site, Monotonic now);

    struct Rest {
        std::span<const uint32_t> later;    // failed for now
        std::span<const uint32_t> at_once;  // to be tried in another transaction
        FailureKind kind;                   // of `later`
        bool hold;
    };
    Settlement settle(uint32_t index, const Rest& rest, Monotonic now);
    void split_off(uint32_t index, std::span<const uint32_t> recipients, bool hold, Monotonic now);

    // Puts a site where it belongs after anything about it has changed.
    void place(uint32_t index, Monotonic now);
    void leave_place(uint32_t index);
    void set_proven(Site& site, bool proven);
    void handle_health(uint32_t site, Health health, Monotonic now);
    std::optional<Monotonic> rate_wait(const Site& site, Monotonic now) const;

    Options options_;
    Slab<Entry> entries_;
    TimerHeap<Entry> timers_{entries_};  // Scheduled: due. Ready: expiry or delay notice
    std::unordered_map<uint32_t, std::vector<uint32_t>> scattered_;  // recipients not in a row
    std::unordered_map<uint32_t, int64_t> own_notices_;  // seconds of the Monotonic clock
    Slab<Flow> flows_;
    std::unordered_map<uint64_t, uint32_t> flow_of_;  // site, sender and level
    Named<Sender> senders_;
    Named<Site> sites_;
    TimerHeap<Site> sleeping_{sites_.slab()};          // suspended, or over their rate
    Ring proven_ring_, unproven_ring_;                 // sites that could start a job now
    std::deque<std::pair<uint32_t, Monotonic>> idle_;  // sites without entries, oldest first
    bool unproven_turn_ = false;
    int active_ = 0;
    int active_unproven_ = 0;
    int expiring_ = 0;  // handed out as Expire
    std::size_t scheduled_ = 0, ready_ = 0, held_ = 0;
};

}  // namespace postrider::queue
