// spool/core.h: the inside of the spool: one writer, one index, one log.
//
// How a commit runs: on the caller's shard its drafts are finished and its payload is put together
// (pieces, CRC), so that the owner only places it; on the owner's shard it joins those that wait.
// While a group is being written the next one gathers; a group is one write and one sync. Its
// members are applied to the index after the sync, then resumed, each on its own shard.
//
//     commit (any shard) -> enqueue -> gather -> write + sync (worker) -> settle_group -> resumed
//                                        ^ moves, deferrals, Ended, Oldest and Mark join here
//
// States of the writer, changed only in writer.cc:
//   idle       nothing waits; soon a Mark tells where the last group ended
//   writing    one group is with the disk, others gather
//   voiding    a group failed: its members wait until a fresh segment says durably that it is void
//   failing    no fresh segment could be written: commits are refused, a timer tries again
//
// How a life begins: start() finds where the log ended and begins a segment of its own, and commits
// run. Segments of earlier lives are unread: nothing is moved out of them and none is used again,
// until recover() has read them all and joins what it found with what was stored meanwhile.
//
// Files: core.cc (commits, close), recovering.cc (how a life begins), writer.cc (groups), upkeep.cc
// (preparing, moving, removing), reading.cc (messages from disk). Threads: everything is the
// owner's shard's but where a function says otherwise.

#pragma once

#include <atomic>
#include <coroutine>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "spool/index.h"
#include "spool/replay.h"
#include "spool/segments.h"
#include "spool/spool.h"
#include "world/signal.h"

namespace postrider::spool {

// Several records that one task waits for.
struct Batch {
    std::size_t left = 0;
    std::coroutine_handle<> waiter;
};

// One record on its way into the log. Lives in the frame of who waits for it.
struct Pending {
    RecordType type = RecordType::Commit;
    std::string own;                       // items; `pieces` look into it and into contents
    std::vector<std::string_view> pieces;  // the payload
    uint64_t payload_octets = 0;
    uint32_t crc = 0;

    // What it does to the index, once durable.
    std::vector<std::shared_ptr<StoredMessage>> messages;
    std::vector<RecipientChange> changes;
    std::optional<MessageId> attempt;
    std::optional<MessageId> moved;
    Place moved_from;
    std::size_t moved_octets = 0;  // of `own`, without the changes that placing it adds

    Deadline deadline = Deadline::never();
    world::ShardId home = 0;
    std::coroutine_handle<> waiter;
    Batch* batch = nullptr;  // instead of a waiter of its own

    Place place;
    RecordHeaderOctets header{};
    SpoolStatus result;
    bool may_come_back = false;  // failed, and a crash now could make it valid again

    // Views all of `own` as the payload.
    void view_own();
};

class Core : public std::enable_shared_from_this<Core> {
public:
    Core(world::World& world, SpoolOptions options);

    Task<SpoolStatus> start(SpoolReport& out);
    Task<SpoolResult<Recovered>> recover();
    Task<void> close();

    // From any shard; they answer there.
    Task<SpoolResult<std::vector<std::shared_ptr<const StoredMessage>>>> commit(
        CommitRequest request, Deadline deadline);
    Task<SpoolStatus> note_attempt(MessageId id, Deadline deadline);
    Task<SpoolResult<std::shared_ptr<const StoredMessage>>> read(MessageId id);
    Task<SpoolStatus> set_aside_live(MessageId id, std::string why);
    Task<SpoolStats> stats();
    void record_lazily(RecipientChange change);
    void remove_later(std::string path);
    bool take_wide_place();
    void give_wide_place() { wide_drafts_.fetch_sub(1, std::memory_order_relaxed); }

    world::World& world() { return world_; }
    const SpoolOptions& options() const { return options_; }

private:
    using Self = std::shared_ptr<Core>;

    struct Group {
        Segment* segment = nullptr;
        uint32_t end = 0;
        bool synced = true;
        std::vector<std::string_view> pieces;
        std::deque<std::string> own;
        std::deque<RecordHeaderOctets> headers;
        std::vector<Pending*> members;
        std::size_t ended_items = 0;     // of unended_, told by this group
        std::optional<uint64_t> oldest;  // told by this group
        void clear();
    };

    enum class Room : uint8_t {
        Here,
        NextGroup,
        WhenPrepared,
        None
    };

