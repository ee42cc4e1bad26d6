// spool/payload.h: what a record says: a row of items (docs/spool-format.md, "Item").
//
// Pure: octets to values and back. Views in a parsed item look into the octets that were parsed.
//
// Failure: parse() answers empty when the payload is not one that we could have written; a record
// with such a payload is treated like one whose CRC does not hold.
// Threads: values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "mail/outcome.h"
#include "spool/envelope_codec.h"

namespace postrider::spool {

enum class ItemType : uint16_t {
    Message = 1,
    Content = 2,
    Large = 3,
    Change = 4,
    Attempt = 5,
    Ended = 6,
    Oldest = 7,
    Highest = 8,
};

// A message's content in a file of its own.
struct LargeFields {
    uint64_t size = 0;
    uint32_t block_octets = 0;
    std::vector<uint32_t> block_crcs;
    friend bool operator==(const LargeFields&, const LargeFields&) = default;
};

struct MessageItem {
    MessageFields fields;
    std::optional<std::string_view> content;  // either this
    std::optional<LargeFields> large;         // or this
};

struct AttemptItem {
    MessageId id;
    uint8_t count = 0;  // 0: one more
};

struct Gap {
    uint32_t from = 0;
    uint32_t to = 0;
    friend bool operator==(const Gap&, const Gap&) = default;
};

struct EndedItem {
    uint64_t generation = 0;
    uint32_t end = 0;
    std::vector<Gap> gaps;
    friend bool operator==(const EndedItem&, const EndedItem&) = default;
};

struct Payload {
    std::vector<MessageItem> messages;
    std::vector<RecipientChange> changes;
    std::vector<AttemptItem> attempts;
    std::vector<EndedItem> ended;
    std::optional<uint64_t> oldest;
    std::optional<MessageId> highest;
};

std::optional<Payload> parse_payload(std::string_view octets);

// Each appends one item.
void put_message(const Envelope& envelope, uint32_t header_octets, bool has_8bit,
                 uint64_t content_octets, std::string& out);
void put_large(const LargeFields& large, std::string& out);
void put_change(const RecipientChange& change, std::string& out);
void put_attempt(const AttemptItem& attempt, std::string& out);
void put_ended(const EndedItem& ended, std::string& out);
void put_oldest(uint64_t generation, std::string& out);
void put_highest(MessageId id, std::string& out);
// The header of a Content item; `octets` of content must follow.
void put_content_header(uint32_t octets, std::string& out);

}  // namespace postrider::spool
