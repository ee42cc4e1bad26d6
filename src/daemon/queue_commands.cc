#include "daemon/queue_commands.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <span>

#include "daemon/river.h"
#include "mail/trace.h"
#include "world/signal.h"

namespace postrider::daemon {

namespace {

using admin::Json;

constexpr std::size_t kSlice = 1000;  // entries looked at before others get a turn
constexpr std::size_t kSelectedMax = 10'000'000;
constexpr std::size_t kAtOnce = 256;  // entries that a verb is carried out on side by side

std::string_view name(queue::EntryState state) {
    switch (state) {
        case queue::EntryState::Scheduled:
            return "scheduled";
        case queue::EntryState::Ready:
            return "ready";
        case queue::EntryState::Active:
            return "active";
        case queue::EntryState::Held:
            return "held";
    }
    return "";
}

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

std::string lower(std::string text) {
    std::ranges::transform(text, text.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    });
    return text;
}

// Which entries a command is about. The first part the queue can answer from memory, and mostly the
// domain too; the others need the message itself.
struct Selection {
    queue::Filter queue;
    std::string domain, recipient, error;  // lower case; empty = any
    std::optional<FailureClass> failure;

    bool needs_message() const { return !recipient.empty() || !error.empty() || failure; }

    static Result<Selection> from(const Json& args) {
        Selection selection;
        auto word = [&](const char* key) {
            auto found = args.find(key);
            return found != args.end() && found->is_string() ? found->get<std::string>()
                                                             : std::string();
        };
        selection.queue.site = word("site");
        selection.queue.sender = word("sender");
        selection.domain = lower(word("domain"));
        selection.recipient = lower(word("recipient"));
        selection.error = lower(word("error"));
        if (args.contains("older_than_seconds") && args["older_than_seconds"].is_number()) {
            selection.queue.older_than =
                std::chrono::seconds(args["older_than_seconds"].get<int64_t>());
        }
        if (args.contains("id")) {
            selection.queue.message = MessageId::parse(word("id"));
            if (!selection.queue.message) return fail("that is not an id of a message");
        }
        if (std::string failure = word("class"); !failure.empty()) {
            selection.failure = failure_class_named(failure);
            if (!selection.failure) return fail("no class is called \"" + failure + "\"");
        }
        if (std::string state = word("state"); !state.empty()) {
            for (auto one : {queue::EntryState::Scheduled, queue::EntryState::Ready,
                             queue::EntryState::Active, queue::EntryState::Held}) {
                if (state == name(one)) selection.queue.state = one;
            }
            if (!selection.queue.state) return fail("no state is called \"" + state + "\"");
        }
        return selection;
    }

