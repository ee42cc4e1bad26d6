// spool/stored_message.h: a message that is durably stored, as the queue and delivery see it.
//
// A small message's content is shared in memory; a large one's lies in a file of its own and each
// reader opens it for itself, when it first reads.
//
// Invariant: envelope and content never change; recipients is the standing when it was read.
// Failure: a reader of a large message answers an error when the file is gone (the message was
// finished meanwhile) or an octet of it has changed (each block has a CRC in the log).
// Threads: immutable, shared between shards as std::shared_ptr<const ...>; a reader is one task's.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "mail/content.h"
#include "mail/envelope.h"
#include "mail/outcome.h"
#include "world/disk.h"

namespace postrider::spool {

// Where one recipient stands: the last RecipientChange, without what it was about.
struct Standing {
    RecipientState state = RecipientState::Waiting;
    EnhancedStatus status;
    uint32_t attempts = 0;
    Wall next_attempt;
    std::string reason;
    bool delay_told = false;  // the sender knows that it is late

    friend bool operator==(const Standing&, const Standing&) = default;
};

// Content in a file of its own: blocks of block_octets, the last one shorter, one CRC-32 for each.
struct LargeContent {
    std::string path;
    uint64_t size = 0;
    uint32_t block_octets = 0;
    std::vector<uint32_t> block_crcs;
};

struct StoredMessage {
    Envelope envelope;
    uint32_t header_octets = 0;        // length of the header block, with its empty line
    bool has_8bit = false;             // the content has octets above 127
    uint64_t content_octets = 0;       // without any variant's prefix
    std::vector<Standing> recipients;  // by recipient number

    // Exactly one of these two holds the content.
    std::shared_ptr<const std::string> inline_content;
    std::shared_ptr<const LargeContent> large_content;
};

// A reader of `message`'s content; it keeps alive what it needs of it. `disk` must outlive it.
std::unique_ptr<ContentReader> open_content(const StoredMessage& message, world::Disk& disk);

// At most `octets_max` octets from the beginning of the content; fewer when it cannot be read.
Task<std::string> read_beginning(const StoredMessage& message, world::Disk& disk,
                                 std::size_t octets_max);

}  // namespace postrider::spool
