#include "cli/operator.h"

#include <fmt/format.h>

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
    auto rest = static_cast<long>(seconds);
    if (rest >= 86'400) return fmt::format("{}d {}h", rest / 86'400, rest % 86'400 / 3'600);
    if (rest >= 3'600) return fmt::format("{}h {}m", rest / 3'600, rest % 3'600 / 60);
    if (rest >= 60) return fmt::format("{}m {}s", rest / 60, rest % 60);
    return fmt::format("{}s", rest);
}

std::string queue_line(const Json& row) {
    return fmt::format("{:<13} {:<9} {:>4} {:>8} {:>8} {:>3}  {:<28} {}\n", text_of(row, "id"),
                       text_of(row, "state"), text_of(row, "recipients"),
                       span_text(row.value("age_seconds", 0.0)),
                       span_text(row.value("due_in_seconds", 0.0)), text_of(row, "attempts"),
                       text_of(row, "site"), text_of(row, "last_failure"));
}

// Asks, prints rows and, at the end, what `finish` makes of the summary.
Task<int> ask(world::World& world, OperatorOptions options, admin::Request request, Console console,
              std::function<std::string(const Json&)> line,
              std::function<std::string(const Json&)> finish) {
    auto on_row = [&](const Json& row) {
        console.out(options.json ? row.dump() + "\n" : line(row));
    };
    auto summary = co_await admin::call(world, options.socket, std::move(request), on_row);
    if (!summary) {
        console.err("postrider: " + summary.error().message + "\n");
        co_return kExitUnavailable;
    }
    std::string last = finish(*summary);
    if (!last.empty()) console.out(last);
    co_return kExitOk;
}

}  // namespace

Task<int> queue_list(world::World& world, OperatorOptions options, QueueFilter filter,
                     Console console) {
    admin::Request request{"queue list", Json::object()};
    if (!filter.site.empty()) request.args["site"] = filter.site;
    if (!filter.sender.empty()) request.args["sender"] = filter.sender;
    if (!filter.id.empty()) request.args["id"] = filter.id;
    if (!options.json) {
        console.out(fmt::format("{:<13} {:<9} {:>4} {:>8} {:>8} {:>3}  {:<28} {}\n", "ID", "STATE",
                                "RCPT", "AGE", "DUE IN", "TRY", "SITE", "LAST FAILURE"));
    }
    bool json = options.json;
    co_return co_await ask(world, std::move(options), std::move(request), std::move(console),
                           queue_line, [json](const Json& summary) {
                               if (json) return std::string();
                               return fmt::format("{} in the queue\n", text_of(summary, "entries"));
                           });
}

Task<int> status(world::World& world, OperatorOptions options, Console console) {
    bool json = options.json;
    co_return co_await ask(world, std::move(options), {"status", Json::object()},
                           std::move(console), [](const Json& row) { return row.dump() + "\n"; },
                           [json](const Json& summary) {
                               return (json ? summary.dump() : summary.dump(2)) + "\n";
                           });
}

Task<int> reload(world::World& world, OperatorOptions options, Console console) {
    co_return co_await ask(world, std::move(options), {"reload", Json::object()},
                           std::move(console), [](const Json& row) { return row.dump() + "\n"; },
                           [](const Json&) { return std::string("reloaded\n"); });
}

}  // namespace postrider::cli
