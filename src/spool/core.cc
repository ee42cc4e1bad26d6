#include "spool/core.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

#include "base/situation.h"
#include "spool/bytes.h"

namespace postrider::spool {

namespace {

// What a recipient's change may take when its message is moved, without the reason's text.
constexpr uint64_t kChangeOctets = 112;
constexpr std::size_t kEnvelopeOctetsUsual = 768;

LargeFields fields_of(const LargeContent& large) {
    return {large.size, large.block_octets, large.block_crcs};
}

}  // namespace

void Pending::view_own() {
    pieces.assign(1, own);
    payload_octets = own.size();
    crc = crc32(own);
}

Core::Core(world::World& world, SpoolOptions options)
    : world_(world),
      options_(std::move(options)),
      owner_(world.executor.current_shard()),
      segments_(world, options_),
      still_(world.executor, world.clock) {}

Task<SpoolResult<std::vector<std::shared_ptr<const StoredMessage>>>> Core::commit(
    CommitRequest request, Deadline deadline) {
    Pending pending;
    pending.deadline = deadline;
    SpoolStatus taken;
    for (Incoming& incoming : request.messages) {
        auto message = co_await take_in(incoming);
        if (!message) {
            taken = std::unexpected(message.error());
            break;
        }
        pending.messages.push_back(*std::move(message));
    }
    pending.changes = std::move(request.changes);
    if (taken) taken = assemble(pending);
    if (!taken) {
        discard(pending.messages);
        co_return std::unexpected(taken.error());
    }
    if (pending.payload_octets > 0) co_await submit(pending);
    if (!pending.result) {
        // What a crash could bring back must find its large files.
        if (!pending.may_come_back) discard(pending.messages);
        co_return std::unexpected(pending.result.error());
    }
    co_return std::vector<std::shared_ptr<const StoredMessage>>(pending.messages.begin(),
                                                                pending.messages.end());
}

// Ends the draft and makes the message as it will be answered.
Task<SpoolResult<std::shared_ptr<StoredMessage>>> Core::take_in(Incoming& incoming) {
    assert(incoming.envelope.recipient_count() > 0 && incoming.envelope.id.value != 0);
    auto message = std::make_shared<StoredMessage>();
    message->header_octets = incoming.header_octets;
    if (auto* text = std::get_if<std::string>(&incoming.content);
        text && text->size() > kInlineMessageOctetsMax) {
        Draft draft(shared_from_this(), incoming.envelope.id);
        auto appended = co_await draft.append(*text);
        if (!appended) co_return std::unexpected(appended.error());
        incoming.content = std::move(draft);
    }
    if (auto* draft = std::get_if<Draft>(&incoming.content)) {
        assert(draft->id() == incoming.envelope.id);
        auto finished = co_await draft->finish();
        if (!finished) co_return std::unexpected(finished.error());
        message->has_8bit = draft->has_8bit_;
        message->content_octets = draft->size_;
        message->large_content = std::move(draft->large_);
        if (!message->large_content) {
            message->inline_content = std::make_shared<std::string>(std::move(draft->memory_));
        }
    } else {
        auto& text = std::get<std::string>(incoming.content);
        message->has_8bit = has_high_bit(text);
        message->content_octets = text.size();
        message->inline_content = std::make_shared<std::string>(std::move(text));
    }
    message->envelope = std::move(incoming.envelope);
    message->recipients.resize(message->envelope.recipient_count());
    co_return message;
}

// Puts the payload together: what we write in one string, contents where they lie.
SpoolStatus Core::assemble(Pending& pending) const {
    std::vector<std::pair<std::size_t, std::string_view>> cuts;  // end in own, then a content
    uint64_t contents = 0;
    uint64_t later = 0;  // what moving it may add
    if (!pending.messages.empty()) pending.own.reserve(kEnvelopeOctetsUsual);
    cuts.reserve(pending.messages.size());
    pending.pieces.reserve(2 * pending.messages.size() + 1);
    for (const auto& message : pending.messages) {
        const Envelope& envelope = message->envelope;
        if (envelope.recipient_count() > kRecipientsAfterExpansionMax) {
            return std::unexpected(SpoolError{SpoolError::Kind::TooLarge, "too many recipients"});
        }
        later = std::max(later, kChangeOctets * envelope.recipient_count());
        put_message(envelope, message->header_octets, message->has_8bit, message->content_octets,
                    pending.own);
        if (message->large_content) {
            put_large(fields_of(*message->large_content), pending.own);
            continue;
        }
        put_content_header(static_cast<uint32_t>(message->content_octets), pending.own);
        cuts.emplace_back(pending.own.size(), *message->inline_content);
        contents += message->content_octets;
    }
    for (const RecipientChange& change : pending.changes) put_change(change, pending.own);
    pending.payload_octets = pending.own.size() + contents;
    if (pending.payload_octets + later > payload_octets_max(options_.segment_octets)) {
        return std::unexpected(SpoolError{
            SpoolError::Kind::TooLarge,
            fmt::format("{} octets do not fit into one record", pending.payload_octets)});
    }
    std::size_t from = 0;
    std::string_view own = pending.own;
    for (auto [to, content] : cuts) {
        pending.pieces.push_back(own.substr(from, to - from));
        if (!content.empty()) pending.pieces.push_back(content);
        from = to;
    }
    if (from < own.size()) pending.pieces.push_back(own.substr(from));
    for (std::string_view piece : pending.pieces) pending.crc = crc32(piece, pending.crc);
    return {};
}

// From any shard; returns there when the record is durable or has failed.
Task<void> Core::submit(Pending& pending) {
    struct Wait {
        Core& core;
        Pending& pending;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> waiting) {
            pending.waiter = waiting;
            core.enqueue(pending);
        }
        void await_resume() const {}
    };
    pending.home = world_.executor.current_shard();
    if (pending.home != owner_) co_await world_.executor.switch_to(owner_);
    if (auto refused = refuse(pending)) {
        pending.result = std::unexpected(*std::move(refused));
        if (pending.home != owner_) co_await world_.executor.switch_to(pending.home);
        co_return;
    }
    Wait wait{*this, pending};
    co_await wait;
}