    bool matches(const spool::StoredMessage& message, const std::vector<uint32_t>& numbers) const {
        return std::ranges::any_of(numbers, [&](uint32_t number) {
            const Mailbox& mailbox = message.envelope.recipient(number).mailbox;
            const std::string& reason = message.recipients[number].reason;
            return (domain.empty() || lower(mailbox.domain) == domain) &&
                   (recipient.empty() || lower(mailbox.text()) == recipient) &&
                   (error.empty() || lower(reason).find(error) != std::string::npos) &&
                   (!failure || *failure == standing_class(message.recipients[number]));
        });
    }
};

struct Selected {
    queue::Handle handle;
    MessageId id;
    std::vector<uint32_t> recipients;
};

Selected selected_of(const queue::EntryView& entry) {
    return {entry.handle, entry.message, {entry.recipients.begin(), entry.recipients.end()}};
}

// Without its end, so that more can be said.
admin::RowWriter begin_row(std::string& out, const queue::EntryView& entry, Monotonic now) {
    admin::RowWriter row(out);
    row.add_text("id", entry.message.text());
    row.add_text("site", entry.site);
    row.add_text("sender", entry.sender);
    row.add_number("recipients", entry.recipients.size());
    row.add_text("state", name(entry.state));
    row.add_number("attempts", entry.attempts);
    row.add_seconds("age_seconds", entry.age);
    row.add_seconds("due_in_seconds", entry.due - now);
    row.add_text("last_failure", entry.attempts > 0 ? postrider::name(entry.last) : "");
    return row;
}

// Goes through the queue in slices: `take` is called for each entry that matches, `rest` awaited
// behind each slice.
template <typename Take, typename Rest>
Task<Status<Error>> for_each_selected(River& river, Selection selection, Take take, Rest rest) {
    queue::Scheduler& scheduler = river.dispatcher().scheduler();
    world::Executor& executor = river.world().executor;
    std::optional<uint32_t> from = 0;
    while (from) {
        std::vector<Selected> unknown;  // only their messages tell
        Monotonic now = river.world().clock.now();
        from =
            scheduler.scan(*from, kSlice, selection.queue, now, [&](const queue::EntryView& entry) {
                auto has = selection.domain.empty()
                               ? EntryDomains::Has::All
                               : river.dispatcher().domains().has(entry.handle, selection.domain);
                if (has == EntryDomains::Has::No) return;
                if (has == EntryDomains::Has::All && !selection.needs_message()) {
                    take(entry, now);
                } else {
                    unknown.push_back(selected_of(entry));
                }
            });
        for (const Selected& one : unknown) {
            auto message = co_await river.spool().read(one.id);
            if (!message || !selection.matches(**message, one.recipients)) continue;
            now = river.world().clock.now();
            // Not called if it is gone meanwhile.
            scheduler.look_at(one.handle, now,
                              [&](const queue::EntryView& entry) { take(entry, now); });
        }
        if (auto done = co_await rest(); !done) co_return done;
        co_await executor.switch_to(executor.current_shard());
    }
    co_return Status<Error>{};
}

Task<Result<Json>> queue_list(River& river, Json args, admin::Rows& rows) {
    auto selection = Selection::from(args);
    if (!selection) co_return std::unexpected(selection.error());
    std::size_t limit = SIZE_MAX;
    if (auto given = args.find("limit"); given != args.end()) {
        if (!given->is_number_unsigned()) co_return fail("\"limit\" is not a number of rows");
        limit = given->get<std::size_t>();
    }
    std::size_t count = 0;
    std::string lines;
    auto take = [&](const queue::EntryView& entry, Monotonic now) {
        if (count++ < limit) begin_row(lines, entry, now).end();  // counted all the same
    };
    auto rest = [&]() -> Task<Status<Error>> {
        auto written = co_await rows.write_lines(lines);
        lines.clear();
        co_return written;
    };
    auto done = co_await for_each_selected(river, std::move(*selection), take, rest);
    if (!done) co_return std::unexpected(done.error());
    co_return Json{{"entries", count},
                   {"shown", std::min(count, limit)},
                   {"recovering", river.is_recovering()}};
}

enum class Verb : uint8_t {
    Retry,
    Hold,
    Release,
    Remove,
    Bounce
};

Task<bool> carry_out(River& river, Verb verb, Selected one, const std::string& who) {
    Dispatcher& dispatcher = river.dispatcher();
    queue::Scheduler& scheduler = dispatcher.scheduler();
    Monotonic now = river.world().clock.now();
    switch (verb) {
        case Verb::Retry:
            co_return scheduler.retry_now(one.handle, now);
        case Verb::Hold:
            co_return scheduler.hold(one.handle, now);
        case Verb::Release:
            co_return scheduler.release(one.handle, now);
        case Verb::Remove:
            co_return co_await dispatcher.end(one.handle, one.id, std::move(one.recipients),
                                              Dispatcher::Ending::Remove, who);
        case Verb::Bounce:
            co_return co_await dispatcher.end(one.handle, one.id, std::move(one.recipients),
                                              Dispatcher::Ending::Bounce, who);
    }
    co_return false;
}

void add_rows(River& river, std::span<const queue::Handle> handles, std::string& lines) {
    Monotonic now = river.world().clock.now();
    for (queue::Handle handle : handles) {
        river.dispatcher().scheduler().look_at(handle, now, [&](const queue::EntryView& entry) {
            begin_row(lines, entry, now).end();
        });
    }
}

// Carries a verb out on some entries side by side, so that their outcomes share syncs; a row for
// each says whether it was done.
class SideBySide {
public:
    SideBySide(River& river, Verb verb, std::string who)
        : river_(river),
          verb_(verb),
          who_(std::move(who)),
          ended_(river.world().executor, river.world().clock) {}

    // Adds the rows to `lines`; how many were done.
    Task<std::size_t> run(std::span<const queue::Handle> handles, std::string& lines) {
        std::deque<Told> all;  // each stays where it is
        Monotonic now = river_.world().clock.now();
        for (queue::Handle handle : handles) {
            river_.dispatcher().scheduler().look_at(
                handle, now, [&](const queue::EntryView& entry) {
                    Told& told = all.emplace_back();
                    told.row.emplace(begin_row(told.line, entry, now));
                    running_++;
                    river_.world().executor.spawn(run_one(selected_of(entry), told));
                });
        }
        while (running_ > 0) co_await ended_.wait(Deadline::never());  // each of them ends
        for (Told& told : all) {
            told.row->add_flag("done", told.done);
            told.row->end();
            lines += told.line;
        }
        co_return static_cast<std::size_t>(std::ranges::count(all, true, &Told::done));
    }

private:
    struct Told {
        std::string line;                     // as the entry stood before
        std::optional<admin::RowWriter> row;  // writes it
        bool done = false;
    };

