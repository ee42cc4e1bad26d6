// mailauth/dkim/key_cache.h: keys that were read lately, by the name they stand at.
//
// The problem: a few large senders sign most mail with the same few keys, and reading a key costs
// more than a small message's hash. Answers stay as long as DNS allows, but for an upper bound; the
// one not used for longest goes when there are too many. What DNS could not tell is not kept.
//
// Failure: none; what is not there is asked for again.
// Threads: one owner (a shard); what it hands out may be used anywhere.

#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <unordered_map>

#include "base/time.h"
#include "dns/name.h"
#include "mailauth/dkim/key_record.h"

namespace postrider::mailauth::dkim {

class KeyCache {
public:
    // A key with its name takes about 1.5 KiB.
    explicit KeyCache(std::size_t answers_max = 4096) : answers_max_(answers_max) {}

    // What stands at the name, or null when it is not known or too old.
    std::shared_ptr<const KeyAnswer> find(const dns::Name& name, Monotonic now);

    void store(const dns::Name& name, std::shared_ptr<const KeyAnswer> answer, Monotonic now);

    std::size_t size() const { return entries_.size(); }

private:
    static constexpr std::chrono::hours kKeptMax{24};

    struct Entry {
        dns::Name name;
        std::shared_ptr<const KeyAnswer> answer;
        Monotonic until;
    };
    using Entries = std::list<Entry>;

    void drop(Entries::iterator entry);

    std::size_t answers_max_;
    Entries entries_;  // the one used last stands first
    std::unordered_map<std::string_view, Entries::iterator> places_;  // views into entries_
};

}  // namespace postrider::mailauth::dkim
