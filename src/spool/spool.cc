#include "spool/spool.h"

#include <cassert>

#include "spool/core.h"
#include "spool/replay.h"

namespace postrider::spool {

Task<SpoolResult<std::unique_ptr<Spool>>> Spool::open(world::World& world, SpoolOptions options,
                                                      SpoolReport& out) {
    assert(options.segment_octets >= kSegmentOctetsMin);
    assert(options.segment_octets <= kSegmentOctetsMax);
    assert(options.reserve_segments >= 1 && options.spare_segments >= 1);
    auto core = std::make_shared<Core>(world, std::move(options));
    auto started = co_await core->start(out);
    if (!started) {
        co_await core->close();  // a segment may still be in preparation; and the lock goes
        co_return std::unexpected(started.error());
    }
    co_return std::unique_ptr<Spool>(new Spool(std::move(core)));
}

Task<SpoolResult<Recovered>> Spool::recover() { return core_->recover(); }

Spool::~Spool() = default;

Draft Spool::begin(MessageId id) { return Draft(core_, id); }

Task<SpoolResult<std::vector<std::shared_ptr<const StoredMessage>>>> Spool::commit(
    CommitRequest request, Deadline deadline) {
    return core_->commit(std::move(request), deadline);
}

void Spool::record_lazily(RecipientChange change) { core_->record_lazily(std::move(change)); }

Task<SpoolStatus> Spool::note_attempt(MessageId id, Deadline deadline) {
    return core_->note_attempt(id, deadline);
}

Task<SpoolResult<std::shared_ptr<const StoredMessage>>> Spool::read(MessageId id) {
    return core_->read(id);
}

Task<SpoolStatus> Spool::set_aside(MessageId id, std::string why) {
    return core_->set_aside_live(id, std::move(why));
}

Task<SpoolStats> Spool::stats() { return core_->stats(); }

Task<void> Spool::close() { return core_->close(); }

Task<SpoolResult<SpoolReport>> check(world::World& world, std::string directory) {
    auto image = co_await world.worker.run(read_ends(world, directory));
    if (!image) co_return std::unexpected(image.error());
    Replay replay(world, *image);
    for (const SegmentFile& segment : image->in_use) {
        auto read = co_await world.worker.run(replay.read(segment));
        if (!read) co_return std::unexpected(read.error());
    }
    replay.finish();
    co_return std::move(replay.report);
}

}  // namespace postrider::spool
