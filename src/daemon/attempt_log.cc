#include "daemon/attempt_log.h"

namespace postrider::daemon {

void AttemptLog::add(MessageId id, AttemptRecord record) {
    octets_ += octets_of(record);
    order_.push_back(id);
    auto& records = records_[id];
    records.push_back(std::move(record));
    if (records.size() > kPerMessageMax) {
        // The first attempt is how it began; of the others the newest count.
        octets_ -= octets_of(records[1]);
        records.erase(records.begin() + 1);
    }
    while (octets_ > kOctetsMax || order_.size() > kRecordsMax) drop_oldest();
}

const std::deque<AttemptRecord>* AttemptLog::of(MessageId id) const {
    auto found = records_.find(id);
    return found == records_.end() ? nullptr : &found->second;
}

void AttemptLog::drop_oldest() {
    MessageId id = order_.front();
    order_.pop_front();
    auto found = records_.find(id);
    if (found == records_.end()) return;  // its record was dropped among its own
    octets_ -= octets_of(found->second.front());
    found->second.pop_front();
    if (found->second.empty()) records_.erase(found);
}

std::size_t AttemptLog::octets_of(const AttemptRecord& record) {
    std::size_t octets = sizeof(AttemptRecord) + record.site.size() + record.dialogue.size();
    for (const RecipientResult& result : record.results) {
        octets += sizeof(result) + result.reason.size() + result.detail.size() +
                  result.remote_host.size();
    }
    return octets;
}

}  // namespace postrider::daemon
