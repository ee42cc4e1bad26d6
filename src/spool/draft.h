// spool/draft.h: the content of one message while it is being received.
//
// Octets that promise nothing: until commit() has answered, a draft may vanish at any moment. Up to
// kInlineMessageOctetsMax stay in memory and go into the log with the envelope; what is longer
// flows into a file large/ID, in blocks whose CRCs the log will hold.
//
// Promise
//   1. Memory: at most kDraftMemoryOctetsMax (192 KiB), whatever the message's size; of all drafts
//      that have more content kWideDraftsMax (16) at a time may hold kWideDraftOctetsMax (1 MiB).
//   2. A draft that is destroyed without having been committed leaves no file behind (it is removed
//      soon; after a crash by the next recovery).
//
// Failure: Full when the disk has less than the free space that the operator wants to keep.
// After an error the draft is dead: destroy it.
// Threads: belongs to the shard where begin() was called.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/task.h"
#include "spool/error.h"
#include "spool/stored_message.h"

namespace postrider::spool {

class Core;

inline constexpr std::size_t kLargeBlockOctets = 64 * 1024;
inline constexpr std::size_t kDraftMemoryOctetsMax = 3 * kLargeBlockOctets;
inline constexpr std::size_t kWideDraftOctetsMax = 16 * kLargeBlockOctets;
inline constexpr int kWideDraftsMax = 16;

class Draft {
public:
    Draft(Draft&& other) noexcept;
    Draft& operator=(Draft&& other) noexcept;
    ~Draft();

    MessageId id() const { return id_; }
    uint64_t size() const { return size_; }
    bool has_8bit() const { return has_8bit_; }
    std::size_t memory_max() const { return memory_max_; }

    // Lets it hold more, so that it goes to disk in fewer and larger pieces, which takes a third
    // less time. False: as many as may be are wide already.
    bool widen();

    // That so many octets will come, as somebody says; memory is taken for them at once, as far as
    // they would stay in it.
    void expect(uint64_t octets);

    // Adds octets to the end. `octets` must outlive the task. Waits only when a block goes to disk.
    Task<SpoolStatus> append(std::string_view octets);

    // As append() when it fits into memory without waiting; false = nothing was done, call
    // append().
    bool append_at_once(std::string_view octets);

private:
    friend class Spool;
    friend class Core;
    Draft(std::shared_ptr<Core> core, MessageId id) : core_(std::move(core)), id_(id) {}

    Task<SpoolStatus> spill();
    Task<SpoolStatus> write_blocks(bool last);
    // Ends the draft; a large one is durable with its name when this returns.
    Task<SpoolStatus> finish();
    Task<SpoolStatus> sync_large();
    void abandon();
    void leave();

    std::shared_ptr<Core> core_;  // null: moved from, committed or abandoned
    MessageId id_;
    uint64_t size_ = 0;
    bool has_8bit_ = false;
    std::size_t memory_max_ = kDraftMemoryOctetsMax;
    std::string memory_;  // all of a small message; of a large one what is not yet in the file
    uint64_t written_octets_ = 0;     // in the file
    uint64_t checked_at_octets_ = 0;  // written_octets_ when free space was last asked for
    std::unique_ptr<world::File> file_;
    std::shared_ptr<LargeContent> large_;
};

}  // namespace postrider::spool
