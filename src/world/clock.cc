#include "world/clock.h"

namespace postrider::world {

Task<void> Clock::sleep_until(Monotonic moment) {
    struct Sleep {
        Clock& clock;
        Monotonic moment;
        std::unique_ptr<Timer> timer = nullptr;
        bool await_ready() const { return false; }
        void await_suspend(std::coroutine_handle<> waiting) {
            timer = clock.call_at(moment, [waiting] { waiting.resume(); });
        }
        void await_resume() const {}
    };
    Sleep sleep{*this, moment};
    co_await sleep;
}

Task<void> Clock::sleep_for(Duration duration) { return sleep_until(now() + duration); }

}  // namespace postrider::world
