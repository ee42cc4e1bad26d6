#include "sim/internet/watch.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <string>

#include "queue/scheduler.h"

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

constexpr Duration kLateMax = 60s;
constexpr Duration kCatchingUp = 60s;
constexpr Duration kLookAgain = 100ms;
constexpr std::size_t kSlice = 100'000;
// Segments hold what is finished too, until they are used again; a few are prepared ahead.
constexpr uint64_t kDiskFactor = 4;
constexpr uint64_t kDiskBase = 24ull << 20;

uint64_t octets_below(FileSystem& files, const std::string& folder) {
    uint64_t sum = 0;
    auto found = files.find_directory(folder);
    if (!found) return 0;
    for (const auto& [name, inode] : (*found)->names) sum += inode->visible.size();
    return sum;
}

}  // namespace

void Watch::start() {
    net_.sim.call_after(kEvery, [this] {
        look();
        start();
    });
}

void Watch::look() {
    for (int server = 0; server < net_.server_count(); server++) look_at(server);
}

bool Watch::had_accident(const Host& host) const {
    Monotonic now = net_.sim.now();
    return std::ranges::any_of(net_.ledger.disturbances, [&](const Disturbance& one) {
        return (one.a == &host || one.b == &host || !one.a) && one.end >= now - kCatchingUp;
    });
}

void Watch::look_at(int server) {
    RiverHost& river = *net_.servers[std::size_t(server)];
    if (!river.host().is_up() || !river.is_open()) return;
    looks_++;
    const MemoryAccount& memory = river.river().memory();
    memory_peak_ = std::max(memory_peak_, memory.used());
    if (memory.used() > memory.limit()) {
        net_.ledger.violation(fmt::format("{} uses {} octets of memory, the limit is {}",
                                          net_.domain(server), memory.used(), memory.limit()));
    }
    FileSystem& files = river.host().disk().files();
    uint64_t disk = octets_below(files, "/data/spool/segments");
    disk_peak_ = std::max(disk_peak_, disk);
    uint64_t live = 0;
    for (const auto& [mark, letter] : net_.ledger.letters) {
        if (letter.through == server) live += letter.octets;
    }
    if (disk > kDiskBase + kDiskFactor * live) {
        net_.ledger.violation(fmt::format("{}: the spool takes {} octets for {} of mail",
                                          net_.domain(server), disk, live));
    }
    if (had_accident(river.host())) return;
    late_[std::size_t(server)] = late_entries(river);
    if (late_[std::size_t(server)].empty()) return;
    // A place that a job has just left is free for a moment: only who is late then too counts.
    net_.sim.call_after(kLookAgain, [this, server] { look_again(server); });
}

void Watch::look_again(int server) {
    RiverHost& river = *net_.servers[std::size_t(server)];
    if (!river.host().is_up() || !river.is_open() || had_accident(river.host())) return;
    auto before = std::move(late_[std::size_t(server)]);
    for (const auto& [entry, text] : late_entries(river)) {
        if (before.contains(entry)) net_.ledger.violation(net_.domain(server) + ": " + text);
    }
}

// What is due for longer than it should be though its site has a free place.
Watch::Late Watch::late_entries(RiverHost& river) {
    const queue::Scheduler& queue = river.river().dispatcher().scheduler();
    Monotonic now = river.host().world().clock.now();
    queue_peak_ = std::max(queue_peak_, queue.totals().entries);
    std::size_t active = queue.totals().active;
    auto places = static_cast<std::size_t>(queue.options().active_max);
    bool has_place = active < places;
    // Sites of which nothing good is known have a share of the places only.
    bool has_unproven_place =
        active < places * static_cast<std::size_t>(queue.options().active_unproven_percent) / 100;
    std::map<std::string, std::string, std::less<>> free_sites;  // with what they look like
    queue.visit_sites(
        [&](const queue::SiteView& site) {
            auto limits = queue.options().limits_of(site.site, site.kind);
            bool waits = site.suspended_until && *site.suspended_until + kLateMax > now;
            if (waits || site.active >= site.connections || limits.rate_messages > 0) return;
            bool unproven = site.delivered == 0 || site.failures > 0;
            if (unproven && !has_unproven_place) return;
            free_sites.emplace(
                site.site, fmt::format("{} of {} connections, {} ready, {} failures", site.active,
                                       site.connections, site.ready, site.failures));
        },
        now);
    Late late;
    std::optional<uint32_t> from = 0;
    while (from) {
        from = queue.scan(*from, kSlice, {}, now, [&](const queue::EntryView& entry) {
            auto site = free_sites.find(entry.site);
            bool ready =
                entry.state == queue::EntryState::Ready && has_place && site != free_sites.end();
            bool waits = ready || entry.state == queue::EntryState::Scheduled;
            if (!waits || entry.due + kLateMax >= now) return;
            late[{entry.handle.index, entry.handle.generation}] = fmt::format(
                "{} for {} waits {} s longer than it should, {}; {}; {} active",
                entry.message.text(), entry.site, (now - entry.due).count() / 1'000'000'000,
                ready ? "ready" : "scheduled", site == free_sites.end() ? "" : site->second,
                queue.totals().active);
        });
    }
    return late;
}

}  // namespace postrider::sim