std::optional<SpoolError> Core::refuse(const Pending& pending) const {
    using Kind = SpoolError::Kind;
    if (closing_) return SpoolError{Kind::Closed, "the spool is closed"};
    if (failing_) return SpoolError{Kind::DiskFailing, failing_reason_};
    bool many = stats_.waiting_octets + pending.payload_octets > options_.waiting_octets_max;
    if (many || (pending.payload_octets > 0 && forced(Switch::SpoolSaysBusy))) {
        reached(Situation::SpoolBusy);
        return SpoolError{
            Kind::Busy, fmt::format("{} octets wait for the disk already", stats_.waiting_octets)};
    }
    return std::nullopt;
}

void Core::enqueue(Pending& pending) {
    for (const auto& message : pending.messages) assert(!index_.find(message->envelope.id));
    stats_.waiting_octets += pending.payload_octets;
    ++stats_.waiting_commits;
    if (pending.moved) {
        moves_.push_back(&pending);
    } else {
        waiting_.push_back(&pending);
        watch_deadline(pending.deadline);
    }
    kick();
}

void Core::complete(Pending& pending, SpoolStatus result) {
    stats_.waiting_octets -= pending.payload_octets;
    --stats_.waiting_commits;
    pending.result = std::move(result);
    std::coroutine_handle<> waiter = pending.waiter;
    if (pending.batch && --pending.batch->left == 0) waiter = pending.batch->waiter;
    if (waiter) world_.executor.resume_on(pending.home, waiter);
}

void Core::discard(const std::vector<std::shared_ptr<StoredMessage>>& messages) {
    for (const auto& message : messages) {
        if (message->large_content) remove_later(message->large_content->path);
    }
}

bool Core::take_wide_place() {
    if (wide_drafts_.fetch_add(1, std::memory_order_relaxed) < kWideDraftsMax) return true;
    give_wide_place();
    return false;
}

// One timer for all who wait, at the earliest of their deadlines.
void Core::watch_deadline(Deadline deadline) {
    if (deadline.is_never() || (deadline_timer_ && deadline_watched_ <= deadline)) return;
    deadline_watched_ = deadline;
    deadline_timer_ = world_.clock.call_at(deadline.at, [this] {
        deadline_timer_.reset();
        withdraw_late();
    });
}

void Core::withdraw_late() {
    Monotonic now = world_.clock.now();
    std::erase_if(waiting_, [&](Pending* pending) {
        if (!pending->deadline.reached(now)) {
            watch_deadline(pending->deadline);
            return false;
        }
        reached(Situation::SpoolCommitWithdrawn);
        complete(*pending,
                 std::unexpected(SpoolError{SpoolError::Kind::CallerDeadline,
                                            "the deadline passed while waiting to be written"}));
        return true;
    });
}

Task<SpoolStatus> Core::note_attempt(MessageId id, Deadline deadline) {
    Pending pending;
    pending.attempt = id;
    pending.deadline = deadline;
    put_attempt({id, 0}, pending.own);
    pending.view_own();
    co_await submit(pending);
    co_return pending.result;
}

void Core::record_lazily(RecipientChange change) {
    assert(!is_final(change.state));
    world_.executor.post_to(owner_, [self = shared_from_this(), change = std::move(change)] {
        constexpr std::size_t kLazyMax = 4096;
        if (self->index_.change(change) == Index::Effect::None) return;
        if (self->lazy_.size() >= kLazyMax) self->lazy_.pop_front();
        self->lazy_.push_back(change);
        if (!self->writing_) self->rest();
    });
}

Task<SpoolStats> Core::stats() {
    world::ShardId home = world_.executor.current_shard();
    if (home != owner_) co_await world_.executor.switch_to(owner_);
    SpoolStats out = stats_;
    out.live_messages = index_.size();
    out.segments = segments_.file_count();
    out.segments_prepared = segments_.prepared_count();
    out.failing = failing_;
    out.full = full_;
    out.recovering = unread_ != nullptr;
    if (home != owner_) co_await world_.executor.switch_to(home);
    co_return out;
}

Task<void> Core::close() {
    assert(world_.executor.current_shard() == owner_);
    closing_ = true;
    retry_timer_.reset();
    co_await wait_until_still();
    // What was not recovered is as it was left: how the last life ended is still to be told.
    bool in_order = !unread_ || unread_->report.clean_stop;
    closed_record_due_ = segments_.current() != nullptr && in_order;
    kick();
    co_await wait_until_still();
    mark_timer_.reset();
    deadline_timer_.reset();
    lock_.reset();
}

Task<void> Core::wait_until_still() {
    // Ends when the disk does: every step of these is bounded by it.
    while (writing_ || moving_ || removing_ || recovering_ || segments_.preparing()) {
        co_await still_.wait(Deadline::never());
    }
}

}  // namespace postrider::spool
