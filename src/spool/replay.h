// spool/replay.h: reads the whole log back, segment by segment, while new mail is taken already.
//
// The problem: a million waiting messages are ten gigabytes of log, and nobody should have to wait
// at the door until they are read. What this life writes lies in segments of its own, so those of
// earlier lives can be read beside it, at leisure: nothing there changes until that is done.
//
// Promise: every commit that was acknowledged is in the index unless it is told as damage; of a
// commit nothing is there without the rest. Reading twice gives the same.
// Failure: DiskFailing when a segment cannot be opened or something cannot be kept; begin again
// with a new Replay.
// Threads: one task at a time, inside Worker::run.

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spool/index.h"
#include "spool/recovery.h"

namespace postrider::spool {

// What lives in one segment.
struct SegmentShare {
    uint32_t messages = 0;
    uint64_t octets = 0;  // of their records
};

class Replay {
public:
    // REQUIRES: world and image outlive it.
    Replay(world::World& world, const SpoolImage& image);

    // REQUIRES: each of image.in_use once, in their order.
    Task<SpoolStatus> read(const SegmentFile& segment);
    // When all are read: looks which large files are needed, counts, and lists the messages.
    void finish();
    // What recover() does about it: keeps the damaged stretches in damaged/, and removes the large
    // files that nothing needs (or keeps them too, when there was damage).
    Task<SpoolStatus> settle(const std::string& directory);

    // What it found.
    Index index;
    SpoolReport report;                       // the image's, completed
    std::vector<EndedItem> to_tell;           // gaps that were damaged since their segment ended
    std::vector<RecoveredMessage> messages;   // by id
    std::map<uint32_t, SegmentShare> shares;  // by the number of the segment

private:
    void note(uint32_t segment, const ScannedRecord& record);
    void note_message(const MessageItem& item, Place place);
    void see(MessageId id) { highest_seen_ = std::max(highest_seen_, id); }

    world::World& world_;
    const SpoolImage& image_;
    int reads_again_ = kReadsAgainMax;
    std::size_t damage_before_;  // that much of report.damage is the image's
    MessageId highest_seen_;     // in records of messages and changes
};

}  // namespace postrider::spool
