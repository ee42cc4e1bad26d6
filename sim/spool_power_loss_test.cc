// The spool under losses of power, kills, failing syncs and full disks, thousands of times.
//
// A simple model stands beside the host: it knows what was asked for and what was acknowledged.
// Several tasks on two shards commit new messages, outcomes and reports with their outcomes; the
// machine stops at random moments; after each start the model is held against what the spool found:
// - what was acknowledged is there, octet by octet, with the states that were acknowledged;
// - what was in flight is there wholly or not at all, a report never without its outcome;
// - what was refused is not there, once a later commit was answered;
// - nothing else is there.
// That the checker can fail is shown with disks whose sync does nothing.

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <cstdlib>
#include <memory>

#include "sim/simulation.h"
#include "sim/spool_model.h"
#include "spool/recovery.h"
#include "spool/spool.h"

namespace postrider::sim {
namespace {

using namespace std::chrono_literals;
using spool::CommitRequest;
using spool::Spool;

constexpr int kWorkers = 5;

std::string text_of(SeededRandom& random, std::size_t octets) {
    std::string out = "Subject: x\r\n\r\n";
    while (out.size() < octets) {
        // Repeats of a drawn word: quick to make, and different in each block.
        std::string word = fmt::format("{:016x}\r\n", random.next());
        for (int i = 0; i < 64 && out.size() < octets; ++i) out += word;
    }
    out.resize(octets);
    return out;
}

Envelope envelope_of(Model& model, MessageId id) {
    Envelope envelope;
    envelope.id = id;
    envelope.received = {static_cast<int64_t>(id.value >> 8)};
    Variant variant;
    if (model.random.below(5) != 0) {
        variant.reverse_path.mailbox = Mailbox{"sender", "client.example"};
    }
    variant.prefix = fmt::format("Received: by mx.example id {}\r\n", id.text());
    uint64_t recipients = 1 + model.random.below(3);
    for (uint64_t i = 0; i < recipients; ++i) {
        Recipient recipient;
        recipient.mailbox = Mailbox{fmt::format("user{}", i), "dest.example"};
        variant.recipients.push_back(std::move(recipient));
    }
    envelope.variants.push_back(std::move(variant));
    return envelope;
}

struct Ids {
    MessageIdSource source;
};

MessageId fresh_id(Model& model, Ids& ids, world::World& world) {
    MessageId id = ids.source.next(world.clock.wall());
    model.highest = std::max(model.highest, id);
    return id;
}

Task<bool> add_message(Model& model, Ids& ids, world::World& world, Spool& spool,
                       CommitRequest& request) {
    MessageId id = fresh_id(model, ids, world);
    bool large = model.random.below(12) == 0;
    std::size_t octets =
        large ? 130'000 + model.random.below(300'000) : 20 + model.random.below(6000);
    Wanted wanted{envelope_of(model, id), text_of(model.random, octets), {}};
    wanted.states.resize(wanted.envelope.recipient_count());
    spool::Incoming incoming;
    incoming.envelope = wanted.envelope;
    incoming.header_octets = 14;
    if (large || model.random.below(2) == 0) {
        spool::Draft draft = spool.begin(id);
        if (large && model.random.below(2) == 0) draft.widen();
        for (std::string_view rest = wanted.content; !rest.empty();) {
            std::string_view part = rest.substr(0, 1 + model.random.below(60'000));
            auto appended = co_await draft.append(part);
            if (!appended) co_return false;
            rest.remove_prefix(part.size());
        }
        incoming.content = std::move(draft);
        if (large) ++model.large;
    } else {
        incoming.content = wanted.content;
    }
    request.messages.push_back(std::move(incoming));
    model.messages[id] = std::move(wanted);
    model.busy.insert(id);
    co_return true;
}

void add_change(Model& model, MessageId id, CommitRequest& request) {
    const Wanted& wanted = model.messages[id];
    for (uint32_t i = 0; i < wanted.states.size(); ++i) {
        if (wanted.states[i] != RecipientState::Waiting) continue;
        RecipientChange change;
        change.id = id;
        change.recipient = i;
        change.state = model.random.below(2) ? RecipientState::Delivered : RecipientState::Failed;
        change.reason = "250 taken";
        request.changes.push_back(change);
        model.busy.insert(id);
        return;
    }
}

Task<void> one_commit(Model& model, Ids& ids, world::World& world, Spool& spool) {
    CommitRequest request;
    // Keeps some tens of messages live, so that segments get emptied, moved out of and used again.
    bool change = model.random.below(100) < (model.live.size() > 25 ? 75u : 30u);
    if (change) {
        auto id = pick(model);
        if (id) add_change(model, *id, request);
    }
    bool ready = true;
    if (request.changes.empty() || model.random.below(3) == 0) {
        if (!request.changes.empty()) ++model.reports;
        ready = co_await add_message(model, ids, world, spool, request);
    }
    uint64_t number = ++model.begun;
    Open& open = model.open[number];
    open.life = model.lives;
    for (const auto& incoming : request.messages) open.messages.push_back(incoming.envelope.id);
    open.changes = request.changes;
    if (!ready) {
        for (const RecipientChange& one : open.changes) model.busy.erase(one.id);
        model.open.erase(number);
        co_return;
    }
    auto done = co_await spool.commit(std::move(request), Deadline::never());
    if (done) {
        // A refused one that was answered before this began is void by now.
        std::erase_if(model.open, [&](const auto& entry) {
            const Open& other = entry.second;
            if (!other.refused || other.refused_at >= number) return false;
            if (other.life != model.lives) return false;  // it may have come back with the start
            for (MessageId id : other.messages) model.messages.erase(id);
            for (MessageId id : other.messages) model.busy.erase(id);
            for (const RecipientChange& one : other.changes) model.busy.erase(one.id);
            return true;
        });
        acknowledge(model, number);
        ++model.acknowledged;
    } else {
        model.open[number].refused = true;
        model.open[number].refused_at = model.begun;
        co_await world.clock.sleep_for(5ms);
    }
}

Task<void> read_one(Model& model, world::World& world, Spool& spool) {
    auto id = pick(model);
    if (!id) co_return;
    model.busy.insert(*id);
    auto read = co_await spool.read(*id);
    if (!read) {
        if (read.error().kind != spool::SpoolError::Kind::DiskFailing) {
            model.fault("read " + id->text() + ": " + read.error().message);
        }
    } else if ((*read)->envelope != model.messages[*id].envelope) {
        model.fault("read " + id->text() + ": another envelope");
    } else {
        auto reader = spool::open_content(**read, world.disk);
        std::string got(reader->size(), '\0');
        auto octets = co_await reader->read(0, got);
        if (!octets || got != model.messages[*id].content) {
            model.fault("read " + id->text() + ": other octets");
        }
    }
    model.busy.erase(*id);
}

Task<void> work(Model& model, Ids& ids, world::World& world, Spool& spool) {
    while (!model.stop) {
        if (model.random.below(10) == 0) {
            co_await read_one(model, world, spool);
        } else if (model.random.below(10) == 0) {
            if (auto id = pick(model)) {
                RecipientChange later;
                later.id = *id;
                later.recipient = 0;
                later.reason = "451 later";
                if (model.messages[*id].states[0] == RecipientState::Waiting) {
                    spool.record_lazily(later);
                }
            }
        } else {
            co_await one_commit(model, ids, world, spool);
        }
        if (model.random.below(4) == 0) {
            co_await world.clock.sleep_for(Duration(model.random.below(2'000'000)));
        }
    }
    --model.workers;
}

Task<void> hold_against(Model& model, world::World& world, Spool& spool,
                        const spool::Recovered& recovered) {
    Found found;
    for (const auto& message : recovered.messages) {
        auto read = co_await spool.read(message.id);
        if (!read) {
            model.fault(message.id.text() + ": " + read.error().message);
            continue;
        }
        auto& states = found[message.id];
        for (const auto& standing : (*read)->recipients) states.push_back(standing.state);
    }
    settle_open(model, found);
    model.damage += recovered.report.damage.size();
    for (const auto& damage : recovered.report.damage) {
        model.fault(
            fmt::format("damage told: {} at {}: {}", damage.path, damage.offset, damage.reason));
    }
    for (const auto& [id, states] : found) {
        if (!model.live.contains(id)) model.fault(id.text() + " came from nowhere");
    }
    std::vector<MessageId> old;
    for (MessageId id : model.live) {
        if (id <= model.floor) old.push_back(id);
    }
    for (MessageId id : old) {
        auto it = found.find(id);
        if (it == found.end()) {
            model.fault(id.text() + " is lost");
            continue;
        }
        const Wanted& wanted = model.messages[id];
        if (it->second != wanted.states) model.fault(id.text() + " has other states");
        auto read = co_await spool.read(id);
        if (!read) {
            model.fault(id.text() + ": " + read.error().message);
            continue;
        }
        if ((*read)->envelope != wanted.envelope) model.fault(id.text() + ": another envelope");
        auto reader = spool::open_content(**read, world.disk);
        std::string got(reader->size(), '\0');
        auto octets = co_await reader->read(0, got);
        if (!octets || got != wanted.content) model.fault(id.text() + ": other octets");
    }
    ++model.recovered_lives;
}

spool::SpoolOptions options() {
    spool::SpoolOptions out;
    out.directory = "/spool";
    out.segment_octets = 128 * 1024;
    out.min_free_octets = 0;
    out.segments_before_moving = 6;
    return out;
}

// What earlier lives left, compared while others store new messages.
Task<void> recover(Model& model, world::World& world, Spool& spool) {
    while (true) {
        auto recovered = co_await spool.recover();
        if (recovered) {
            co_await hold_against(model, world, spool, *recovered);
            model.floor = {};
            break;
        }
        if (recovered.error().kind == spool::SpoolError::Kind::Closed) break;
        co_await world.clock.sleep_for(10ms);
    }
    model.recovering = false;
}

// One life of the program: opens, compares, works until stopped.
Task<void> live(Model& model, world::World& world) {
    ++model.lives;
    model.busy.clear();
    for (const auto& [number, open] : model.open) mark_busy(model, open, true);
    spool::SpoolReport report;
    auto opened = co_await Spool::open(world, options(), report);
    for (int tries = 0; !opened && tries < 20; ++tries) {
        if (opened.error().kind != spool::SpoolError::Kind::DiskFailing) break;
        co_await world.clock.sleep_for(10ms);  // faults end by themselves
        opened = co_await Spool::open(world, options(), report);
    }
    if (!opened) {
        model.fault("open: " + opened.error().message);
        co_return;
    }
    std::unique_ptr<Spool> spool = *std::move(opened);
    // An id may have been drawn for what was never stored.
    model.floor = model.highest;
    if (report.highest_id > model.highest) model.fault("an id from the future");
    if (!model.live.empty() && report.highest_id < *model.live.rbegin()) {
        model.fault("an id that was given out is forgotten");
    }
    model.recovering = true;
    world.executor.spawn(recover(model, world, *spool));
    std::deque<Ids> ids;
    model.workers = kWorkers;
    for (int i = 0; i < kWorkers; ++i) {
        ids.push_back({MessageIdSource(i, model.highest)});
        world.executor.post_to(i % 2, [&model, &world, &spool, &one = ids.back()] {
            world.executor.spawn(work(model, one, world, *spool));
        });
    }
    while (model.workers > 0) co_await world.clock.sleep_for(1ms);
    co_await spool->close();
    while (model.recovering) co_await world.clock.sleep_for(1ms);
}

struct Run {
    uint64_t seed = 0;
    int lives = 0;
    bool forget_sync = false;
    bool forget_directory_sync = false;
    bool failing_syncs = false;
    uint64_t capacity = 16ull << 30;
};

std::unique_ptr<Model> run(Run how) {
    Simulation sim(how.seed);
    Host& host = sim.add_host("mx.example", {*world::IpAddress::parse("192.0.2.1")}, 2);
    auto model = std::make_unique<Model>(how.seed * 7919 + 1);
    host.disk_faults().forget_sync = how.forget_sync;
    host.disk_faults().forget_directory_sync = how.forget_directory_sync;
    host.disk_faults().capacity = how.capacity;
    for (int life = 0; life < how.lives && model->faults.empty(); ++life) {
        model->stop = false;
        host.disk_faults().fail_next_syncs = 0;
        host.disk_faults().fail_next_writes = 0;
        uint64_t before = model->recovered_lives;
        host.boot([&model = *model](world::World& world) { return live(model, world); });
        // Some lives end before they have read what earlier ones left.
        if (sim.random().below(4) > 0) {
            sim.run_until([&] { return model->recovered_lives > before || host.main_ended(); },
                          10min);
        }
        sim.run_for(Duration(sim.random().below(60'000'000)));
        if (how.failing_syncs && sim.random().below(2) == 0) {
            host.disk_faults().fail_next_syncs = 1 + static_cast<uint32_t>(sim.random().below(4));
            if (sim.random().below(3) == 0) host.disk_faults().fail_next_writes = 1;
            sim.run_for(Duration(sim.random().below(60'000'000)));
        }
        uint64_t how_it_ends = sim.random().below(8);
        if (how_it_ends == 0) {
            model->stop = true;
            sim.run_until([&] { return host.main_ended(); }, 10min);
            EXPECT_TRUE(host.main_ended()) << "closing does not end, seed " << how.seed;
            host.kill();
        } else if (how_it_ends < 3) {
            host.kill();
        } else {
            host.power_loss();
        }
    }
    return model;
}

struct Sum {
    uint64_t lives = 0, commits = 0, large = 0, reports = 0;
};

// For long runs: how many times as many seeds as usual.
uint64_t seed_factor() {
    const char* text = std::getenv("POSTRIDER_SEED_FACTOR");
    return text ? std::max<uint64_t>(1, std::strtoull(text, nullptr, 10)) : 1;
}

Sum expect_no_fault(Run how, uint64_t seeds) {
    Sum sum;
    seeds *= seed_factor();
    for (uint64_t seed = 1; seed <= seeds; ++seed) {
        how.seed = seed;
        auto model = run(how);
        sum.lives += model->recovered_lives;
        sum.commits += model->acknowledged;
        sum.large += model->large;
        sum.reports += model->reports;
        for (const std::string& fault : model->faults) {
            ADD_FAILURE() << "seed " << seed << " life " << model->recovered_lives << ": " << fault;
        }
        if (!model->faults.empty()) break;
    }
    fmt::print("lives {}, commits {}, large {}, reports {}\n", sum.lives, sum.commits, sum.large,
               sum.reports);
    return sum;
}

TEST(SpoolPowerLoss, WhatWasAcknowledgedIsFoundAndNothingIsHalf) {
    Sum sum = expect_no_fault({.lives = 40}, 16);
    EXPECT_GT(sum.commits, 10'000u);
    EXPECT_GT(sum.large, 100u);
    EXPECT_GT(sum.reports, 100u);
}

TEST(SpoolPowerLoss, FailingSyncsLoseNothingThatWasAcknowledged) {
    expect_no_fault({.lives = 30, .failing_syncs = true}, 16);
}

TEST(SpoolPowerLoss, AFullDiskLosesNothingThatWasAcknowledged) {
    expect_no_fault({.lives = 15, .capacity = 2'000'000}, 10);
}

TEST(SpoolPowerLoss, ASyncThatDoesNothingIsCaught) {
    bool caught = false;
    for (uint64_t seed = 1; seed <= 10 && !caught; ++seed) {
        caught = !run({.seed = seed, .lives = 20, .forget_sync = true})->faults.empty();
    }
    EXPECT_TRUE(caught);
}

TEST(SpoolPowerLoss, ADirectorySyncThatDoesNothingIsCaught) {
    bool caught = false;
    for (uint64_t seed = 1; seed <= 10 && !caught; ++seed) {
        caught = !run({.seed = seed, .lives = 20, .forget_directory_sync = true})->faults.empty();
    }
    EXPECT_TRUE(caught);
}

}  // namespace
}  // namespace postrider::sim
