// spool/segments.h: the files of the log: which are filled, which wait, ready to be written.
//
// The problem: appending into space that is already written costs half a sync of one that is not,
// and making such space takes long; so segments are written with zeros ahead of use, used again
// when nothing in them counts, and prepared in the background. Some are kept back for outcomes, so
// that a full disk cannot stop what frees it.
//
// Promise
//   1. A segment that take() gives has its full size, and its header and its name are durable; it
//   is
//      written with zeros, but where somebody had to wait for it: then the rest is space alone.
//   2. A segment's header is written anew only after forget_before() was made durable past it.
//   3. Generations only rise.
// A segment's life: free -> prepared -> current -> filled or failed -> emptied -> free or removed.
//
// Failure: preparing may fail (Full, DiskFailing); it is tried again when asked, with a pause that
// doubles up to 30 s.
// Threads: the owner's shard.

#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/task.h"
#include "spool/error.h"
#include "spool/record.h"
#include "spool/recovery.h"
#include "world/world.h"

namespace postrider::spool {

struct Segment {
    uint32_t number = 0;
    std::string path;
    Stamp stamp;
    uint64_t octets = 0;
    uint32_t append_at = kSegmentHeaderOctets;    // where the next record goes
    uint32_t durable_end = kSegmentHeaderOctets;  // what the last sync covered
    uint32_t live_messages = 0;
    uint64_t live_octets = 0;
    bool unread = false;                // of an earlier life: what lives in it is not known yet
    bool failed = false;                // nothing more goes in, and the file is not used again
    bool for_outcomes = false;          // taken from the reserve: no new messages
    std::unique_ptr<world::File> file;  // prepared and current
};

class Segments {
public:
    Segments(world::World& world, const SpoolOptions& options) : world_(world), options_(options) {}

    // What recovery found. Those in use are unread until all_read().
    void start(const SpoolImage& image);
    void all_read();

    // --- the log, oldest first; the last is current, when there is one
    std::deque<std::unique_ptr<Segment>>& log() { return log_; }
    Segment* current() { return has_current_ ? log_.back().get() : nullptr; }
    Segment* by_number(uint32_t number);
    // Makes the next prepared one current; null if there is none, or none but the reserve when
    // `for_messages`.
    Segment* take(bool for_messages);
    bool has_ready(bool for_messages) const {
        return prepared_.size() > (for_messages ? reserve() : 0);
    }
    void close_current() { has_current_ = false; }
    // Whether new messages may go into the current one.
    bool takes_messages();

    // --- preparing
    bool wants_more() const { return prepared_.size() < wanted(); }
    bool may_prepare_now() const { return wants_more() && world_.clock.now() >= not_before_; }
    bool preparing() const { return preparing_; }
    std::size_t prepared_count() const { return prepared_.size(); }
    bool reserve_is_whole() const { return prepared_.size() >= reserve(); }
    void hurry() { not_before_ = world_.clock.now(); }
    // For the one that is being prepared, or the next, space will do: somebody waits for it.
    void want_at_once() { wanted_at_once_.store(true, std::memory_order_relaxed); }
    // Prepares one segment. REQUIRES: announced before, on the owner's shard.
    void announce_preparing() { preparing_ = true; }
    Task<SpoolStatus> prepare();

    // --- emptying
    // Takes the oldest ones that are known to hold nothing live out of the log; true if there were
    // any.
    bool pop_emptied();
    bool has_emptied() const { return !emptied_.empty(); }
    // The oldest generation that counts: what the next Oldest item says. REQUIRES: a current
    // segment.
    uint64_t oldest() const;
    // An Oldest item of that generation is durable: emptied ones below it are free.
    void forget_before(uint64_t generation);
    // Files that are not needed any more, for removal.
    std::vector<std::string> take_surplus();

    std::size_t file_count() const;

private:
    std::size_t reserve() const { return static_cast<std::size_t>(options_.reserve_segments); }
    std::size_t wanted() const {
        return reserve() + static_cast<std::size_t>(options_.spare_segments);
    }
    void append(std::unique_ptr<Segment> segment);
    Task<SpoolStatus> write_header(Segment& segment);
    Task<SpoolStatus> make_file(Segment& segment);

    world::World& world_;
    const SpoolOptions& options_;
    std::deque<std::unique_ptr<Segment>> log_;
    bool has_current_ = false;
    std::deque<std::unique_ptr<Segment>> prepared_;
    std::vector<std::unique_ptr<Segment>> emptied_;  // free once an Oldest item is durable
    std::vector<std::unique_ptr<Segment>> free_;
    std::vector<std::string> surplus_;
    std::vector<Segment*> by_number_;  // those in the log
    bool preparing_ = false;
    std::atomic<bool> wanted_at_once_ = false;  // read on a worker
    uint64_t next_generation_ = 1;
    uint32_t next_number_ = 1;
    Monotonic not_before_{INT64_MIN};
    Duration pause_{};
};

}  // namespace postrider::spool
