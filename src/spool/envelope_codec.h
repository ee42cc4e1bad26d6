// spool/envelope_codec.h: an envelope and the facts about its content as tagged fields.
//
// What comes later fits without a new format: unknown tags are skipped, missing ones have their
// zero value (docs/spool-format.md, "Message").
//
// Failure: decoding answers empty when the octets are not a message that we could have written:
// broken fields, no id, no recipient, too many recipients. Memory is bounded by the input's size
// and kRecipientsAfterExpansionMax. Pure. Threads: values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "mail/envelope.h"

namespace postrider::spool {

struct MessageFields {
    Envelope envelope;
    uint32_t header_octets = 0;
    bool has_8bit = false;
    uint64_t content_octets = 0;
    friend bool operator==(const MessageFields&, const MessageFields&) = default;
};

// Appends the fields of a Message item. REQUIRES: 1 to kRecipientsAfterExpansionMax recipients.
void encode_message(const Envelope& envelope, uint32_t header_octets, bool has_8bit,
                    uint64_t content_octets, std::string& out);
std::optional<MessageFields> decode_message(std::string_view fields);

}  // namespace postrider::spool
