#include "base/id.h"

#include <algorithm>

namespace postrider {

namespace {
constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
}

std::string MessageId::text() const {
    std::string out(kTextOctets, '0');
    uint64_t rest = value;
    for (auto it = out.rbegin(); it != out.rend(); ++it, rest >>= 5) *it = kDigits[rest & 31];
    return out;
}

std::optional<MessageId> MessageId::parse(std::string_view text) {
    if (text.size() != kTextOctets) return std::nullopt;
    uint64_t value = 0;
    for (char c : text) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        std::size_t digit = kDigits.find(c);
        if (digit == std::string_view::npos || value >> 59 != 0) return std::nullopt;
        value = value << 5 | digit;
    }
    return MessageId{value};
}

MessageIdSource::MessageIdSource(int shard, MessageId floor)
    : shard_(static_cast<uint64_t>(shard)), last_us_(floor.value >> 8) {}

MessageId MessageIdSource::next(Wall now) {
    last_us_ = std::max(last_us_ + 1, static_cast<uint64_t>(std::max<int64_t>(now.us, 0)));
    return {last_us_ << 8 | shard_};
}

}  // namespace postrider
