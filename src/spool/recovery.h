// spool/recovery.h: what must be known of a spool's directory before anything is written into it.
//
// The problem: the process or the machine stopped at any moment, perhaps in the middle of a write,
// perhaps with sectors gone bad since. Mail is taken again as soon as three things are known: where
// the log ended, which segments are free, and which ids were given out. For those the first record
// of each segment is read, and the whole of the few whose end no later segment tells: a second's
// work however much waits. What waits is found out behind it (replay.h).
//
// Promise: reading changes nothing, and reading twice gives the same. What read_ends() calls free
// holds nothing that counts; no id above report.highest_id was ever stored.
// Failure: NewerVersion; DiskFailing when a directory or file cannot be opened.
// Threads: one task, best inside Worker::run.

#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "spool/error.h"
#include "spool/patient_file.h"
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
    bool unended = false;  // no later segment says where it ended: it was scanned
    SegmentScan scan;      // if so
};

struct SpoolImage {
    std::vector<SegmentFile> in_use;       // by generation, ascending
    std::vector<SegmentFile> free;         // may be used again at once
    std::map<uint64_t, EndedItem> ended;   // by generation; there is one for each in use
    std::vector<EndedItem> to_tell;        // for the first record of the next segment
    std::vector<std::string> large_names;  // what lies in large/
    uint64_t generation_max = 0;
    uint32_t number_max = 0;
    uint64_t oldest = 0;
    int reads_again = kReadsAgainMax;  // refused reads that may still be tried again
    SpoolReport report;                // without what replay.h counts
};

// In one Ended item; more are told again at the next start.
inline constexpr std::size_t kGapsToldMax = 512;

// Why a stretch is told as damage.
inline constexpr std::string_view kNoRecord = "no valid record where one was durable";

// REQUIRES: `world` and `directory` outlive the task.
Task<SpoolResult<SpoolImage>> read_ends(world::World& world, const std::string& directory);

// What open() does about it: keeps the damaged stretches in damaged/ and makes sure that what was
// read is durable. Fills in Damage::kept_as.
Task<SpoolStatus> settle_ends(world::World& world, const std::string& directory, SpoolImage& image);

// For reading; asks again as long as `reads_again` lasts, which outlives the file.
Task<world::DiskResult<std::unique_ptr<world::File>>> open_patiently(world::World& world,
                                                                     const std::string& path,
                                                                     int& reads_again);

// Copies [offset, offset + octets) of `path` to damaged/name.bytes with a text beside it; answers
// the copy's path. Durable.
Task<SpoolResult<std::string>> keep_damaged(world::World& world, std::string directory,
                                            std::string name, std::string path, uint64_t offset,
                                            uint64_t octets, std::string reason);
// All of these; what could be copied has kept_as then.
Task<void> keep_all_damaged(world::World& world, const std::string& directory,
                            std::span<Damage> all);

// The names inside the directory.
std::string segments_path(const std::string& directory);
std::string segment_path(const std::string& directory, uint32_t number);
std::string large_path(const std::string& directory);
std::string large_path(const std::string& directory, MessageId id);
std::string damaged_path(const std::string& directory);

}  // namespace postrider::spool
