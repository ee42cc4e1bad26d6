// postrider_bench_spool: Postrider's spool alone, without sessions and without a queue.
//
// Two shards, as on two cores; the sessions are coroutines spread over both, as SMTP sessions are.

#include <fmt/format.h>

#include <memory>

#include "base/id.h"
#include "bench/load.h"
#include "bench/store/work.h"
#include "spool/spool.h"
#include "world/real/real_world.h"

namespace postrider::bench::store {
namespace {

constexpr int kShards = 2;

struct Run {
    const Work& work;
    const std::string content;
    world::real::RealWorld real;
    world::World world = real.world();
    std::unique_ptr<spool::Spool> spool;
    std::atomic<uint64_t> begun = 0;
    uint64_t sessions_left;  // on shard 0

    Run(const Work& what, Log& log)
        : work(what),
          content(content_of(what)),
          real({.shards = kShards}, log),
          sessions_left(what.sessions) {}
};

Envelope envelope_of(MessageId id) {
    Envelope envelope;
    envelope.id = id;
    envelope.received = {static_cast<int64_t>(id.value >> 8)};
    envelope.client.address = "192.0.2.1";
    envelope.client.helo = "client.example.org";
    envelope.client.protocol = "ESMTP";
    Variant variant;
    variant.reverse_path.mailbox = Mailbox{"sender", "example.org"};
    variant.prefix =
        fmt::format("Received: from client.example.org by mx.example id {}\r\n", id.text());
    variant.recipients.resize(1);
    variant.recipients[0].mailbox = Mailbox{"user", "far.test"};
    envelope.variants.push_back(std::move(variant));
    return envelope;
}

Task<void> store_one(Run& run, MessageId id) {
    spool::Draft draft = run.spool->begin(id);
    if (!co_await draft.append(run.content)) give_up("a draft was refused");
    spool::CommitRequest request;
    request.messages.push_back({envelope_of(id), std::move(draft), 100});
    if (!co_await run.spool->commit(std::move(request), Deadline::never())) {
        give_up("a message was refused");
    }
    if (!run.work.finished) co_return;
    spool::CommitRequest outcome;
    RecipientChange change;
    change.id = id;
    change.state = RecipientState::Relayed;
    change.at = run.world.clock.wall();
    outcome.changes.push_back(change);
    if (!co_await run.spool->commit(std::move(outcome), Deadline::never())) {
        give_up("an outcome was refused");
    }
}

Task<void> session(Run& run, MessageIdSource& ids, Costs begin) {
    while (run.begun++ < run.work.messages) {
        co_await store_one(run, ids.next(run.world.clock.wall()));
    }
    co_await run.world.executor.switch_to(0);
    if (--run.sessions_left > 0) co_return;
    tell(run.work, begin);
    co_await run.spool->close();
    run.real.stop();
}

Task<void> start(Run& run, std::vector<MessageIdSource>& ids) {
    spool::SpoolReport found;
    spool::SpoolOptions options;
    options.directory = run.work.folder;
    auto opened = co_await spool::Spool::open(run.world, options, found);
    if (!opened) give_up(opened.error().message);
    run.spool = std::move(*opened);
    Costs begin = costs_now();
    for (uint64_t i = 0; i < run.work.sessions; i++) {
        int shard = static_cast<int>(i % kShards);
        auto& own = ids[static_cast<std::size_t>(shard)];
        run.world.executor.post_to(
            shard, [&run, &own, begin] { run.world.executor.spawn(session(run, own, begin)); });
    }
}

}  // namespace
}  // namespace postrider::bench::store

int main(int count, char** words) {
    using namespace postrider::bench::store;
    Work work = parse(count, words, "stores messages in Postrider's spool");
    postrider::NoLog log;
    Run run(work, log);
    std::vector<postrider::MessageIdSource> ids;
    for (int shard = 0; shard < kShards; shard++) ids.emplace_back(shard, postrider::MessageId{});
    run.real.executor().post_to(0, [&] { run.world.executor.spawn(start(run, ids)); });
    run.real.run();
    run.spool.reset();
    return 0;
}
