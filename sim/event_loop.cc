#include "sim/event_loop.h"

#include <algorithm>
#include <cassert>

namespace postrider::sim {

namespace {

constexpr Duration kStepMin = std::chrono::nanoseconds(50);
constexpr Duration kStepMax = std::chrono::nanoseconds(1500);

}  // namespace

// For a heap whose top is the earliest.
bool EventLoop::after(const Later& a, const Later& b) {
    if (a.moment != b.moment) return a.moment > b.moment;
    if (a.tie != b.tie) return a.tie > b.tie;
    return a.sequence > b.sequence;
}

bool EventLoop::step(Monotonic limit) {
    assert(!is_running_);
    for (;;) {
        collect_due();
        if (!ready_outside_.empty()) {
            Ready ready = std::move(ready_outside_.front());
            ready_outside_.pop_front();
            if (ready.cancellation && ready.cancellation->cancelled) continue;
            run(kOutside, std::move(ready.work));
            return true;
        }
        if (!ready_places_.empty()) {
            std::size_t index = std::size_t(random_.below(ready_places_.size()));
            PlaceId id = ready_places_[index];
            Place& place = places_[std::size_t(id)];
            Ready ready = std::move(place.ready.front());
            place.ready.pop_front();
            if (place.ready.empty()) {
                place.is_listed = false;
                ready_places_.erase(ready_places_.begin() + std::ptrdiff_t(index));
            }
            if (ready.cancellation && ready.cancellation->cancelled) continue;
            run(id, std::move(ready.work));
            return true;
        }
        if (later_.empty() || later_.front().moment > limit) {
            now_ = std::max(now_, limit);
            return false;
        }
        now_ = std::max(now_, later_.front().moment);
    }
}

// Moves what is due to the queue of its place.
void EventLoop::collect_due() {
    while (!later_.empty() && later_.front().moment <= now_) {
        std::pop_heap(later_.begin(), later_.end(), after);
        Later due = std::move(later_.back());
        later_.pop_back();
        if (due.cancellation && due.cancellation->cancelled) continue;
        if (due.place == kOutside) {
            ready_outside_.push_back({std::move(due.work), std::move(due.cancellation)});
        } else {
            places_[std::size_t(due.place)].ready.push_back(
                {std::move(due.work), std::move(due.cancellation)});
            list_if_ready(due.place);
        }
    }
}

void EventLoop::run(PlaceId place, Work work) {
    steps_++;
    trace_.mix(Trace::Event, uint64_t(int64_t(place)), uint64_t(now_.ns));
    current_ = place;
    is_running_ = true;
    work();
    work = nullptr;  // its captures may still call the loop
    is_running_ = false;
    current_ = kOutside;
    for (std::size_t i = 0; i < after_current_.size(); i++) {
        Work next = std::move(after_current_[i]);
        next();
    }
    after_current_.clear();
    now_ = now_ + random_.between(kStepMin, kStepMax);
}

void EventLoop::post(PlaceId place, Work work) {
    Place& target = places_[std::size_t(place)];
    if (!target.is_open) return;
    target.ready.push_back({std::move(work), nullptr});
    list_if_ready(place);
}

void EventLoop::at(Monotonic moment, PlaceId place, Work work,
                   std::shared_ptr<Cancellation> cancellation) {
    if (place != kOutside && !places_[std::size_t(place)].is_open) return;
    if (later_.size() >= sweep_at_) sweep_cancelled();
    later_.push_back({std::max(moment, now_), random_.next(), sequence_++, place, std::move(work),
                      std::move(cancellation)});
    std::push_heap(later_.begin(), later_.end(), after);
}

// Deadlines are mostly cancelled long before their moment; this keeps the heap small.
void EventLoop::sweep_cancelled() {
    std::erase_if(later_, [](const Later& later) {
        return later.cancellation && later.cancellation->cancelled;
    });
    std::make_heap(later_.begin(), later_.end(), after);
    sweep_at_ = std::max<std::size_t>(1024, 2 * later_.size());
}

void EventLoop::after_current(Work work) {
    if (is_running_) {
        after_current_.push_back(std::move(work));
    } else {
        work();
    }
}

PlaceId EventLoop::add_place() {
    places_.emplace_back();
    return PlaceId(places_.size()) - 1;
}

void EventLoop::open(PlaceId place) { places_[std::size_t(place)].is_open = true; }

void EventLoop::close(PlaceId place) {
    Place& closed = places_[std::size_t(place)];
    closed.is_open = false;
    if (closed.is_listed) std::erase(ready_places_, place);
    closed.is_listed = false;
    // Destroyed at the end, when the loop is whole again: captures may call it.
    std::deque<Ready> dropped = std::exchange(closed.ready, {});
    std::vector<Later> dropped_later;
    std::vector<Later> kept;
    for (Later& later : later_) {
        (later.place == place ? dropped_later : kept).push_back(std::move(later));
    }
    later_ = std::move(kept);
    std::make_heap(later_.begin(), later_.end(), after);
}

void EventLoop::hold(PlaceId place) {
    Place& held = places_[std::size_t(place)];
    held.is_held = true;
    if (held.is_listed) std::erase(ready_places_, place);
    held.is_listed = false;
}

void EventLoop::release(PlaceId place) {
    places_[std::size_t(place)].is_held = false;
    list_if_ready(place);
}

void EventLoop::list_if_ready(PlaceId place) {
    Place& target = places_[std::size_t(place)];
    if (target.is_listed || target.is_held || target.ready.empty()) return;
    target.is_listed = true;
    ready_places_.push_back(place);
}

}  // namespace postrider::sim
