// spool/scan.h: reads one segment back, record by record.
//
// The problem: after a crash the end of the log may be torn anywhere and in any order, and in the
// midst of it an octet may have changed. Each valid record is handed over in order; each stretch
// that holds none is listed, so that the caller can tell a torn tail from damage (it knows where
// the segment ended; docs/spool-format.md, "Reading it back").
//
// Invariant: memory is bounded by one record of the greatest size and a block, whatever is read.
// Failure: stretches that the disk cannot read are listed as unreadable; nothing stops the scan.
// Threads: one task's; pure but for the file.

#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "spool/payload.h"
#include "spool/record.h"
#include "world/disk.h"

namespace postrider::spool {

struct ScannedRecord {
    uint8_t type = 0;
    uint32_t offset = 0;
    uint32_t payload_octets = 0;
    uint32_t synced_to = 0;
    const Payload& payload;  // valid during the call
};

struct SegmentScan {
    uint32_t end = kSegmentHeaderOctets;  // after the last valid record
    uint32_t synced_floor = 0;            // the greatest synced_to of all records
    uint32_t torn_after = 0;              // octets of a record after `end` whose header alone holds
    uint8_t last_type = 0;
    uint64_t records = 0;
    std::vector<Gap> gaps;        // before `end`, in order
    std::vector<Gap> unreadable;  // what the disk refused to read
};

// Reads records from the header on up to `limit` octets (the segment's end, or its size).
// `handle` is called for each valid record, in order. All arguments must outlive the task.
Task<SegmentScan> scan_segment(world::File& file, uint64_t limit, Stamp stamp,
                               const std::function<void(const ScannedRecord&)>& handle);

// The first record's stamp, when it holds; for a segment whose header does not.
Task<std::optional<Stamp>> stamp_of_first_record(world::File& file);

}  // namespace postrider::spool
