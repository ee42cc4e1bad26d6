// daemon/entry_domains.h: to which domain each entry of the queue goes.
//
// The problem: an operator asks for one domain among a million entries, and the queue knows sites
// only, of which one may serve many domains. The message knows it, but is on the disk. So each
// entry has a number, and each domain's name is kept once, as long as an entry may bear its number.
//
// Domains are in lower case, as Mailbox has them. Threads: the dispatcher's shard.

#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "queue/scheduler.h"

namespace postrider::daemon {

class EntryDomains {
public:
    enum class Has : uint8_t {
        No,
        All,     // of its recipients
        Unknown  // ask the message
    };

    // A new entry; empty when its recipients have several domains.
    void note(queue::Handle handle, std::string_view domain);

    Has has(queue::Handle handle, std::string_view domain) const;

    // Names that are kept.
    std::size_t size() const { return numbers_.size(); }

private:
    static constexpr uint32_t kSeveral = 0;

    struct Mark {
        uint32_t generation = 0;
        uint32_t domain = kSeveral;  // its number
    };
    struct Domain {
        const std::string* name = nullptr;  // the key in numbers_; null = free
        uint32_t marks = 0;
    };

    uint32_t take(std::string_view domain);
    void give_back(uint32_t number);

    std::unordered_map<std::string, uint32_t> numbers_;
    std::vector<Domain> domains_{{}};  // by number; the first is nobody's
    std::vector<uint32_t> free_;
    std::vector<Mark> marks_;  // by the index of the queue's handle
};

}  // namespace postrider::daemon
