#include "daemon/operator_commands.h"

#include "daemon/river.h"

namespace postrider::daemon {

namespace {

using admin::Json;

constexpr std::size_t kSlice = 1000;  // entries looked at before others get a turn

std::string_view name(queue::EntryState state) {
    switch (state) {
        case queue::EntryState::Scheduled: return "scheduled";
        case queue::EntryState::Ready: return "ready";
        case queue::EntryState::Active: return "active";
        case queue::EntryState::Held: return "held";
    }
    return "";
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

Json row_of(const queue::EntryView& entry, Monotonic now) {
    return {{"id", entry.message.text()},
            {"site", entry.site},
            {"sender", entry.sender},
            {"recipients", entry.recipients.size()},
            {"state", name(entry.state)},
            {"attempts", entry.attempts},
            {"age_seconds", seconds(entry.age)},
            {"due_in_seconds", seconds(std::max(Duration{}, entry.due - now))},
            {"last_failure", entry.attempts > 0 ? postrider::name(entry.last) : ""}};
}

Task<Result<Json>> queue_list(River& river, world::World& world, Json args, admin::Rows& rows) {
    queue::Filter filter;
    filter.site = args.value("site", "");
    filter.sender = args.value("sender", "");
    if (args.contains("id")) {
        filter.message = MessageId::parse(args["id"].is_string() ? args["id"].get<std::string>() : "");
        if (!filter.message) co_return fail("that is not an id of a message");
    }
    std::size_t count = 0;
    std::optional<uint32_t> from = 0;
    while (from) {
        std::vector<Json> found;
        Monotonic now = world.clock.now();
        from = river.dispatcher().scheduler().scan(
            *from, kSlice, filter, now,
            [&](const queue::EntryView& entry) { found.push_back(row_of(entry, now)); });
        count += found.size();
        for (Json& row : found) {
            if (auto written = co_await rows.write(std::move(row)); !written) {
                co_return std::unexpected(written.error());
            }
        }
    }
    co_return Json{{"entries", count}};
}

Task<Result<Json>> status(River& river) {
    auto spool = co_await river.spool().stats();
    queue::Totals queue = river.dispatcher().scheduler().totals();
    co_return Json{{"sessions", river.session_count()},
                   {"queue",
                    {{"entries", queue.entries},
                     {"scheduled", queue.scheduled},
                     {"ready", queue.ready},
                     {"active", queue.active},
                     {"held", queue.held},
                     {"sites", queue.sites}}},
                   {"spool",
                    {{"messages", spool.live_messages},
                     {"octets", spool.live_octets},
                     {"segments", spool.segments},
                     {"commits", spool.commits},
                     {"syncs", spool.groups},
                     {"octets_written", spool.octets_written},
                     {"full", spool.full},
                     {"failing", spool.failing}}}};
}

}  // namespace

admin::Commands operator_commands(River& river, std::function<Task<Status<Error>>()> reload) {
    admin::Commands commands;
    world::World& world = river.world();
    commands["queue list"] = [&river, &world](Json args, admin::Rows& rows) {
        return queue_list(river, world, std::move(args), rows);
    };
    commands["status"] = [&river](Json, admin::Rows&) { return status(river); };
    if (reload) {
        commands["reload"] = [reload](Json, admin::Rows&) -> Task<Result<Json>> {
            auto reloaded = co_await reload();
            if (!reloaded) co_return std::unexpected(reloaded.error());
            co_return Json{{"reloaded", true}};
        };
    }
    return commands;
}

}  // namespace postrider::daemon
