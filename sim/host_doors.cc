#include "sim/host_doors.h"

#include <fmt/format.h>

#include <cassert>
#include <iterator>

#include "sim/host_state.h"

namespace postrider::sim {

namespace {

// What a timer shares with the loop's event: either may be gone first.
struct TimerState : Cancellation {
    std::move_only_function<void()> work;
};

class SimTimer : public world::Timer {
public:
    explicit SimTimer(std::shared_ptr<TimerState> state) : state_(std::move(state)) {}
    ~SimTimer() override {
        state_->cancelled = true;
        state_->work = nullptr;
    }

private:
    std::shared_ptr<TimerState> state_;
};

constexpr Duration kWorkerDelayMin = std::chrono::microseconds(1);
constexpr Duration kWorkerDelayMax = std::chrono::microseconds(300);

}  // namespace

Monotonic SimClock::now() const { return host_.now(); }
Wall SimClock::wall() const { return host_.wall(); }

std::unique_ptr<world::Timer> SimClock::call_at(Monotonic moment,
                                                std::move_only_function<void()> work) {
    auto state = std::make_shared<TimerState>();
    state->work = std::move(work);
    auto fire = [state] {
        // Out of the state first: the work may destroy its own timer.
        auto moved = std::move(state->work);
        moved();
    };
    host_.at(moment, host_.current_place(), std::move(fire), state);
    return std::make_unique<SimTimer>(std::move(state));
}

int SimExecutor::shard_count() const { return int(host_.places.size()); }
world::ShardId SimExecutor::current_shard() const { return host_.current_shard(); }

void SimExecutor::post_to(world::ShardId shard, std::move_only_function<void()> work) {
    assert(shard >= 0 && shard < shard_count());
    host_.loop.post(host_.places[std::size_t(shard)], std::move(work));
}

void SimExecutor::resume_on(world::ShardId shard, std::coroutine_handle<> waiting) {
    assert(shard >= 0 && shard < shard_count());
    host_.loop.post(host_.places[std::size_t(shard)], [waiting] { waiting.resume(); });
}

void SimExecutor::spawn(Task<void> task) { host_.start(host_.current_shard(), std::move(task)); }

void SimWorker::enter(std::coroutine_handle<> waiting) {
    host_.loop.at(host_.loop.now() + host_.random.between(kWorkerDelayMin, kWorkerDelayMax),
                  host_.current_place(), [waiting] { waiting.resume(); });
}

world::Executor& SimWorker::executor() { return host_.executor; }

void SimLog::write(Event event, std::span<const LogField> fields) {
    std::string text;
    for (const LogField& field : fields) {
        if (!text.empty()) text += ' ';
        std::visit(
            [&](const auto& v) { fmt::format_to(std::back_inserter(text), "{}={}", field.key, v); },
            field.value);
    }
    host_.loop.trace().mix(Trace::Log, uint64_t(host_.index));
    host_.loop.trace().mix(info(event).name);
    host_.loop.trace().mix(text);
    counts[static_cast<std::size_t>(info(event).level)]++;
    if (lines.size() >= Host::kLogLinesMax) lines.pop_front();
    lines.push_back({host_.loop.now(), event, std::move(text)});
    if (on_line) on_line(lines.back());
}

}  // namespace postrider::sim