    Task<void> run_one(Selected one, Told& told) {
        told.done = co_await carry_out(river_, verb_, std::move(one), who_);
        running_--;
        ended_.notify_all();
    }

    River& river_;
    const Verb verb_;
    const std::string who_;
    world::Signal ended_;
    int running_ = 0;
};

// First all that match are found, so that what the verb changes is not met twice; rows come while
// it goes on, so a long run shows how far it is.
Task<Result<Json>> queue_verb(River& river, Verb verb, Json args, admin::Rows& rows) {
    auto selection = Selection::from(args);
    if (!selection) co_return std::unexpected(selection.error());
    bool preview = args.value("preview", false);
    std::string who = args.contains("operator") && args["operator"].is_string()
                          ? without_controls(args["operator"].get<std::string>()).substr(0, 100)
                          : "an operator";
    std::vector<queue::Handle> all;
    auto take = [&](const queue::EntryView& entry, Monotonic) { all.push_back(entry.handle); };
    auto rest = [&]() -> Task<Status<Error>> {
        if (all.size() > kSelectedMax) co_return fail("too many entries match; narrow the filter");
        co_return Status<Error>{};
    };
    auto selected = co_await for_each_selected(river, std::move(*selection), take, rest);
    if (!selected) co_return std::unexpected(selected.error());

    std::size_t changed = 0;
    SideBySide work(river, verb, std::move(who));
    for (std::span<const queue::Handle> left = all; !left.empty();) {
        auto some = left.first(std::min(kAtOnce, left.size()));
        left = left.subspan(some.size());
        std::string lines;
        if (preview) {
            add_rows(river, some, lines);
        } else {
            changed += co_await work.run(some, lines);
        }
        river.dispatcher().wake();
        if (auto written = co_await rows.write_lines(lines); !written) {
            co_return std::unexpected(written.error());
        }
    }
    co_return Json{{"matched", all.size()},
                   {"changed", changed},
                   {"preview", preview},
                   {"recovering", river.is_recovering()}};
}

Task<Result<Json>> sites(River& river, admin::Rows& rows) {
    std::vector<Json> out;
    Monotonic now = river.world().clock.now();
    river.dispatcher().scheduler().visit_sites(
        [&](const queue::SiteView& site) {
            if (site.entries == 0 && site.active == 0) return;
            Json row{{"site", site.site},
                     {"entries", site.entries},
                     {"ready", site.ready},
                     {"active", site.active},
                     {"connections", site.connections},
                     {"failures", site.failures},
                     {"delivered", site.delivered},
                     {"deferred", site.deferred},
                     {"failed", site.failed}};
            if (site.suspended_until) {
                row["suspended_for_seconds"] = seconds(*site.suspended_until - now);
            }
            out.push_back(std::move(row));
        },
        now);
    std::size_t count = out.size();
    for (Json& row : out) {
        if (auto written = co_await rows.write(std::move(row)); !written) {
            co_return std::unexpected(written.error());
        }
    }
    co_return Json{{"sites", count}};
}

}  // namespace

FailureClass standing_class(const spool::Standing& standing) {
    return classify(find_codes(standing.reason).code, standing.status, standing.reason);
}

void add_queue_commands(admin::Commands& commands, River& river) {
    commands["queue list"] = [&river](Json args, admin::Rows& rows) {
        return queue_list(river, std::move(args), rows);
    };
    constexpr std::pair<const char*, Verb> kVerbs[] = {{"queue retry", Verb::Retry},
                                                       {"queue hold", Verb::Hold},
                                                       {"queue release", Verb::Release},
                                                       {"queue remove", Verb::Remove},
                                                       {"queue bounce", Verb::Bounce}};
    for (auto [words, verb] : kVerbs) {
        commands[words] = [&river, verb](Json args, admin::Rows& rows) {
            return queue_verb(river, verb, std::move(args), rows);
        };
    }
    commands["queue sites"] = [&river](const Json&, admin::Rows& rows) {
        return sites(river, rows);
    };
}

}  // namespace postrider::daemon
