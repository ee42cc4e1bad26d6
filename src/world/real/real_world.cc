#include "world/real/real_world.h"

#include <fmt/format.h>
#include <pthread.h>

#include <csignal>

#include "world/real/system_words.h"

namespace postrider::world::real {

struct RealWorld::SignalWatch {
    asio::signal_set signals;
    std::move_only_function<void()> callback;

    SignalWatch(asio::io_context& context, std::move_only_function<void()> call)
        : signals(context), callback(std::move(call)) {}

    void watch() {
        signals.async_wait([this](const boost::system::error_code& error, int) {
            if (error) return;
            watch();  // before the callback: a second signal is not lost
            callback();
        });
    }
};

RealWorld::RealWorld(RealOptions options, Log& log)
    : options_(std::move(options)),
      log_(log),
      executor_(options_.shards),
      resolver_(options_.resolver, executor_, clock_, executor_.loop(0).context()) {
    std::signal(SIGPIPE, SIG_IGN);
    std::signal(SIGXFSZ, SIG_IGN);
}

RealWorld::~RealWorld() = default;

World RealWorld::world() {
    return {.clock = clock_,
            .random = random_,
            .net = net_,
            .disk = disk_,
            .executor = executor_,
            .worker = workers_,
            .log = log_,
            .resolver = resolver_,
            .process = process_,
            .tls = tls_};
}

void RealWorld::run() {
    workers_.start(options_.workers);
    for (int shard = 1; shard < options_.shards; shard++) {
        threads_.emplace_back([this, shard] {
            pthread_setname_np(pthread_self(), fmt::format("shard{}", shard).c_str());
            executor_.loop(shard).run();
        });
    }
    executor_.loop(0).run();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
    workers_.stop();
    for (int shard = 0; shard < options_.shards; shard++) executor_.loop(shard).destroy_tasks();
}

void RealWorld::stop() {
    for (int shard = 0; shard < options_.shards; shard++) executor_.loop(shard).stop();
}

Status<Error> RealWorld::on_signal(int signo, std::move_only_function<void()> callback) {
    auto watch = std::make_unique<SignalWatch>(executor_.loop(0).context(), std::move(callback));
    boost::system::error_code error;
    watch->signals.add(signo, error);
    if (error) {
        return fail(
            fmt::format("signal {} cannot be watched: {}", signo, system_words(error.value())));
    }
    watch->watch();
    signals_.push_back(std::move(watch));
    return {};
}

}  // namespace postrider::world::real
