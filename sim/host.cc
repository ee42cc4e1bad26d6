#include "sim/host.h"

#include <cassert>
#include <limits>

#include "sim/host_state.h"

namespace postrider::sim {

// The tasks of a host form a list, the youngest first.
struct RootTask::promise_type {
    HostState& host;
    promise_type* older;
    promise_type* younger = nullptr;

    promise_type(HostState& owner, Task<void>&) : host(owner), older(owner.youngest) {
        if (older) older->younger = this;
        host.youngest = this;
    }
    ~promise_type() {
        (younger ? younger->older : host.youngest) = older;
        if (older) older->younger = younger;
    }
    RootTask get_return_object() { return {}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }  // and the frame is destroyed
    void return_void() {}
    [[noreturn]] void unhandled_exception() noexcept { std::terminate(); }
};

namespace {

using RootHandle = std::coroutine_handle<RootTask::promise_type>;

RootTask run_root(HostState&, Task<void> task) { co_await std::move(task); }

Task<void> run_main(HostState& host, Task<void> task) {
    co_await std::move(task);
    host.main_ended = true;
}

// Its captures go when it has ended.
Task<void> run_spawned(HostState& host, std::list<Host::Main>::iterator main) {
    co_await (*main)(host.world);
    host.mains.erase(main);
}

}  // namespace

HostState::HostState(EventLoop& the_loop, Network& the_network, Dns& dns, Wall the_epoch,
                     uint64_t seed, int number, std::string the_name,
                     std::vector<world::IpAddress> the_addresses, int shards)
    : loop(the_loop),
      network(the_network),
      epoch(the_epoch),
      index(number),
      name(std::move(the_name)),
      addresses(std::move(the_addresses)),
      random(seed, /*label=*/1000 + uint64_t(number) * 10),
      clock(*this),
      executor(*this),
      worker(*this),
      system_random(SeededRandom(seed, /*label=*/1001 + uint64_t(number) * 10)),
      log(*this),
      disk(*this, seed, /*label=*/1002 + uint64_t(number) * 10),
      net(*this),
      resolver(*this, dns),
      process(*this),
      tls(*this),
      world{clock, system_random, net, disk, executor, worker, log, resolver, process, tls} {
    for (int i = 0; i < shards; i++) places.push_back(loop.add_place());
}

HostState::~HostState() { assert(youngest == nullptr && "a host dies before it is destroyed"); }

Monotonic HostState::to_loop(Monotonic moment) const {
    int64_t sum = 0;
    if (__builtin_add_overflow(moment.ns, clock_zero_ns, &sum)) {
        return {moment.ns > 0 ? std::numeric_limits<int64_t>::max() : 0};
    }
    return {sum};
}

void HostState::at(Monotonic moment, PlaceId place, EventLoop::Work work,
                   std::shared_ptr<Cancellation> cancellation) {
    auto fire = [this, moment, place, work = std::move(work), cancellation]() mutable {
        if (now() < moment) {  // the machine was suspended meanwhile
            at(moment, place, std::move(work), std::move(cancellation));
        } else {
            work();
        }
    };
    loop.at(to_loop(moment), place, std::move(fire), cancellation);
}

world::ShardId HostState::current_shard() const {
    PlaceId current = loop.current_place();
    return owns(current) ? current - places.front() : 0;
}

void HostState::boot(Host::Main main) {
    assert(!is_up && "boot() of a host that is up");
    if (!is_powered) {
        clock_zero_ns = (loop.now() - random.between(Duration(std::chrono::seconds(1)),
                                                     Duration(std::chrono::seconds(20))))
                            .ns;
    }
    is_powered = is_up = true;
    main_ended = false;
    lives++;
    loop.trace().mix(Trace::Boot, uint64_t(index), lives);
    for (PlaceId place : places) loop.open(place);
    network.host_is_back(*this);
    mains.push_back(std::move(main));
    start(0, run_main(*this, mains.back()(world)));
}

void HostState::start(world::ShardId shard, Task<void> task) {
    if (!is_up) return;  // a destructor of a dying host; the task is destroyed unstarted
    run_root(*this, std::move(task));
    RootHandle root = RootHandle::from_promise(*youngest);
    loop.post(places[std::size_t(shard)], [root] { root.resume(); });
}

void HostState::die(Death death) {
    if (owns(loop.current_place())) {
        loop.after_current([this, death] { die_now(death); });
    } else {
        die_now(death);
    }
}

void HostState::die_now(Death death) {
    bool power = death == Death::PowerLoss;
    if (!is_powered || (!power && !is_up)) return;
    loop.trace().mix(power ? Trace::PowerLoss : Trace::Kill, uint64_t(index), lives);
    is_up = false;
    if (power) {
        is_powered = false;
        network.host_lost_power(*this);  // first, so that streams close without a word
    }
    for (PlaceId place : places) {
        loop.close(place);
        loop.release(place);
    }
    is_suspended = false;
    destroy_tasks();
    if (power) {
        disk.after_power_loss();
    } else {
        network.host_was_killed(*this);
        disk.after_kill();
    }
}

void HostState::destroy_tasks() {
    while (youngest) RootHandle::from_promise(*youngest).destroy();
    mains.clear();
}

void HostState::suspend(Duration duration, SuspendedClock monotonic) {
    if (!is_powered || is_suspended) return;
    is_suspended = true;
    for (PlaceId place : places) loop.hold(place);
    if (monotonic == SuspendedClock::Stops) clock_zero_ns += duration.count();
    uint64_t life = lives;
    loop.at(loop.now() + duration, kOutside, [this, life] {
        if (lives != life || !is_suspended) return;
        is_suspended = false;
        for (PlaceId place : places) loop.release(place);
        network.host_is_back(*this);
    });
}

WaitPoint::Waiter::~Waiter() {
    if (timer_) timer_->cancelled = true;
    if (waiting_ && point_.waiter_ == this) point_.waiter_ = nullptr;
}

void WaitPoint::Waiter::await_suspend(std::coroutine_handle<> waiting) {
    assert(!point_.waiter_ && "two tasks wait in one direction of one stream");
    waiting_ = waiting;
    place_ = host_.current_place();
    point_.waiter_ = this;
    if (deadline_.is_never()) return;
    timer_ = std::make_shared<Cancellation>();
    host_.at(
        deadline_.at, place_,
        [this] {
            if (point_.waiter_ != this) return;  // notified, and about to go on
            point_.waiter_ = nullptr;
            waiting_.resume();
        },
        timer_);
}

void WaitPoint::notify() {
    if (!waiter_) return;
    Waiter& waiter = *std::exchange(waiter_, nullptr);
    waiter.notified_ = true;
    if (waiter.timer_) waiter.timer_->cancelled = true;
    waiter.host_.loop.post(waiter.place_, [handle = waiter.waiting_] { handle.resume(); });
}

Host::Host(std::unique_ptr<HostState> state) : state_(std::move(state)) {}
Host::~Host() = default;

const std::string& Host::name() const { return state_->name; }
const std::vector<world::IpAddress>& Host::addresses() const { return state_->addresses; }
void Host::boot(Main main) { state_->boot(std::move(main)); }

void Host::spawn(world::ShardId shard, Main work) {
    assert(state_->is_up && shard >= 0 && std::size_t(shard) < state_->places.size());
    state_->mains.push_back(std::move(work));
    state_->start(shard, run_spawned(*state_, std::prev(state_->mains.end())));
}

void Host::kill() { state_->die(HostState::Death::Kill); }
void Host::power_loss() { state_->die(HostState::Death::PowerLoss); }
bool Host::is_up() const { return state_->is_up; }
bool Host::main_ended() const { return state_->main_ended; }
uint64_t Host::lives() const { return state_->lives; }
void Host::suspend(Duration duration, SuspendedClock monotonic) {
    state_->suspend(duration, monotonic);
}
void Host::jump_wall(Duration by) { state_->wall_jump += by; }
world::World& Host::world() { return state_->world; }
SimDisk& Host::disk() { return state_->disk; }
SimProcess& Host::process() { return state_->process; }
SimTls& Host::tls() { return state_->tls; }
DiskFaults& Host::disk_faults() { return state_->disk.faults; }
const std::deque<LogLine>& Host::log_lines() const { return state_->log.lines; }
void Host::watch_log(std::function<void(const LogLine&)> hear) {
    state_->log.on_line = std::move(hear);
}
uint64_t Host::log_count(LogLevel level) const {
    return state_->log.counts[static_cast<std::size_t>(level)];
}

}  // namespace postrider::sim
