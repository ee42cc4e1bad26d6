// verdict/lookups.h: the questions of one message, each asked once.
//
// The problem: SPF for two identities, up to ten DKIM keys and DMARC's walks ask the DNS for one
// message at the same time, often for the same name. Here each question is asked once and its
// answer serves all; whoever needs several asks them side by side.
//
// Promise
//   1. At most one question per name and type, whoever wants it and how often.
//   2. Every question has an answer by its deadline: Temporary when it passes.
//   3. Let go (stop()), it asks nothing more, and answers that come later go nowhere.
//
// Threads: one shard's. What is under way keeps it alive.

#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "base/task.h"
#include "dns/answer.h"
#include "world/clock.h"
#include "world/executor.h"
#include "world/resolver.h"
#include "world/signal.h"

namespace postrider::verdict {

// All that this room needs of the world.
struct Doors {
    world::Clock& clock;
    world::Executor& executor;
    world::Resolver& resolver;
};

class Lookups : public std::enable_shared_from_this<Lookups> {
public:
    // REQUIRES: the doors outlive it. `came` is called behind each answer, never inside a call of
    // want().
    Lookups(Doors doors, Duration time_max, std::function<void()> came);

    // The answer, or null after the question was put, now or earlier.
    const dns::Answer* want(const dns::Question& question);

    // No look-up that begins from now on lasts longer than this.
    void end_at(Deadline deadline) { end_ = deadline; }

    // Returns behind the next answer: true; or at the deadline: false.
    Task<bool> next_answer(Deadline deadline);

    void stop();

    std::size_t asked() const { return answers_.size(); }

private:
    static Task<void> ask(std::shared_ptr<Lookups> self, dns::Question question);

    Doors doors_;
    Duration time_max_;
    Deadline end_ = Deadline::never();
    std::function<void()> came_;
    std::map<dns::Question, std::optional<dns::Answer>> answers_;
    world::Signal answered_;
};

}  // namespace postrider::verdict
