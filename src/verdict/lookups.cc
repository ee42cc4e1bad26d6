#include "verdict/lookups.h"

#include <algorithm>
#include <utility>

namespace postrider::verdict {

Lookups::Lookups(Doors doors, Duration time_max, std::function<void()> came)
    : doors_(doors),
      time_max_(time_max),
      came_(std::move(came)),
      answered_(doors.executor, doors.clock) {}

const dns::Answer* Lookups::want(const dns::Question& question) {
    auto [place, is_new] = answers_.try_emplace(question);
    if (is_new && came_) doors_.executor.spawn(ask(shared_from_this(), question));
    return place->second ? &*place->second : nullptr;
}

Task<void> Lookups::ask(std::shared_ptr<Lookups> self, dns::Question question) {
    Deadline deadline =
        std::min(Deadline::after(self->doors_.clock.now(), self->time_max_), self->end_);
    dns::Answer answer = co_await self->doors_.resolver.query(question, deadline);
    if (!self->came_) co_return;
    self->answers_[question] = std::move(answer);
    self->came_();
    self->answered_.notify_all();
}

Task<bool> Lookups::next_answer(Deadline deadline) { co_return co_await answered_.wait(deadline); }

void Lookups::stop() { came_ = nullptr; }

}  // namespace postrider::verdict
