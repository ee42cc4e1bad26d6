// The writer: what waits becomes groups, each one write and one sync.

#include <cassert>

#include "base/situation.h"
#include "spool/core.h"

namespace postrider::spool {

namespace {

constexpr uint64_t kGroupOctetsMax = 4 * 1024 * 1024;
constexpr std::size_t kGroupMembersMax = 1024;
// A group begins at once when so many wait, or what is as large on average as to be worth a write
// of its own; or when nobody else on the shard has anything to do.
constexpr std::size_t kMembersWorthWriting = 24;
constexpr uint64_t kOctetsWorthWriting = 64 * 1024;
constexpr Duration kJoinTimeMax = std::chrono::microseconds(400);
constexpr Duration kIdleTurn = std::chrono::microseconds(3);
// A few idle moments pass before a Mark is written, so that it costs nothing under load.
constexpr Duration kMarkAfter = std::chrono::milliseconds(100);
constexpr Duration kRetryPauseMin = std::chrono::seconds(1);
constexpr Duration kRetryPauseMax = std::chrono::seconds(60);
// Room kept for the small records of our own (Mark, Closed).
constexpr uint64_t kOwnRecordOctets = 128;
constexpr char kPadding[kRecordAlignment] = {};

}  // namespace

void Core::Group::clear() {
    segment = nullptr;
    end = 0;
    synced = true;
    pieces.clear();
    own.clear();
    headers.clear();
    members.clear();
    ended_items = 0;
    oldest.reset();
}

void Core::kick() {
    if (writing_) return;
    writing_ = true;
    world_.executor.spawn(run_writer(shared_from_this()));
}

Task<void> Core::run_writer(Self self) {
    Core& core = *self;
    bool wrote = false;
    while (true) {
        co_await core.let_others_join();
        core.group_.clear();
        core.gather();
        if (!core.group_.segment) break;
        wrote = true;
        auto done = co_await core.world_.worker.run(write_group(core.group_));
        core.settle_group(done);
    }
    core.writing_ = false;
    if (wrote) core.rest();
    core.still_.notify_all();
}

// A small group costs as much as a large one: it is begun when those sessions have had their turn
// that are about to commit, too.
Task<void> Core::let_others_join() {
    Monotonic begun = world_.clock.now();
    Monotonic turn = begun;
    while (!waiting_.empty() && waiting_.size() < kMembersWorthWriting &&
           stats_.waiting_octets < kOctetsWorthWriting * waiting_.size() && !closing_) {
        co_await world_.executor.switch_to(owner_);
        Monotonic now = world_.clock.now();
        if (now - turn < kIdleTurn || now - begun > kJoinTimeMax) break;
        turn = now;
    }
}

Task<world::DiskStatus> Core::write_group(Group& group) {
    world::File& file = *group.segment->file;
    if (!group.pieces.empty()) {
        auto done = co_await file.write_at(group.segment->append_at, group.pieces);
        if (!done) co_return done;
    }
    if (group.synced) co_return co_await file.sync();
    co_return world::DiskStatus{};
}

// Moved records stand first: they say where recipients stand now, before what else is in the group.
void Core::gather() {
    if (failing_ && !retry_due_) return;
    gather_moves();
    gather_waiting();
    gather_forced();
    gather_lazy();
    gather_idle();
}

void Core::gather_moves() {
    while (!moves_.empty() && group_.members.size() < kGroupMembersMax) {
        Pending& pending = *moves_.front();
        if (!finish_move(pending)) {
            moves_.pop_front();
            complete(pending, {});
            continue;
        }
        Room room = make_room(record_octets(pending.own.size()), false);
        if (room == Room::NextGroup || room == Room::WhenPrepared) return;
        moves_.pop_front();
        if (room == Room::None) {
            complete(pending, std::unexpected(no_space()));
            continue;
        }
        place(pending);
    }
}

// A move's payload ends with where its recipients stand at this moment. False when there is nothing
// to move any more.
bool Core::finish_move(Pending& pending) {
    auto known = index_.find(*pending.moved);
    if (!known || known->place != pending.moved_from) return false;
    pending.own.resize(pending.moved_octets);
    auto changes = index_.changes(*pending.moved);
    if (!changes.empty()) reached(Situation::SpoolMovedWithOutcomes);
    uint64_t room = payload_octets_max(options_.segment_octets) - pending.own.size();
    constexpr uint64_t kChangeWithoutReason = 112;
    for (RecipientChange& change : changes) {
        uint64_t share = room / changes.size();
        share = share > kChangeWithoutReason ? share - kChangeWithoutReason : 0;
        if (change.reason.size() > share) change.reason.resize(share);
        put_change(change, pending.own);
    }
    if (known->unfinished_attempts > 0) {
        put_attempt({*pending.moved, known->unfinished_attempts}, pending.own);
    }
    stats_.waiting_octets += pending.own.size() - pending.payload_octets;
    pending.view_own();
    return true;
}

void Core::gather_waiting() {
    while (!waiting_.empty() && group_.members.size() < kGroupMembersMax) {
        Pending& pending = *waiting_.front();
        bool messages = !pending.messages.empty();
        uint64_t octets = pending.payload_octets > 0 ? record_octets(pending.payload_octets) : 0;
        Room room = make_room(octets, messages);
        if (room == Room::NextGroup || room == Room::WhenPrepared) return;
        waiting_.pop_front();
        if (room == Room::None) {
            if (messages) say_full(true);
            complete(pending, std::unexpected(no_space()));
            continue;
        }
        if (messages) {
            say_full(false);
        } else if (full_) {
            reached(Situation::SpoolOutcomeWhileFull);
        }
        place(pending);
        if (forced(Switch::SpoolGroupOfOne)) return;
    }
}

// What must be made durable although nobody's commit carries it: that a failed group is void, that
// emptied segments are free, that the spool was closed.
void Core::gather_forced() {
    bool due = !voided_.empty() || retry_due_ || (oldest_due_ && segments_.has_emptied());
    if (due && !group_.segment) {
        Room room = make_room(0, false);
        if (room == Room::None && (retry_due_ || !voided_.empty())) {
            enter_failing(no_space().message);
        }
    }
    if (!closed_record_due_ || !waiting_.empty() || !moves_.empty()) return;
    closed_record_due_ = false;
    Segment* current = segments_.current();
    if (!current) return;
    if (!group_.segment && current->append_at + 2 * kOwnRecordOctets <= current->octets) {
        begin_group(*current);
    }
    if (group_.segment && group_.end + kOwnRecordOctets <= group_.segment->octets) {
        place_own(RecordType::Closed, {});
    }
}

// Deferrals go along with whatever is written; the reserve is too good for them.
void Core::gather_lazy() {
    if (lazy_.empty()) return;
    Segment* segment = group_.segment;
    if (!segment && mark_due_) segment = segments_.current();
    if (!segment || segment->for_outcomes) return;
    std::string payload;
    uint32_t at = group_.segment ? group_.end : segment->append_at;
    constexpr uint64_t kLazyOctetsMax = 64 * 1024;
    while (!lazy_.empty() && payload.size() < kLazyOctetsMax) {
        std::size_t before = payload.size();
        put_change(lazy_.front(), payload);
        if (at + record_octets(payload.size()) + kOwnRecordOctets > segment->octets) {
            payload.resize(before);
            break;
        }
        lazy_.pop_front();
    }
    if (payload.empty()) return;
    if (!group_.segment) {
        group_.synced = false;
        begin_group(*segment);
    }
    place_own(RecordType::Commit, std::move(payload));
}

// Nobody waits: a Mark says where the last group ended, so that even its records can be told
// damaged from torn. Not synced: it promises nothing itself.
void Core::gather_idle() {
    if (!mark_due_) return;
    mark_due_ = false;
    Segment* current = segments_.current();
    if (!current || (group_.segment && group_.synced)) return;
    uint32_t at = group_.segment ? group_.end : current->append_at;
    if (at + 2 * kOwnRecordOctets > current->octets) return;
    if (!group_.segment) {
        group_.synced = false;
        begin_group(*current);
    }
    std::string payload;
    put_oldest(segments_.oldest(), payload);
    place_own(RecordType::Mark, std::move(payload));
}

// Finds a place for a record of `octets`, in the group begun or by beginning it.
Core::Room Core::make_room(uint64_t octets, bool for_messages) {
    bool admitted = !for_messages || segments_.takes_messages();
    if (group_.segment && admitted) {
        bool small = group_.end - group_.segment->append_at + octets <= kGroupOctetsMax;
        bool first = group_.members.empty();
        bool fits = group_.end + octets <= group_.segment->octets;
        return fits && (small || first) ? Room::Here : Room::NextGroup;
    }
    Segment* segment = admitted ? segments_.current() : nullptr;
    // Left early only when another one stands ready, beside the reserve.
    bool left = segment && segments_.has_ready(true) && forced(Switch::SpoolSegmentEndsEarly);
    if (left || (segment && segment->append_at + kOwnRecordOctets + octets > segment->octets)) {
        segment = nullptr;
    }
    if (!segment && admitted && !group_.segment) {
        const Segment* full = segments_.current();
        segment = segments_.take(for_messages);
        // Told in the next one, so that even its last records can be told damaged from torn. What
        // was written and not synced after them says so itself.
        if (segment && full && full != segment && full->append_at == full->durable_end) {
            unended_.push_back({full->stamp.generation, full->durable_end, {}});
        }
    }
    if (segment) {
        begin_group(*segment);
        return Room::Here;
    }
    start_preparing();
    if (!segments_.preparing()) return Room::None;
    segments_.want_at_once();
    ++stats_.waits_for_segment;
    reached(Situation::SpoolWaitsForSegment);
    return Room::WhenPrepared;
}

void Core::begin_group(Segment& segment) {
    group_.segment = &segment;
    group_.end = segment.append_at;
    bool fresh = segment.append_at == kSegmentHeaderOctets;
    std::string payload;
    if (fresh) {
        for (const EndedItem& item : unended_) put_ended(item, payload);
        group_.ended_items = unended_.size();
    }
    if (fresh || segments_.has_emptied()) {
        group_.oldest = segments_.oldest();
        put_oldest(*group_.oldest, payload);
        put_highest(highest_id_, payload);  // its own record may be freed before the next start
        place_own(fresh ? RecordType::Ended : RecordType::Mark, std::move(payload));
    }
}

void Core::place_own(RecordType type, std::string payload) {
    const std::string& own = group_.own.emplace_back(std::move(payload));
    const auto& header = group_.headers.emplace_back(header_of(type, own.size(), crc32(own)));
    group_.pieces.emplace_back(header.data(), header.size());
    if (!own.empty()) group_.pieces.push_back(own);
    end_record(own.size());
}

void Core::place(Pending& pending) {
    group_.members.push_back(&pending);
    if (pending.payload_octets == 0) return;
    pending.place = {group_.segment->number, group_.end,
                     static_cast<uint32_t>(pending.payload_octets)};
    pending.header = header_of(pending.type, pending.payload_octets, pending.crc);
    group_.pieces.emplace_back(pending.header.data(), pending.header.size());
    group_.pieces.insert(group_.pieces.end(), pending.pieces.begin(), pending.pieces.end());
    end_record(pending.payload_octets);
}

RecordHeaderOctets Core::header_of(RecordType type, uint64_t octets, uint32_t crc) const {
    return encode(RecordHeader{static_cast<uint8_t>(type), static_cast<uint32_t>(octets), crc,
                               group_.segment->stamp, group_.segment->durable_end});
}

void Core::end_record(uint64_t payload_octets) {
    uint64_t octets = record_octets(payload_octets);
    uint64_t padding = octets - kRecordHeaderOctets - payload_octets;
    if (padding > 0) group_.pieces.emplace_back(kPadding, padding);
    group_.end += static_cast<uint32_t>(octets);
    assert(group_.end <= group_.segment->octets);
}

void Core::settle_group(const world::DiskStatus& done) {
    if (!done) {
        fail_group(done.error());
        tend();
        return;
    }
    Segment& segment = *group_.segment;
    stats_.octets_written += group_.end - segment.append_at;
    group_octets_ = (group_octets_ * 7 + (group_.end - segment.append_at)) / 8;
    segment.append_at = group_.end;
    if (!group_.synced) return;
    segment.durable_end = group_.end;
    ++stats_.groups;
    unended_.erase(unended_.begin(),
                   unended_.begin() + static_cast<std::ptrdiff_t>(group_.ended_items));
    if (group_.oldest) {
        segments_.forget_before(*group_.oldest);
        oldest_due_ = false;
    }
    failures_in_row_ = 0;
    retry_due_ = false;
    if (failing_) {
        failing_ = false;
        retry_pause_ = {};
        reached(Situation::SpoolWorksAgain);
        world_.log.write(Event::SpoolWorksAgain, {});
    }
    settle_voided(true);
    if (group_.members.size() > 1) reached(Situation::SpoolGroupOfMany);
    for (Pending* pending : group_.members) {
        apply(*pending);
        complete(*pending, {});
    }
    tend();
}

// The record is durable: the index follows.
void Core::apply(Pending& pending) {
    ++stats_.commits;
    for (const auto& message : pending.messages) {
        highest_id_ = std::max(highest_id_, message->envelope.id);
        index_.add(message->envelope.id, pending.place,
                   static_cast<uint32_t>(message->recipients.size()),
                   message->large_content != nullptr);
        add_live(pending.place);
    }
    if (pending.moved) {
        reached(Situation::SpoolMessageMoved);
        ++stats_.moved_messages;
        index_.move(*pending.moved, pending.place);
        drop_live(pending.moved_from);
        add_live(pending.place);
    }
    for (const RecipientChange& change : pending.changes) {
        auto known = index_.find(change.id);
        Index::Effect effect = index_.change(change);
        if (effect == Index::Effect::None) ++stats_.repeated_changes;
        if (effect == Index::Effect::Finished) finished(change.id, *known);
    }
    if (pending.attempt) index_.add_attempt(*pending.attempt);
}

// Nothing more goes into that segment. Who waited for it waits on, until it is durable elsewhere
// that the group is void: then it cannot come back after a restart.
void Core::fail_group(const world::DiskError& error) {
    Segment& segment = *group_.segment;
    world_.log.write(Event::SpoolWriteFailed, {{"path", std::string_view(segment.path)},
                                               {"offset", static_cast<int64_t>(segment.append_at)},
                                               {"reason", std::string_view(error.message)}});
    ++stats_.failed_groups;
    ++failures_in_row_;
    segment.failed = true;
    segments_.close_current();
    unended_.push_back({segment.stamp.generation, segment.durable_end, {}});
    if (!group_.members.empty()) reached(Situation::SpoolGroupFailed);
    for (Pending* pending : group_.members) {
        pending->result = std::unexpected(SpoolError{SpoolError::Kind::DiskFailing, error.message});
        voided_.push_back(pending);
    }
    if (failing_ || failures_in_row_ >= 2) enter_failing(error.message);
}

void Core::enter_failing(std::string reason) {
    if (!failing_) {
        reached(Situation::SpoolFailing);
        world_.log.write(Event::SpoolFailing, {{"reason", std::string_view(reason)}});
    }
    failing_ = true;
    retry_due_ = false;
    failing_reason_ = std::move(reason);
    settle_voided(false);
    for (std::deque<Pending*>* list : {&waiting_, &moves_}) {
        for (Pending* pending : *list) {
            complete(*pending,
                     std::unexpected(SpoolError{SpoolError::Kind::DiskFailing, failing_reason_}));
        }
        list->clear();
    }
    if (closing_) return;
    retry_pause_ = std::clamp(retry_pause_ * 2, kRetryPauseMin, kRetryPauseMax);
    retry_timer_ = world_.clock.call_at(world_.clock.now() + retry_pause_, [this] {
        retry_timer_.reset();
        retry();
    });
}

void Core::retry() {
    retry_due_ = true;
    segments_.hurry();
    kick();
}

void Core::settle_voided(bool void_is_durable) {
    if (!voided_.empty()) {
        reached(void_is_durable ? Situation::SpoolFailedGroupVoided
                                : Situation::SpoolFailedGroupMayComeBack);
    }
    for (Pending* pending : voided_) {
        pending->may_come_back = !void_is_durable;
        complete(*pending, SpoolStatus(pending->result));
    }
    voided_.clear();
}

// Nothing is being written.
void Core::rest() {
    Segment* current = segments_.current();
    bool unmarked = current && current->append_at == current->durable_end &&
                    current->append_at > kSegmentHeaderOctets;
    if (closing_ || mark_timer_ || !(unmarked || (current && !lazy_.empty()))) return;
    mark_timer_ = world_.clock.call_at(world_.clock.now() + kMarkAfter, [this] {
        mark_timer_.reset();
        if (writing_ || closing_) return;
        mark_due_ = true;
        kick();
    });
}

SpoolError Core::no_space() const {
    if (prepare_error_) return *prepare_error_;
    return {SpoolError::Kind::Full, "no segment is left for new messages"};
}

void Core::say_full(bool full) {
    if (full == full_) return;
    full_ = full;
    reached(full ? Situation::SpoolFull : Situation::SpoolSpaceAgain);
    if (full) {
        std::string reason = no_space().message;
        world_.log.write(Event::SpoolFull, {{"reason", std::string_view(reason)}});
    } else {
        world_.log.write(Event::SpoolSpaceAgain, {});
    }
}

}  // namespace postrider::spool
