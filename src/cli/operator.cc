#include "cli/operator.h"

#include <fmt/format.h>

#include <charconv>
#include <tuple>

#include "admin/client.h"

namespace postrider::cli {

namespace {

using admin::Json;

std::string text_of(const Json& row, const char* key) {
    auto found = row.find(key);
    if (found == row.end()) return {};
    return found->is_string() ? found->get<std::string>() : found->dump();
}

// "3d 4h", "12m 5s": the two largest units.
std::string span_text(double seconds) {
    constexpr std::tuple<long, std::string_view, long, std::string_view> kUnits[] = {
        {86'400, "d ", 3'600, "h"}, {3'600, "h ", 60, "m"}, {60, "m ", 1, "s"}};
    auto rest = static_cast<long>(seconds);
    for (const auto& [unit, name, smaller, smaller_name] : kUnits) {
        if (rest < unit) continue;
        std::string out = std::to_string(rest / unit);
        out += name;
        out += std::to_string(rest % unit / smaller);
        out += smaller_name;
        return out;
    }
    return std::to_string(rest) + "s";
}

double number_in(std::string_view text) {
    double number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
}

// One line of the list of the queue. There may be a million of them: they are not read as Json, and
// take no memory of their own.
struct QueueColumns {
    std::string id, state, recipients, age, due, attempts, site, last_failure;

    void read(std::string_view row, bool& done) {
        for (std::string* column :
             {&id, &state, &recipients, &age, &due, &attempts, &site, &last_failure}) {
            column->clear();
        }
        std::string_view key, value;
        for (admin::RowReader members(row); members.next(key, value);) {
            if (key == "id") id = value;
            if (key == "state") state = value;
            if (key == "recipients") recipients = value;
            if (key == "age_seconds") age = span_text(number_in(value));
            if (key == "due_in_seconds") due = span_text(number_in(value));
            if (key == "attempts") attempts = value;
            if (key == "site") site = value;
            if (key == "last_failure") last_failure = value;
            if (key == "done") done = value == "true";
        }
    }

    void write(std::string& out) const {
        auto left = [&](const std::string& text, std::size_t width) {
            out += text;
            if (text.size() < width) out.append(width - text.size(), ' ');
        };
        auto right = [&](const std::string& text, std::size_t width) {
            if (text.size() < width) out.append(width - text.size(), ' ');
            out += text;
        };
        left(id, 14);
        left(state, 9);
        right(recipients, 5);
        right(age, 9);
        right(due, 9);
        right(attempts, 4);
        out += "  ";
        left(site, 28);
        out += ' ';
        out += last_failure;
        out += '\n';
    }
};

// Adds to the text what is told of a row.
using Line = std::function<void(std::string& out, std::string_view row)>;

Line queue_line() {
    return [columns = QueueColumns()](std::string& out, std::string_view row) mutable {
        bool done = true;
        columns.read(row, done);
        columns.write(out);
        if (!done) out += "              (not done: it has changed meanwhile)\n";
    };
}

std::string queue_heading() {
    std::string out;
    QueueColumns{"ID", "STATE", "RCPT", "AGE", "DUE IN", "TRY", "SITE", "LAST FAILURE"}.write(out);
    return out;
}

Json args_of(const QueueFilter& filter) {
    Json args = Json::object();
    auto put = [&](const char* key, const std::string& value) {
        if (!value.empty()) args[key] = value;
    };
    put("id", filter.id);
    put("site", filter.site);
    put("sender", filter.sender);
    put("domain", filter.domain);
    put("recipient", filter.recipient);
    put("error", filter.error);
    put("class", filter.failure_class);
    put("state", filter.state);
    if (filter.older_than_seconds > 0) args["older_than_seconds"] = filter.older_than_seconds;
    return args;
}

// The lines of the fields that say it, as they stand in the message.
std::string judgement_part(const std::string& judgement) {
    std::string out;
    for (std::size_t begin = 0; begin < judgement.size();) {
        std::size_t end = std::min(judgement.find('\n', begin), judgement.size());
        std::string line = judgement.substr(begin, end - begin);
        if (line.ends_with('\r')) line.pop_back();
        out += (begin == 0 ? "Judged     " : "           ") + line + "\n";
        begin = end + 1;
    }
    return out;
}

std::string message_part(const Json& message) {
    std::string from =
        message["variants"].empty() ? "" : text_of(message["variants"].front(), "reverse_path");
    std::string out = fmt::format(
        "Message    {}\nReceived   {} from {} ({}) with {}\nSender     <{}>\nSize       {} "
        "octets\n",
        text_of(message, "id"), text_of(message, "received"), text_of(message, "client"),
        text_of(message, "helo"), text_of(message, "protocol"), from, text_of(message, "octets"));
    // A copy for each way in which recipients are treated.
    for (const Json& variant : message["variants"]) {
        out += judgement_part(text_of(variant, "judgement"));
    }
    return out;
}

std::string finished_part(const Json& message) {
    return fmt::format(
               "Message    {}\nReceived   {}\nSender     <{}>\nFinished   {}, no longer in the "
               "spool\n",
               text_of(message, "id"), text_of(message, "received"), text_of(message, "sender"),
               text_of(message, "at")) +
           judgement_part(text_of(message, "judgement"));
}

std::string recipient_part(const Json& recipient) {
    std::string out = fmt::format("Recipient  <{}> {}", text_of(recipient, "mailbox"),
                                  text_of(recipient, "state"));
    if (std::string original = text_of(recipient, "original"); !original.empty()) {
        out += fmt::format(", named as <{}>", original);
    }
    if (std::string reason = text_of(recipient, "reason"); !reason.empty()) {
        out += fmt::format("\n           {} {}", text_of(recipient, "status"), reason);
    }
    if (std::string next = text_of(recipient, "next"); !next.empty()) {
        out +=
            fmt::format("\n           attempt {} at {}", recipient.value("attempts", 0) + 1, next);
    }
    return out + "\n";
}

std::string attempt_part(const Json& attempt) {
    // Without a site nothing was tried: time was up, or an operator ended it.
    std::string site = text_of(attempt, "site");
    std::string out = site.empty()
                          ? fmt::format("\nEnded  {}\n", text_of(attempt, "at"))
                          : fmt::format("\nAttempt {}  {} to {}\n", text_of(attempt, "attempt"),
                                        text_of(attempt, "at"), site);
    for (const Json& result : attempt["results"]) {
        std::string failure = text_of(result, "class");
        if (!failure.empty()) failure = fmt::format("[{}] ", failure);
        out += fmt::format("  <{}> {}: {}{} {} {}\n", text_of(result, "mailbox"),
                           text_of(result, "state"), failure, text_of(result, "status"),
                           text_of(result, "reason"), text_of(result, "detail"));
    }
    if (int more = attempt.value("left_out", 0); more > 0) {
        out += fmt::format("  and {} more recipients\n", more);
    }
    std::string dialogue = text_of(attempt, "dialogue");
    std::size_t begin = 0;
    while (begin < dialogue.size()) {
        std::size_t end = std::min(dialogue.find('\n', begin), dialogue.size());
        out += "    " + dialogue.substr(begin, end - begin) + "\n";
        begin = end + 1;
    }
    return out;
}

// One row of the answer to "show".
std::string story_part(const Json& row) {
    if (row.contains("message")) return message_part(row["message"]);
    if (row.contains("finished")) return finished_part(row["finished"]);
    if (row.contains("skipped")) {
        return fmt::format("\n({} attempts are not shown)\n", text_of(row, "skipped"));
    }
    if (row.contains("recipient")) return recipient_part(row["recipient"]);
    if (row.contains("attempt")) return attempt_part(row["attempt"]);
    return row.dump() + "\n";
}

// For rows of which there are few.
Line read_as_json(std::string (*text)(const Json&)) {
    return [text](std::string& out, std::string_view row) {
        Json value = Json::parse(row, nullptr, /*allow_exceptions=*/false);
        if (value.is_object()) {
            out += text(value);
        } else {
            out.append(row).append("\n");
        }
    };
}

void as_it_is(std::string& out, std::string_view row) { out.append(row).append("\n"); }

// Asks, prints rows and, at the end, what `finish` makes of the summary.
Task<int> ask(world::World& world, OperatorOptions options, admin::Request request, Console console,
              Line line, std::function<std::string(const Json&)> finish) {
    if (options.json) line = as_it_is;
    std::string text;
    auto on_row = [&](std::string_view row) {
        text.clear();
        line(text, row);
        console.out(text);
    };
    auto summary = co_await admin::call_for_text(world, options.socket, std::move(request), on_row);
    if (!summary) {
        console.err("postrider: " + summary.error().message + "\n");
        co_return kExitUnavailable;
    }
    std::string last = finish(*summary);
    if (!last.empty()) console.out(last);
    co_return kExitOk;
}

// Soon after a start there is more than what was shown.
std::string_view recovering(const Json& summary) {
    if (!summary.value("recovering", false)) return "";
    return "more may come: what was in the spool at the start is still being read\n";
}

}  // namespace

bool QueueFilter::is_empty() const {
    return id.empty() && site.empty() && sender.empty() && domain.empty() && recipient.empty() &&
           error.empty() && failure_class.empty() && state.empty() && older_than_seconds == 0;
}

Task<int> queue_list(world::World& world, OperatorOptions options, QueueFilter filter,
                     uint64_t limit, Console console) {
    if (!options.json) console.out(queue_heading());
    admin::Request request{"queue list", args_of(filter)};
    if (limit > 0) request.args["limit"] = limit;
    auto finish = [json = options.json](const Json& summary) {
        if (json) return std::string();
        std::string entries = text_of(summary, "entries"), shown = text_of(summary, "shown");
        std::string left_out =
            shown == entries ? "" : ", of which the first " + shown + " are shown";
        return fmt::format("{} in the queue{}\n{}", entries, left_out, recovering(summary));
    };
    co_return co_await ask(world, std::move(options), std::move(request), std::move(console),
                           queue_line(), finish);
}

Task<int> queue_verb(world::World& world, OperatorOptions options, QueueFilter filter,
                     QueueVerb verb, Console console) {
    admin::Request request{"queue " + verb.name, args_of(filter)};
    request.args["preview"] = verb.preview;
    request.args["operator"] = verb.operator_name;
    if (!options.json) console.out(queue_heading());
    bool json = options.json;
    co_return co_await ask(world, std::move(options), std::move(request), std::move(console),
                           queue_line(), [json, preview = verb.preview](const Json& summary) {
                               if (json) return summary.dump() + "\n";
                               if (preview) {
                                   return fmt::format("{} would be touched; nothing was done\n{}",
                                                      text_of(summary, "matched"),
                                                      recovering(summary));
                               }
                               return fmt::format("{} of {} done\n{}", text_of(summary, "changed"),
                                                  text_of(summary, "matched"), recovering(summary));
                           });
}

Task<int> queue_sites(world::World& world, OperatorOptions options, Console console) {
    if (!options.json) {
        console.out(fmt::format("{:<40} {:>8} {:>6} {:>6} {:>5} {:>8} {:>8} {:>8}  {}\n", "SITE",
                                "ENTRIES", "READY", "ACTIVE", "CONN", "GIVEN", "LATER", "FAILED",
                                "SUSPENDED"));
    }
    auto line = [](const Json& row) {
        std::string suspended = row.contains("suspended_for_seconds")
                                    ? span_text(row.value("suspended_for_seconds", 0.0))
                                    : "";
        return fmt::format("{:<40} {:>8} {:>6} {:>6} {:>5} {:>8} {:>8} {:>8}  {}\n",
                           text_of(row, "site"), text_of(row, "entries"), text_of(row, "ready"),
                           text_of(row, "active"), text_of(row, "connections"),
                           text_of(row, "delivered"), text_of(row, "deferred"),
                           text_of(row, "failed"), suspended);
    };
    co_return co_await ask(world, std::move(options), {"queue sites", Json::object()},
                           std::move(console), read_as_json(line),
                           [](const Json&) { return std::string(); });
}

Task<int> show(world::World& world, OperatorOptions options, std::string id, Console console) {
    admin::Request request{"show", {{"id", id}}};
    co_return co_await ask(world, std::move(options), std::move(request), std::move(console),
                           read_as_json(story_part), [](const Json&) { return std::string(); });
}

Task<int> status(world::World& world, OperatorOptions options, Console console) {
    bool json = options.json;
    co_return co_await ask(
        world, std::move(options), {"status", Json::object()}, std::move(console), as_it_is,
        [json](const Json& summary) { return (json ? summary.dump() : summary.dump(2)) + "\n"; });
}

Task<int> reload(world::World& world, OperatorOptions options, Console console) {
    co_return co_await ask(world, std::move(options), {"reload", Json::object()},
                           std::move(console), as_it_is,
                           [](const Json&) { return std::string("reloaded\n"); });
}

}  // namespace postrider::cli
