// world/real/answer_cache.h: answers of DNS that are still good.
//
// The problem: libunbound has a cache, but a question to it costs a journey to its thread and back;
// a busy relay asks the same few names all day.
//
// Promise
//   1. An answer is given for its TTL, at most kAnswerKeptMax, with what is left of it. One whose
//      TTL is 0, and a Temporary one, is not kept.
//   2. At most `entries_max` are kept: the one that was put in first goes first.
//
// Threads: one owner. Time is an argument.

#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <optional>
#include <unordered_map>

#include "base/time.h"
#include "dns/answer.h"

namespace postrider::world::real {

inline constexpr Duration kAnswerKeptMax = std::chrono::hours(1);

class AnswerCache {
public:
    explicit AnswerCache(std::size_t entries_max) : entries_max_(entries_max) {}

    std::optional<dns::Answer> find(const dns::Question& question, Monotonic now);
    void put(const dns::Question& question, const dns::Answer& answer, Monotonic now);
    std::size_t size() const { return entries_.size(); }

private:
    struct Entry {
        dns::Answer answer;
        Monotonic stored;
        Monotonic until;
        std::list<dns::Question>::iterator age;
    };

    const std::size_t entries_max_;
    std::unordered_map<dns::Question, Entry> entries_;
    std::list<dns::Question> ages_;  // oldest first
};

}  // namespace postrider::world::real
