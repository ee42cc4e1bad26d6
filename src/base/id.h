// base/id.h: the name of a message, for its whole life and in every log line about it.
//
// 64 bits: microseconds since 1970 shifted left by 8, and in the low 8 bits the shard that made it.
// Written as 13 letters and digits of Crockford's base 32 (no I, L, O, U), upper case, most
// significant first, so that ids sort by age as text too.
//
// Promise: an id is never used twice on one host, also when the clock goes back or an old spool is
// restored (MessageIdSource takes the highest id that was ever seen as its floor).
//
// Threads: a value; one MessageIdSource per shard.

#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace postrider {

struct MessageId {
    uint64_t value = 0;

    static constexpr std::size_t kTextOctets = 13;
    static std::optional<MessageId> parse(std::string_view text);  // either case
    std::string text() const;
    friend auto operator<=>(MessageId, MessageId) = default;
};

class MessageIdSource {
public:
    // REQUIRES: 0 <= shard < 256. Every id made is greater than `floor`.
    MessageIdSource(int shard, MessageId floor);

    MessageId next(Wall now);

private:
    uint64_t shard_;
    uint64_t last_us_;
};

}  // namespace postrider

template <>
struct std::hash<postrider::MessageId> {
    std::size_t operator()(postrider::MessageId id) const noexcept {
        return id.value * 0x9E3779B97F4A7C15u;  // low bits alone are the shard's
    }
};
