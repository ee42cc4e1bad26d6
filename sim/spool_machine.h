// sim/spool_machine.h: a simulated machine with a spool and nothing else, for tests of its bad
// days.
//
// Threads: one.

#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "sim/simulation.h"
#include "spool/spool.h"

namespace postrider::sim {

using namespace std::chrono_literals;
using spool::CommitRequest;
using spool::Recovered;
using spool::Spool;
using spool::SpoolOptions;
using Kind = spool::SpoolError::Kind;

// Opens it and waits until all that lies there has been read.
inline Task<spool::SpoolResult<std::unique_ptr<Spool>>> open_whole(world::World& world,
                                                                   SpoolOptions options,
                                                                   Recovered& out) {
    auto spool = co_await Spool::open(world, std::move(options), out.report);
    if (!spool) co_return spool;
    auto recovered = co_await (*spool)->recover();
    if (!recovered) {
        co_await (*spool)->close();
        co_return std::unexpected(recovered.error());
    }
    out = *std::move(recovered);
    co_return spool;
}

struct Machine {
    Simulation sim;
    Host& host = sim.add_host("mx.example", {*world::IpAddress::parse("192.0.2.1")}, 2);
    SpoolOptions options;

    explicit Machine(uint64_t seed = 42) : sim(seed) {
        options.directory = "/spool";
        options.segment_octets = 128 * 1024;
        options.min_free_octets = 0;
        options.segments_before_moving = 4;
    }

    // Runs `work` in a life of its own, to its end.
    void run(Host::Main work) {
        host.boot(std::move(work));
        ASSERT_TRUE(sim.run_until([&] { return host.main_ended(); }, 3h));
        host.kill();
    }
    // The same, with the spool opened and read before and closed after.
    using Work = std::move_only_function<Task<void>(world::World&, Spool&, Recovered&)>;
    void with_spool(Work work, bool close = true) {
        run([this, close, work = std::move(work)](world::World& world) mutable {
            return whole(world, work, close);
        });
    }
    Task<void> whole(world::World& world, Work& work, bool close) {
        Recovered recovered;
        auto spool = co_await open_whole(world, options, recovered);
        EXPECT_TRUE(spool) << spool.error().message;
        if (!spool) co_return;
        co_await work(world, **spool, recovered);
        if (close) {
            co_await (*spool)->close();
        } else {
            kept.push_back(*std::move(spool));  // as after a crash: nothing is closed
        }
    }
    std::vector<std::unique_ptr<Spool>> kept;
};

inline spool::Incoming incoming(uint64_t id, std::size_t octets = 100) {
    spool::Incoming out;
    out.envelope.id = {id};
    out.envelope.variants.resize(1);
    out.envelope.variants[0].recipients.resize(1);
    out.envelope.variants[0].recipients[0].mailbox = {"bob", "dest.example"};
    out.content = std::string(octets, 'x');
    return out;
}

inline CommitRequest message(uint64_t id, std::size_t octets = 100) {
    CommitRequest out;
    out.messages.push_back(incoming(id, octets));
    return out;
}

inline CommitRequest outcome(uint64_t id, RecipientState state = RecipientState::Delivered) {
    CommitRequest out;
    out.changes.push_back({{id}, 0, state, {2, 0, 0}, "ok", 1, {}, {}});
    return out;
}

inline Task<void> store(Spool& spool, CommitRequest request) {
    auto done = co_await spool.commit(std::move(request), Deadline::never());
    EXPECT_TRUE(done) << done.error().message;
}

}  // namespace postrider::sim
