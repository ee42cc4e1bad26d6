#include "sim/internet/faults.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

namespace postrider::sim {

namespace {

using namespace std::chrono_literals;

constexpr const char* kSpool = "/data/spool";
constexpr Duration kDownMax = 50ms;            // between a crash and the next start
constexpr Duration kSoonAfterStart = 3s;       // of a crash loop
constexpr Duration kStopped = 200ms;           // until somebody looks whether it has
constexpr Duration kSupervisorPatience = 60s;  // then it is killed
constexpr int kLooksForWork = 300;
constexpr Duration kLookStep = 100us;
constexpr uint64_t kPageOctets = 4096;
constexpr Duration kSyncForEver = 150s;

// Every file below a directory, with its content as programs see it.
void read_files(FileSystem& files, const std::string& folder,
                std::map<std::string, std::string>& out) {
    auto found = files.find_directory(folder);
    if (!found) return;
    for (const auto& [name, inode] : (*found)->names) {
        std::string path = fmt::format("{}/{}", folder, name);
        if (inode->is_directory) {
            read_files(files, path, out);
        } else {
            out[path] = files.visible_text(path).value_or("");
        }
    }
}

void make_file(FileSystem& files, const std::string& path, const std::string& octets, Wall now) {
    auto file = files.open(path, world::OpenMode::Create, now);
    if (!file) return;
    std::ignore = files.truncate(**file, 0, now);
    std::ignore = files.write(**file, 0, octets, now);
    files.sync(**file, files.mark());
    files.close(*file, files.life());
}

}  // namespace

Faults::Faults(const Scenario& scenario, Internet& net)
    : how_(scenario), net_(net), random_(net.sim.seed(), /*label=*/0xFA17) {
    net_.on_poison = [this](int server) {
        if (server < 0 || !host(server).is_up()) return;
        crash(server, FaultKind::Kill);
        come_back(server, random_.between(1ms, kDownMax));
    };
}

void Faults::start() {
    on_ = true;
    turn_++;
    for (const FaultPlan& plan : how_.faults) schedule(plan);
}

void Faults::stop() {
    on_ = false;
    turn_++;
    std::vector<uint64_t> numbers;
    for (const auto& [number, going] : going_) {
        if (going.undo) numbers.push_back(number);
    }
    for (uint64_t number : numbers) undo(number);
    backups_.clear();  // what is settled by now would come back
}

void Faults::schedule(const FaultPlan& plan) {
    net_.sim.call_after(random_.between(Duration{}, 2 * plan.every), [this, &plan, turn = turn_] {
        if (turn != turn_) return;
        happen(plan);
        schedule(plan);
    });
}

void Faults::happen(const FaultPlan& plan) {
    int server = int(random_.below(uint64_t(net_.server_count())));
    Duration lasts = random_.between(Duration(1ms), std::max(plan.lasts, Duration(1ms)));
    bool up = host(server).is_up() && net_.servers[std::size_t(server)]->is_open();
    if (plan.kind <= FaultKind::Backup && !up) return;  // it has its trouble
    counts_[std::size_t(plan.kind)]++;
    switch (plan.kind) {
        case FaultKind::PowerLoss:
        case FaultKind::Kill:
            return crash_soon(server, plan.kind, lasts, random_.chance(700) ? kLooksForWork : 0);
        case FaultKind::Stop:
            return stop_in_order(server, lasts);
        case FaultKind::CrashLoop:
            return crash_loop(server, 4);
        case FaultKind::Suspend:
            host(server).suspend(
                lasts, random_.chance(500) ? SuspendedClock::Stops : SuspendedClock::GoesOn);
            // A sleeping machine is not woken by the end of the accidents.
            return last_for(plan.kind, &host(server), nullptr, lasts + 1min, nullptr);
        case FaultKind::ClockJump:
            host(server).jump_wall(random_.between(Duration{}, 2 * plan.lasts) - plan.lasts);
            net_.ledger.books[std::size_t(server)].jumps++;
            return last_for(plan.kind, &host(server), nullptr, 1min, [] {});
        case FaultKind::DiskFull:
        case FaultKind::DiskSlow:
        case FaultKind::DiskFails:
        case FaultKind::DiskReadFails:
        case FaultKind::BitRot:
        case FaultKind::Backup:
            return happen_to_disk(plan, server, lasts);
        case FaultKind::Cut:
        case FaultKind::Partition:
        case FaultKind::Reset:
            return happen_to_net(plan, server, lasts);
        case FaultKind::BlackHole:
        case FaultKind::Manners:
            return happen_to_foreign(plan, lasts);
        case FaultKind::DnsDown:
        case FaultKind::DnsFails:
        case FaultKind::DnsChanges:
        case FaultKind::DnsLies:
            return happen_to_dns(plan, lasts);
    }
}

void Faults::happen_to_disk(const FaultPlan& plan, int server, Duration lasts) {
    Host& machine = host(server);
    DiskFaults& disk = machine.disk_faults();
    switch (plan.kind) {
        case FaultKind::DiskFull: {
            uint64_t left = random_.below(random_.chance(500) ? 600 : 60) * kPageOctets;
            disk.capacity = machine.disk().files().used_pages() * kPageOctets + left;
            return last_for(plan.kind, &machine, nullptr, lasts,
                            [&disk] { disk.capacity = DiskFaults{}.capacity; });
        }
        case FaultKind::DiskSlow: {
            disk.operation_max = 20ms;
            disk.sync_max = random_.chance(200) ? kSyncForEver : random_.between(100ms, 2s);
            // A sync that has begun may last longer than the accident.
            last_for(plan.kind, &machine, nullptr, lasts + disk.sync_max, nullptr);
            return last_for(plan.kind, &machine, nullptr, lasts, [&disk] {
                disk.operation_max = DiskFaults{}.operation_max;
                disk.sync_max = DiskFaults{}.sync_max;
            });
        }
        case FaultKind::DiskFails:
            disk.fail_next_syncs = static_cast<uint32_t>(1 + random_.below(4));
            disk.fail_next_writes = static_cast<uint32_t>(random_.below(2));
            return last_for(plan.kind, &machine, nullptr, lasts,
                            [&disk] { disk.fail_next_syncs = disk.fail_next_writes = 0; });
        case FaultKind::DiskReadFails:
            disk.fail_next_reads = static_cast<uint32_t>(1 + random_.below(6));
            return last_for(plan.kind, &machine, nullptr, lasts,
                            [&disk] { disk.fail_next_reads = 0; });
        case FaultKind::BitRot:
            return rot(server);
        default:
            return backups_.contains(server) ? restore(server) : back_up(server);
    }
}

void Faults::happen_to_net(const FaultPlan& plan, int server, Duration lasts) {
    Network& net = net_.sim.net();
    Host& machine = host(server);
    std::vector<Host*> others;
    others.reserve(net_.servers.size());
    for (auto& one : net_.servers) others.push_back(&one->host());
    std::erase(others, &machine);
    std::size_t neighbours = others.size();
    for (std::size_t i = 0; i < net_.foreign_domains.size(); i++) {
        others.push_back(&net_.foreign[i]->host());
    }
    if (others.empty()) return;
    bool draws_neighbour = neighbours > 0 && random_.chance(500);
    Host& other = *others[random_.below(draws_neighbour ? neighbours : others.size())];
    switch (plan.kind) {
        case FaultKind::Cut:
            net.cut(machine, other);
            return last_for(plan.kind, &machine, &other, lasts,
                            [&net, &machine, &other] { net.heal(machine, other); });
        case FaultKind::Reset:
            net.reset_between(machine, other);
            return last_for(plan.kind, &machine, &other, 1ms, [] {});
        default:  // Partition
            for (Host* one : others) net.cut(machine, *one);
            return last_for(plan.kind, &machine, nullptr, lasts, [&net, &machine, others] {
                for (Host* one : others) net.heal(machine, *one);
            });
    }
}

void Faults::happen_to_foreign(const FaultPlan& plan, Duration lasts) {
    if (net_.foreign_domains.empty()) return;
    ForeignHost& far = *net_.foreign[random_.below(net_.foreign_domains.size())];
    if (is_going(plan.kind, &far.host())) return;
    if (plan.kind == FaultKind::Manners) {
        Manners before = far.manners;
        auto words = manner_words();
        add_manner(far.manners, words[random_.below(words.size())]);
        return last_for(plan.kind, &far.host(), nullptr, lasts,
                        [&far, before] { far.manners = before; });
    }
    // Nothing of ours reaches it.
    Network& net = net_.sim.net();
    for (auto& one : net_.servers) net.cut(one->host(), far.host());
    last_for(plan.kind, &far.host(), nullptr, lasts, [this, &net, &far] {
        for (auto& one : net_.servers) net.heal(one->host(), far.host());
    });
}

void Faults::happen_to_dns(const FaultPlan& plan, Duration lasts) {
    if (is_going(plan.kind, nullptr)) return;
    Dns& dns = net_.sim.dns();
    switch (plan.kind) {
        case FaultKind::DnsDown:
            dns.faults.is_down = true;
            return last_for(plan.kind, nullptr, nullptr, lasts,
                            [&dns] { dns.faults.is_down = false; });
        case FaultKind::DnsFails:
            dns.faults.servfails_per_1000 = 200;
            dns.faults.timeouts_per_1000 = 100;
            return last_for(plan.kind, nullptr, nullptr, lasts, [&dns] {
                dns.faults.servfails_per_1000 = dns.faults.timeouts_per_1000 = 0;
            });
        default:
            break;
    }
    if (net_.foreign_domains.empty()) return;
    std::size_t which = random_.below(net_.foreign_domains.size());
    const std::string& domain = net_.foreign_domains[which];
    if (plan.kind == FaultKind::DnsChanges) {
        net_.point(domain, random_.below(net_.foreign_domains.size()));
        return last_for(plan.kind, nullptr, nullptr, lasts,
                        [this, domain, which] { net_.point(domain, which); });
    }
    // For a while the host's name has an address where nobody is.
    std::string name = net_.foreign[which]->host().name();
    dns::Answer lie{.status = dns::Answer::Status::Ok, .ttl_seconds = 30};
    lie.records = {dns::A{{203, 0, 113, 249}}};
    lie.canonical_name = *dns::Name::parse(name);
    dns.script(name, dns::Type::A, {lie});
    last_for(plan.kind, nullptr, nullptr, lasts,
             [&dns, name] { dns.script(name, dns::Type::A, {}); });
}

// --- machines

// At once, or at the first look at which the disk has something to lose.
void Faults::crash_soon(int server, FaultKind kind, Duration lasts, int looks) {
    if (!host(server).is_up()) return;
    if (looks > 0 && !has_unsynced_records(server)) {
        net_.sim.call_after(kLookStep, [this, server, kind, lasts, looks, turn = turn_] {
            if (turn == turn_) crash_soon(server, kind, lasts, looks - 1);
        });
        return;
    }
    crash(server, kind);
    come_back(server, lasts);
}

void Faults::crash(int server, FaultKind kind) {
    Host& machine = host(server);
    uint64_t in_flight = net_.ledger.in_flight(server);
    crashes_.all++;
    if (in_flight > 0 && has_unsynced_records(server)) {
        crashes_.counting++;
        crashes_.in_flight += in_flight;
    }
    net_.ledger.books[std::size_t(server)].crashes.push_back(net_.sim.now());
    std::size_t disturbance = net_.ledger.begin(kind, &machine, nullptr, net_.sim.now());
    if (kind == FaultKind::PowerLoss) {
        machine.power_loss();
    } else {
        machine.kill();
    }
    net_.ledger.end(disturbance, net_.sim.now());
}

void Faults::come_back(int server, Duration after) {
    net_.sim.call_after(after, [this, server] { net_.start(server); });
}

void Faults::stop_in_order(int server, Duration patience) {
    RiverHost& river = *net_.servers[std::size_t(server)];
    river.stop(patience);
    uint64_t life = river.host().lives();
    last_for(FaultKind::Stop, &river.host(), nullptr, patience + kStopped,
             [this, server, life] { end_stopped(server, life, kSupervisorPatience); });
}

// The program has ended, or takes too long for its supervisor.
void Faults::end_stopped(int server, uint64_t life, Duration patience) {
    Host& machine = host(server);
    if (machine.lives() != life || !machine.is_up()) return;
    if (on_ && patience > Duration{} && !net_.servers[std::size_t(server)]->has_stopped()) {
        last_for(FaultKind::Stop, &machine, nullptr, kStopped, [this, server, life, patience] {
            end_stopped(server, life, patience - kStopped);
        });
        return;
    }
    net_.ledger.books[std::size_t(server)].crashes.push_back(net_.sim.now());
    machine.kill();
    come_back(server, kDownMax);
}

void Faults::crash_loop(int server, int times) {
    if (!host(server).is_up()) return;
    if (random_.chance(250) && net_.servers[std::size_t(server)]->is_open()) {
        stop_in_order(server, random_.between(1ms, kSoonAfterStart));
    } else {
        crash(server, random_.chance(500) ? FaultKind::Kill : FaultKind::PowerLoss);
        come_back(server, random_.between(1ms, kDownMax));
    }
    if (times <= 1) return;
    net_.sim.call_after(random_.between(kDownMax, kSoonAfterStart),
                        [this, server, times, turn = turn_] {
                            if (turn == turn_) crash_loop(server, times - 1);
                        });
}

bool Faults::has_unsynced_records(int server) {
    auto found = host(server).disk().files().find_directory(std::string(kSpool) + "/segments");
    return found && std::ranges::any_of((*found)->names, [](const auto& entry) {
               return !entry.second->unsynced.empty();
           });
}

// --- disks

void Faults::rot(int server) {
    net_.ledger.books[std::size_t(server)].rots++;
    last_for(FaultKind::BitRot, &host(server), nullptr, 1ms, [] {});
    std::map<std::string, std::string> large;
    read_files(host(server).disk().files(), std::string(kSpool) + "/large", large);
    if (!large.empty() && random_.chance(300)) {
        std::ignore = host(server).disk().files().remove(large.begin()->first, Wall{});
        return;
    }
    std::map<std::string, std::string> files;
    read_files(host(server).disk().files(), std::string(kSpool) + "/segments", files);
    if (files.empty()) return;
    auto file = files.begin();
    std::advance(file, int64_t(random_.below(files.size())));
    // Where there is something: the rest of a segment is zeros.
    std::size_t end = file->second.find_last_not_of('\0');
    if (end == std::string::npos) return;
    uint64_t where = random_.below(end + 1);
    if (random_.chance(200)) {
        host(server).disk().break_sector(file->first, where);
    } else {
        host(server).disk().rot(file->first, where, 1, 1);
    }
}

void Faults::back_up(int server) {
    Copy& copy = backups_[server];
    copy.at = net_.sim.now();
    read_files(host(server).disk().files(), kSpool, copy.files);
}

// The machine dies, and comes back with the spool that was copied.
void Faults::restore(int server) {
    Copy copy = std::move(backups_.extract(server).mapped());
    crash(server, FaultKind::PowerLoss);
    FileSystem& files = host(server).disk().files();
    std::map<std::string, std::string> there;
    read_files(files, kSpool, there);
    Wall now{};
    for (const auto& [path, octets] : there) std::ignore = files.remove(path, now);
    for (const auto& [path, octets] : copy.files) make_file(files, path, octets, now);
    for (const char* folder : {"", "/segments", "/large", "/damaged"}) {
        if (auto found = files.find_directory(kSpool + std::string(folder))) {
            files.sync_names(**found, files.mark());
        }
    }
    net_.ledger.books[std::size_t(server)].restores.push_back({copy.at, net_.sim.now()});
    std::size_t disturbance = net_.ledger.begin(FaultKind::Backup, &host(server), nullptr, copy.at);
    net_.ledger.end(disturbance, net_.sim.now());
    come_back(server, kDownMax);
}

// --- what ends by itself

void Faults::last_for(FaultKind kind, const Host* a, const Host* b, Duration lasts,
                      std::function<void()> undo_it) {
    uint64_t number = next_number_++;
    going_[number] = {net_.ledger.begin(kind, a, b, net_.sim.now()), std::move(undo_it)};
    net_.sim.call_after(lasts, [this, number] { undo(number); });
}

bool Faults::is_going(FaultKind kind, const Host* a) const {
    return std::ranges::any_of(going_, [&](const auto& entry) {
        const Disturbance& one = net_.ledger.disturbances[entry.second.disturbance];
        return one.kind == kind && one.a == a;
    });
}

void Faults::undo(uint64_t number) {
    auto found = going_.extract(number);
    if (!found) return;
    if (found.mapped().undo) found.mapped().undo();
    net_.ledger.end(found.mapped().disturbance, net_.sim.now());
}

}  // namespace postrider::sim
