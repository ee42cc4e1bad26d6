// spool/recovery.h: what a spool's directory holds, read back without changing anything.
//
// The problem: the process or the machine stopped at any moment, perhaps in the middle of a write,
// perhaps with sectors gone bad since. read_spool() rebuilds the index from the log and says what
// is torn, damaged, missing or left over; open() and check() both stand on it, and settle() is what
// open() then does about it.
//
// Promise: every commit that was acknowledged is in the index unless it is told as damage; of a
// commit nothing is there without the rest. Reading twice gives the same.
// Failure: NewerVersion; DiskFailing when a directory or file cannot be opened.
// Threads: one task, best inside Worker::run (it reads the whole log).

#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "spool/error.h"
#include "spool/index.h"
#include "spool/patient_file.h"
#include "spool/payload.h"
#include "spool/scan.h"
#include "spool/spool.h"

namespace postrider::spool {

struct SegmentFile {
    uint32_t number = 0;
    std::string path;
    uint64_t size = 0;
    bool header_held = false;
    bool known = false;             // stamp is known, from the header or the first record
    bool unreadable_whole = false;  // neither holds, and it is not empty
    Stamp stamp;
    SegmentScan scan;
    std::vector<Gap> damage;  // new ones
};

struct SpoolImage {
    std::vector<SegmentFile> in_use;  // by generation, ascending
    std::vector<SegmentFile> free;    // may be used again at once
    Index index;
    std::map<uint64_t, EndedItem> ended;  // by generation, as the log tells it
    std::vector<EndedItem> to_tell;       // for the first record of the next segment
    uint64_t generation_max = 0;
    uint32_t number_max = 0;
    uint64_t oldest = 0;
    int reads_again = kReadsAgainMax;  // refused reads that may still be tried again
    SpoolReport report;
};

// REQUIRES: `world` and `directory` outlive the task.
Task<SpoolResult<SpoolImage>> read_spool(world::World& world, const std::string& directory);

// Keeps the damaged stretches in damaged/, and removes large files that nothing needs (or keeps
// them too, when there was damage). Fills in Damage::kept_as.
Task<SpoolStatus> settle(world::World& world, const std::string& directory, SpoolImage& image);

// Copies [offset, offset + octets) of `path` to damaged/name.bytes with a text beside it; answers
// the copy's path. Durable.
Task<SpoolResult<std::string>> keep_damaged(world::World& world, std::string directory,
                                            std::string name, std::string path, uint64_t offset,
                                            uint64_t octets, std::string reason);

// The names inside the directory.
std::string segments_path(const std::string& directory);
std::string segment_path(const std::string& directory, uint32_t number);
std::string large_path(const std::string& directory);
std::string large_path(const std::string& directory, MessageId id);
std::string damaged_path(const std::string& directory);

}  // namespace postrider::spool
