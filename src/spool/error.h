// spool/error.h: why the spool refused, in words that say what the caller should answer.
//
// Threads: values.

#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "world/disk.h"

namespace postrider::spool {

struct SpoolError {
    enum class Kind : uint8_t {
        Full,            // no space for new messages: 452 4.3.1; service returns by itself
        Busy,            // too many octets wait for the disk: 452 4.3.1
        CallerDeadline,  // the caller's deadline passed before writing began; nothing is stored
        DiskFailing,     // writing or syncing failed: 451 4.3.0; tried again by itself
        TooLarge,        // does not fit into one record (many recipients, many messages): 552 5.3.4
        Damaged,         // what is stored cannot be read; it was set aside and the operator told
        NotFound,        // no such live message
        Recovering,      // perhaps a live message of an earlier life: recover() has not ended yet
        Locked,          // open(): another process has this spool
        NewerVersion,    // open(): written by a newer program; the message names both versions
        Closed,          // after close()
    };
    Kind kind = Kind::DiskFailing;
    std::string message;  // a sentence without a trailing full stop

    friend bool operator==(const SpoolError&, const SpoolError&) = default;
};

template <typename T>
using SpoolResult = Result<T, SpoolError>;
using SpoolStatus = Status<SpoolError>;

inline SpoolError from_disk(const world::DiskError& error) {
    using Disk = world::DiskError::Kind;
    using Kind = SpoolError::Kind;
    Kind kind = error.kind == Disk::Full       ? Kind::Full
                : error.kind == Disk::Locked   ? Kind::Locked
                : error.kind == Disk::NotFound ? Kind::NotFound
                                               : Kind::DiskFailing;
    return {kind, error.message};
}

}  // namespace postrider::spool
