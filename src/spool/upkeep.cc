// Upkeep of the log, in the background: segments are prepared ahead, emptied, moved out of, freed;
// files that nothing needs are removed.

#include <algorithm>
#include <cassert>

#include "base/situation.h"
#include "spool/core.h"

namespace postrider::spool {

namespace {

constexpr std::size_t kMoveMessagesMax = 16;      // in one step
constexpr uint64_t kMoveOctetsMax = 1024 * 1024;  // in one step, but at least one message
constexpr std::size_t kIndexSlice = 8192;         // places looked at without a pause
// Where groups are so large, writing zeros first costs more than it saves in each sync.
constexpr uint64_t kLargeGroupOctets = 256 * 1024;

}  // namespace

// After each group.
void Core::tend() {
    segments_.pop_emptied();
    // What is about to be free comes cheaper than a new file, when there is time to wait for it.
    oldest_due_ = segments_.has_emptied() && segments_.wants_more() && !failing_;
    if (!oldest_due_ || segments_.prepared_count() == 0) start_preparing();
    start_moving();
    for (std::string& path : segments_.take_surplus()) removals_.push_back(std::move(path));
    start_removing();
}

void Core::start_preparing() {
    if (closing_ || segments_.preparing() || !segments_.may_prepare_now()) return;
    segments_.announce_preparing();
    world_.executor.spawn(run_preparer(shared_from_this()));
}

Task<void> Core::run_preparer(Self self) {
    Core& core = *self;
    while (true) {
        if (core.group_octets_ > kLargeGroupOctets) core.segments_.want_at_once();
        auto done = co_await core.segments_.prepare();
        core.prepare_error_.reset();
        if (!done) core.prepare_error_ = done.error();
        core.kick();  // somebody may wait for it
        if (core.closing_ || !core.segments_.may_prepare_now()) break;
        core.segments_.announce_preparing();
    }
    core.still_.notify_all();
}

// The segment whose live messages should move on, if any.
Segment* Core::segment_to_empty() {
    auto& log = segments_.log();
    for (auto& segment : log) {
        if (!segment->failed || segment->live_messages == 0) continue;
        reached(Situation::SpoolFailedSegmentEmptied);
        return segment.get();
    }
    if (log.size() < 2 || log.front()->unread) return nullptr;
    Segment* oldest = log.front().get();
    uint64_t octets = 0;
    uint64_t live = 0;
    for (auto& segment : log) {
        octets += segment->octets;
        live += segment->live_octets;
    }
    bool long_and_dead =
        log.size() > static_cast<std::size_t>(options_.segments_before_moving) && live * 2 < octets;
    bool short_of_space = prepare_error_ && !segments_.reserve_is_whole();
    bool worth_it = oldest->live_octets * 2 < oldest->octets;
    // What is moved for no need never takes from the reserve.
    bool early = segments_.has_ready(true) && forced(Switch::SpoolMovesEarly);
    return long_and_dead || (short_of_space && worth_it) || early ? oldest : nullptr;
}

void Core::start_moving() {
    if (moving_ || closing_ || failing_) return;
    Segment* segment = segment_to_empty();
    if (!segment) return;
    moving_ = true;
    world_.executor.spawn(run_mover(shared_from_this(), segment->number));
}

Task<void> Core::run_mover(Self self, uint32_t number) {
    Core& core = *self;
    std::vector<MessageId> ids;
    std::size_t from = 0;
    do {
        from = core.index_.collect(number, from, kIndexSlice, ids);
        co_await core.world_.executor.switch_to(core.owner_);  // let others run
    } while (from != 0);
    // By age, which is nearly the order on disk.
    std::sort(ids.begin(), ids.end());
    std::span<const MessageId> rest = ids;
    while (!rest.empty() && !core.closing_) {
        std::size_t count = 0;
        uint64_t octets = 0;
        while (count < std::min(rest.size(), kMoveMessagesMax) && octets < kMoveOctetsMax) {
            auto known = core.index_.find(rest[count++]);
            if (known) octets += known->place.payload_octets;
        }
        if (!co_await core.move_some(rest.first(count), number)) break;
        rest = rest.subspan(count);
    }
    core.moving_ = false;
    core.still_.notify_all();
}

// Reads these messages and writes them again at the head of the log. False: not now.
Task<bool> Core::move_some(std::span<const MessageId> ids, uint32_t number) {
    std::deque<Pending> moves;
    for (MessageId id : ids) {
        auto known = index_.find(id);
        if (!known || known->place.segment != number) continue;
        auto read = co_await read_place(id);
        if (!read) {
            if (read.error().kind == SpoolError::Kind::Damaged ||
                read.error().kind == SpoolError::Kind::NotFound) {
                continue;  // set aside, or finished meanwhile
            }
            co_return false;
        }
        known = index_.find(id);
        if (!known || known->place.segment != number) continue;
        Pending& pending = moves.emplace_back();
        pending.type = RecordType::Moved;
        pending.own = std::move(read->items);
        pending.moved_octets = pending.own.size();
        pending.payload_octets = pending.own.size();
        pending.moved = id;
        pending.moved_from = known->place;
        pending.home = owner_;
    }
    if (moves.empty()) co_return true;
    if (closing_ || failing_) co_return false;
    struct Wait {
        Core& core;
        std::deque<Pending>& moves;
        Batch batch;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> waiting) {
            batch = {moves.size(), waiting};
            for (Pending& pending : moves) {
                pending.batch = &batch;
                core.enqueue(pending);
            }
        }
        void await_resume() const {}
    };
    Wait wait{*this, moves, {}};
    co_await wait;
    co_return std::all_of(moves.begin(), moves.end(),
                          [](const Pending& pending) { return pending.result.has_value(); });
}

void Core::remove_later(std::string path) {
    world_.executor.post_to(owner_, [self = shared_from_this(), path = std::move(path)]() mutable {
        self->removals_.push_back(std::move(path));
        self->start_removing();
    });
}

void Core::start_removing() {
    if (removing_ || removals_.empty()) return;
    removing_ = true;
    world_.executor.spawn(run_remover(shared_from_this()));
}

Task<void> Core::run_remover(Self self) {
    Core& core = *self;
    // What cannot be removed now is found by the next recovery.
    auto remove_all = [](world::Disk& disk, std::vector<std::string> paths) -> Task<void> {
        for (const std::string& path : paths) (void)co_await disk.remove(path);
    };
    while (!core.removals_.empty()) {
        co_await core.world_.worker.run(
            remove_all(core.world_.disk, std::exchange(core.removals_, {})));
    }
    core.removing_ = false;
    core.still_.notify_all();
}

void Core::add_live(Place place) {
    Segment* segment = segments_.by_number(place.segment);
    assert(segment);
    ++segment->live_messages;
    segment->live_octets += record_octets(place.payload_octets);
    stats_.live_octets += record_octets(place.payload_octets);
}

void Core::drop_live(Place place) {
    Segment* segment = segments_.by_number(place.segment);
    assert(segment && segment->live_messages > 0);
    --segment->live_messages;
    segment->live_octets -= record_octets(place.payload_octets);
    stats_.live_octets -= record_octets(place.payload_octets);
}

// Its last outcome is durable.
void Core::finished(MessageId id, const Index::Known& known) {
    drop_live(known.place);
    if (!known.large) return;
    removals_.push_back(large_path(options_.directory, id));
}

}  // namespace postrider::spool
