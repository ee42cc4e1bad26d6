#include "sim/sim_connection.h"

#include <algorithm>

namespace postrider::sim {

namespace {

constexpr Duration kSegmentGapMax = std::chrono::microseconds(100);
constexpr Duration kSentAgain = std::chrono::seconds(1);

}  // namespace

void Connection::pump(int side) {
    if (!network) return;
    Side& from = sides[std::size_t(side)];
    Side& to = sides[std::size_t(1 - side)];
    if (from.is_broken || from.is_silent || from.end_sent) return;
    const NetFaults& faults = network->faults;
    SeededRandom& random = network->random();
    auto due = [&] {
        Monotonic earliest{};
        if (!from.in_flight.empty()) {
            earliest = from.in_flight.back().due + random.between(Duration(0), kSegmentGapMax);
        }
        return std::max(earliest, network->loop().now() + network->latency(*from.host, *to.host));
    };
    while (!from.outbox.empty()) {
        std::size_t ahead = from.in_flight_octets + to.inbox.size();
        if (ahead >= faults.receive_buffer_max) break;
        std::size_t count = std::max<std::size_t>(1, faults.segment_max);
        if (!random.chance(faults.full_segments_per_1000)) count = 1 + random.below(count);
        count = std::min({count, from.outbox.size(), faults.receive_buffer_max - ahead});
        from.in_flight.push_back({std::string(from.outbox.front(count)), due()});
        from.in_flight_octets += count;
        from.outbox.drop(count);
    }
    if (from.outbox.empty() && from.is_shut) {
        from.end_sent = true;
        from.in_flight.push_back({std::string(), due()});
    }
    if (from.outbox.size() < faults.send_buffer_max) from.writable.notify();
    schedule(side);
}

// Whether what `side` sent gets to the other side now.
bool Connection::gets_through(int side) const {
    const Side& from = sides[std::size_t(side)];
    const Side& to = sides[std::size_t(1 - side)];
    for (const world::Endpoint* end : {&from.local, &from.peer}) {
        const auto* ip = std::get_if<world::IpEndpoint>(end);
        if (ip && network->is_black_hole(ip->address)) return false;
    }
    return network->reaches(*from.host, *to.host);
}

void Connection::schedule(int side) {
    Side& from = sides[std::size_t(side)];
    if (from.is_scheduled || from.is_stalled || from.in_flight.empty()) return;
    from.is_scheduled = true;
    network->loop().at(from.in_flight.front().due, kOutside, [self = shared_from_this(), side] {
        self->sides[std::size_t(side)].is_scheduled = false;
        if (self->network) self->arrive(side);
    });
}

void Connection::arrive(int side) {
    Side& from = sides[std::size_t(side)];
    Side& to = sides[std::size_t(1 - side)];
    if (from.in_flight.empty()) return;  // broken meanwhile
    if (!gets_through(side)) return stall(side);
    if (network->random().below(1'000'000) < network->faults.reset_per_million_segments) {
        break_side(side, "connection reset on the way");
        break_side(1 - side, "connection reset on the way");
        return;
    }
    Segment segment = std::move(from.in_flight.front());
    from.in_flight.pop_front();
    from.in_flight_octets -= segment.octets.size();
    network->loop().trace().mix(Trace::Segment, id * 2 + uint64_t(side));
    network->loop().trace().mix(segment.octets);
    bool is_late = to.is_closed && !segment.octets.empty();
    if (to.is_silent || to.is_broken || (is_late && network->loop().now() >= to.lingers_until)) {
        send_reset(side, "connection reset by peer");
    } else if (is_late) {
        pump(side);  // dropped: there is room again
    } else if (segment.octets.empty()) {
        to.end_arrived = true;
        to.readable.notify();
    } else {
        to.inbox.append(segment.octets);
        to.readable.notify();
    }
    schedule(side);
    forget_if_over();
}

void Connection::stall(int side) {
    Side& from = sides[std::size_t(side)];
    from.is_stalled = true;
    uint64_t stall = ++from.stalls;
    auto give_up = [self = shared_from_this(), side, stall] {
        Side& waiting = self->sides[std::size_t(side)];
        if (!self->network || !waiting.is_stalled || waiting.stalls != stall) return;
        self->break_side(side, "connection timed out");
    };
    network->loop().at(network->loop().now() + network->faults.give_up, kOutside,
                       std::move(give_up));
}

void Connection::retry(int side) {
    Side& from = sides[std::size_t(side)];
    if (!from.is_stalled || !gets_through(side)) return;
    from.is_stalled = false;
    // The next repetition of the sender comes some time after the link is back.
    Monotonic due =
        network->loop().now() + network->random().between(Duration(std::chrono::milliseconds(1)),
                                                          Duration(std::chrono::seconds(1)));
    for (Segment& segment : from.in_flight) segment.due = std::max(segment.due, due);
    schedule(side);
}

void Connection::shut_write(int side) {
    sides[std::size_t(side)].is_shut = true;
    pump(side);
}

void Connection::close(int side) {
    Side& closing = sides[std::size_t(side)];
    if (closing.is_closed) return;
    closing.is_closed = true;
    closing.is_shut = true;
    closing.inbox.clear();
    closing.readable.notify();
    closing.writable.notify();
    if (!network || closing.is_silent) return;
    closing.lingers_until = network->loop().now() + network->faults.linger;
    pump(side);
    pump(1 - side);  // there is room now
    forget_if_over();
}

void Connection::abandon(int side) {
    close(side);
    sides[std::size_t(side)].lingers_until = {};
}

void Connection::break_side(int side, std::string why) {
    Side& broken = sides[std::size_t(side)];
    if (broken.is_broken) return;
    broken.is_broken = true;
    broken.why_broken = std::move(why);
    broken.outbox.clear();
    broken.in_flight.clear();
    broken.in_flight_octets = 0;
    broken.is_stalled = false;
    broken.readable.notify();
    broken.writable.notify();
    forget_if_over();
}

void Connection::send_reset(int to_side, std::string why) {
    answer_by_reset(to_side, std::move(why), network->loop().now() + network->faults.give_up);
}

void Connection::answer_by_reset(int to_side, std::string why, Monotonic until) {
    Side& to = sides[std::size_t(to_side)];
    Side& from = sides[std::size_t(1 - to_side)];
    if (to.is_gone() && to.in_flight.empty()) return;
    Monotonic due = network->loop().now() + network->latency(*from.host, *to.host);
    network->loop().at(due, kOutside, [self = shared_from_this(), to_side, why, until] {
        if (!self->network) return;
        if (self->gets_through(1 - to_side)) return self->break_side(to_side, why);
        Monotonic next = self->network->loop().now() + kSentAgain;
        if (next > until) return self->break_side(to_side, "connection timed out");
        // What is not answered is sent again, and answered then.
        self->network->loop().at(next, kOutside, [self, to_side, why, until] {
            if (self->network) self->answer_by_reset(to_side, why, until);
        });
    });
}

void Connection::forget_if_over() {
    for (const Side& side : sides) {
        if (!side.is_gone() || !side.in_flight.empty()) return;
    }
    if (Network* over = std::exchange(network, nullptr)) over->forget(id);
}

void ListenerState::add(std::shared_ptr<Connection> connection) {
    waiting.push_back(std::move(connection));
    wake_one();
}

void ListenerState::wake_one() {
    std::vector<WaitPoint*> idle;
    for (WaitPoint* handle : handles) {
        if (handle->has_waiter()) idle.push_back(handle);
    }
    if (idle.empty()) return;
    idle[std::size_t(host->network.random().below(idle.size()))]->notify();
}

}  // namespace postrider::sim
