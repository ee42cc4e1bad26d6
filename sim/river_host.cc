#include "sim/river_host.h"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <utility>

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

std::shared_ptr<const daemon::Config> loaded(std::string_view text) {
    auto no_files = [](const std::string&) -> Result<std::string> { return fail("no such file"); };
    auto config = daemon::load(text, "river_host", no_files);
    if (!config) {
        for (const auto& error : config.error()) fmt::print(stderr, "{}\n", error.text());
        std::abort();
    }
    return std::make_shared<const daemon::Config>(std::move(*config));
}

// Says what a pointer of this life is, and takes it back when the life ends, however it ends.
template <typename T>
class Shown {
public:
    Shown(T*& place, T* value) : place_(place) { place_ = value; }
    Shown(const Shown&) = delete;
    Shown& operator=(const Shown&) = delete;
    ~Shown() { place_ = nullptr; }

private:
    T*& place_;
};

}  // namespace

std::string river_config(std::string_view general, std::string_view smtp,
                         std::string_view min_free) {
    return fmt::format(R"(hostname = "mx.river.example"
data_directory = "/data"
{}
[[listener]]
address = "192.0.2.1:25"
[smtp]
relay_networks = ["192.0.2.0/24"]
unlimited_networks = ["0.0.0.0/0"]
{}
[spool]
segment_octets = "1 MiB"
min_free = "{}"
[[domain]]
name = "river.example"
mailboxes = ["alice", "bob", "carol"]
)",
                       general, smtp, min_free);
}

RiverHost::RiverHost(Simulation& sim, std::string_view config, int shards, std::string name,
                     std::string_view address)
    : sim_(sim),
      host_(sim.add_host(std::move(name), {*world::IpAddress::parse(address)}, shards)),
      config_(loaded(config)) {}

void RiverHost::boot() {
    stopped_ = false;
    stop_patience_.reset();
    open_error_.clear();
    host_.boot([this](world::World& world) { return run(world); });
}

// What an operator has done before: the disk's faults do not touch it.
Task<void> RiverHost::write_certificate(world::World& world) {
    if (config_->certificates.empty()) co_return;
    (void)co_await world.disk.make_directories("/tls");
    auto file = co_await world.disk.open(std::string(kCertificateFile), world::OpenMode::Create);
    if (!file) co_return;  // the river says why it does not open
    std::string text =
        sim_certificate(config_->hostname + "," + config_->hostname.substr(3)).chain_pem;
    std::array<std::string_view, 1> pieces{text};
    (void)co_await (*file)->write_at(0, pieces);
}

Task<void> RiverHost::run(world::World& world) {
    co_await write_certificate(world);
    auto opened = co_await daemon::River::open(world, {.config = config_});
    if (!opened) {
        open_error_ = opened.error().message;
        co_return;
    }
    std::unique_ptr<daemon::River> river = std::move(*opened);
    world::Signal stop_wanted(world.executor, world.clock);
    {
        Shown shown_river(river_, river.get());
        Shown shown_signal(stop_wanted_, &stop_wanted);
        while (!stop_patience_) co_await stop_wanted.wait(Deadline::never());
    }
    co_await river->stop(Deadline::after(world.clock.now(), *stop_patience_));
    stopped_ = true;
    // As in production, the river is destroyed after the tasks that may still use it.
    while (true) co_await stop_wanted.wait(Deadline::never());
}

void RiverHost::stop(Duration patience) {
    stop_patience_ = patience;
    host_.spawn(0, [this](world::World&) -> Task<void> {
        if (stop_wanted_) stop_wanted_->notify_all();
        co_return;
    });
}

std::optional<spool::SpoolStats> RiverHost::ask_spool() {
    auto answer = std::make_shared<std::optional<spool::SpoolStats>>();
    host_.spawn(0, [this, answer](world::World&) -> Task<void> {
        if (river_) *answer = co_await river_->spool().stats();
    });
    sim_.run_until([&] { return answer->has_value() || !host_.is_up(); }, 1min);
    return *answer;
}

bool RiverHost::run_until_empty(Duration limit) {
    Monotonic end = sim_.now() + limit;
    while (sim_.now() < end && host_.is_up()) {
        auto idle = [&] {
            return is_open() && river_->dispatcher().scheduler().totals().entries == 0;
        };
        if (!sim_.run_until(idle, end - sim_.now())) return false;
        // Entries of recovered messages come one by one: the spool knows how many there are.
        auto stats = ask_spool();
        if (stats && !stats->recovering && stats->live_messages == 0) return true;
        sim_.run_for(20ms);
    }
    return false;
}

}  // namespace postrider::sim
