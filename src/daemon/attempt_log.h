// daemon/attempt_log.h: the last attempts of each message, with their dialogues, for "why?".
//
// Kept in memory and bounded as a whole: when it is full the oldest attempts are forgotten. What
// became of each recipient is in the spool and in the log; this is the detail behind it.
//
// Threads: shard 0's.

#pragma once

#include <cstddef>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/id.h"
#include "base/time.h"
#include "mail/attempt.h"

namespace postrider::daemon {

struct AttemptRecord {
    Wall at;              // when it ended
    uint32_t number = 0;  // from 1
    std::string site;
    std::vector<RecipientResult> results;
    std::string dialogue;  // "C: ..." and "S: ..." lines; empty for local deliveries
};

class AttemptLog {
public:
    static constexpr std::size_t kOctetsMax = 16 * 1024 * 1024;
    static constexpr std::size_t kPerMessageMax = 20;
    static constexpr std::size_t kRecordsMax = 100'000;

    void add(MessageId id, AttemptRecord record);

    // Oldest first; empty when nothing is remembered.
    const std::deque<AttemptRecord>* of(MessageId id) const;

    std::size_t octets() const { return octets_; }

private:
    void drop_oldest();
    static std::size_t octets_of(const AttemptRecord& record);

    std::unordered_map<MessageId, std::deque<AttemptRecord>> records_;
    std::deque<MessageId> order_;  // one for each record, oldest first
    std::size_t octets_ = 0;
};

}  // namespace postrider::daemon
