#include "world/real/real_world.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdint>

#include "world/real/system_words.h"

namespace postrider::world::real {

namespace {

// For each signal that is watched the descriptor that its handler counts in.
std::array<std::atomic<int>, NSIG> counters;

void count_signal(int signo) {
    int kept = errno;
    uint64_t one = 1;
    int counter = counters[static_cast<std::size_t>(signo)].load(std::memory_order_relaxed);
    [[maybe_unused]] ssize_t written = ::write(counter, &one, sizeof one);
    errno = kept;
}

}  // namespace

struct RealWorld::SignalWatch final : Watched {
    Loop& loop;
    const int signo;
    std::move_only_function<void()> callback;
    Fd counter{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    struct sigaction before{};

    SignalWatch(Loop& where, int which, std::move_only_function<void()> call)
        : loop(where), signo(which), callback(std::move(call)) {}
    SignalWatch(const SignalWatch&) = delete;
    SignalWatch& operator=(const SignalWatch&) = delete;
    ~SignalWatch() {
        if (!counter) return;
        ::sigaction(signo, &before, nullptr);
        loop.unwatch(counter.get(), *this);
    }

    // Zero, or what the system said.
    int begin() {
        if (!counter || !loop.watch(counter.get(), *this)) return errno;
        counters[static_cast<std::size_t>(signo)] = counter.get();
        struct sigaction action{};
        action.sa_handler = count_signal;
        action.sa_flags = SA_RESTART;
        return ::sigaction(signo, &action, &before) == 0 ? 0 : errno;
    }

    void handle_events(uint32_t /*events*/) override {
        uint64_t count = 0;
        if (::read(counter.get(), &count, sizeof count) != sizeof count) return;
        for (; count > 0; count--) callback();
    }
};

RealWorld::RealWorld(RealOptions options, Log& log)
    : options_(std::move(options)),
      log_(log),
      executor_(options_.shards, options_.rings),
      resolver_(options_.resolver, executor_, clock_, executor_.loop(0)) {
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
    if (signo <= 0 || signo >= NSIG) return fail(fmt::format("there is no signal {}", signo));
    auto watch = std::make_unique<SignalWatch>(executor_.loop(0), signo, std::move(callback));
    if (int error = watch->begin(); error != 0) {
        return fail(fmt::format("signal {} cannot be watched: {}", signo, system_words(error)));
    }
    signals_.push_back(std::move(watch));
    return {};
}

}  // namespace postrider::world::real