    // core.cc: commits
    Task<SpoolResult<std::shared_ptr<StoredMessage>>> take_in(Incoming& incoming);
    SpoolStatus assemble(Pending& pending) const;
    Task<void> submit(Pending& pending);
    std::optional<SpoolError> refuse(const Pending& pending) const;
    void enqueue(Pending& pending);
    void complete(Pending& pending, SpoolStatus result);
    void discard(const std::vector<std::shared_ptr<StoredMessage>>& messages);
    void watch_deadline(Deadline deadline);
    void withdraw_late();
    Task<SpoolStatus> open_directory();
    Task<SpoolStatus> begin_log();
    Task<void> wait_until_still();

    // writer.cc
    void kick();
    static Task<void> run_writer(Self self);
    Task<void> let_others_join();
    void gather();
    void gather_moves();
    void gather_waiting();
    void gather_lazy();
    void gather_idle();
    void gather_forced();
    Room make_room(uint64_t octets, bool for_messages);
    void begin_group(Segment& segment);
    void place_own(RecordType type, std::string payload);
    void place(Pending& pending);
    RecordHeaderOctets header_of(RecordType type, uint64_t octets, uint32_t crc) const;
    void end_record(uint64_t payload_octets);
    bool finish_move(Pending& pending);
    static Task<world::DiskStatus> write_group(Group& group);
    void settle_group(const world::DiskStatus& done);
    void apply(Pending& pending);
    void fail_group(const world::DiskError& error);
    void enter_failing(std::string reason);
    void retry();
    void settle_voided(bool void_is_durable);
    void rest();
    SpoolError no_space() const;
    void say_full(bool full);

    // upkeep.cc
    void tend();
    void start_preparing();
    static Task<void> run_preparer(Self self);
    Segment* segment_to_empty();
    void start_moving();
    static Task<void> run_mover(Self self, uint32_t number);
    Task<bool> move_some(std::span<const MessageId> ids, uint32_t number);
    void start_removing();
    static Task<void> run_remover(Self self);
    void add_live(Place place);
    void drop_live(Place place);
    void finished(MessageId id, const Index::Known& known);

    // recovering.cc
    Task<void> give_back_unused();  // on a worker
    Task<SpoolResult<Recovered>> replay_all();
    void adopt(Replay& replay);
    void tell_recovered(const Recovered& recovered);
    void log_damage(std::span<const Damage> damage);

    // reading.cc
    struct ReadBack {
        std::shared_ptr<StoredMessage> message;
        std::string items;  // the message's own items as they stand in the record
    };
    Task<SpoolResult<ReadBack>> read_record(std::string path, Place place, MessageId id,
                                            bool large);
    Task<SpoolResult<ReadBack>> read_place(MessageId id);
    bool is_unreadable_for_good(MessageId id);
    Task<SpoolError> set_aside(MessageId id, Place place, SpoolError why,
                               Event told);  // on the owner

    world::World& world_;
    const SpoolOptions options_;
    world::ShardId owner_;
    std::unique_ptr<world::DiskLock> lock_;
    Segments segments_;
    Index index_;
    std::unique_ptr<SpoolImage> unread_;  // what earlier lives left, until recover() has ended

    std::deque<Pending*> waiting_;
    std::deque<Pending*> moves_;
    std::deque<RecipientChange> lazy_;
    std::vector<Pending*> voided_;  // of failed groups, until the void is durable
    MessageId highest_id_;          // ever stored
    std::unordered_map<MessageId, Monotonic> unreadable_since_;  // reads that the disk refused
    std::vector<EndedItem> unended_;  // to tell in the next fresh segment
    std::vector<std::string> removals_;
    Group group_;
    uint64_t group_octets_ = 0;  // of the latest ones, on average

    bool writing_ = false;
    bool moving_ = false;
    bool removing_ = false;
    bool recovering_ = false;
    bool failing_ = false;
    bool retry_due_ = false;
    bool closing_ = false;
    bool closed_record_due_ = false;
    bool oldest_due_ = false;  // write an Oldest item even if nobody waits
    bool mark_due_ = false;
    bool full_ = false;
    int failures_in_row_ = 0;
    Duration retry_pause_{};
    std::string failing_reason_;
    std::optional<SpoolError> prepare_error_;
    std::unique_ptr<world::Timer> retry_timer_;
    std::unique_ptr<world::Timer> mark_timer_;
    std::unique_ptr<world::Timer> deadline_timer_;
    Deadline deadline_watched_ = Deadline::never();
    std::atomic<int> wide_drafts_ = 0;  // of all shards
    world::Signal still_;
    SpoolStats stats_;
};

}  // namespace postrider::spool
