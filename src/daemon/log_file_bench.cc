// daemon/log_file_bench.cc: what a log line costs the thread that writes it.

#include "daemon/log_file.h"

#include <benchmark/benchmark.h>

namespace postrider::daemon {
namespace {

class SystemClock : public world::Clock {
public:
    Monotonic now() const override { return {}; }
    Wall wall() const override {
        auto now = std::chrono::system_clock::now().time_since_epoch();
        return {std::chrono::duration_cast<std::chrono::microseconds>(now).count()};
    }
    std::unique_ptr<world::Timer> call_at(Monotonic, std::move_only_function<void()>) override {
        return nullptr;
    }
};

void log_line(benchmark::State& state) {
    static SystemClock clock;
    static std::unique_ptr<LogFile> log;
    if (state.thread_index() == 0) {
        log = std::make_unique<LogFile>(
            LogOptions{},
            LineSink{.write = [](std::string_view) -> Status<> { return {}; },
                     .reopen = []() -> Status<> { return {}; }},
            clock);
        log->start();
    }
    for (auto _ : state) {
        log->write(Event::MessageAccepted, {{"id", "0D5XK3V7Q2M80"},
                                            {"session", int64_t{4711}},
                                            {"client", "192.0.2.1"},
                                            {"from", "someone@example.org"},
                                            {"recipients", int64_t{1}},
                                            {"octets", int64_t{10'240}}});
    }
    if (state.thread_index() == 0) {
        log->stop();
        state.counters["dropped"] = static_cast<double>(log->dropped());
    }
}
BENCHMARK(log_line);
BENCHMARK(log_line)->Threads(2);

}  // namespace
}  // namespace postrider::daemon
