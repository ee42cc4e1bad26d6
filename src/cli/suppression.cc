#include "cli/suppression.h"

#include <fmt/format.h>

#include "admin/client.h"

namespace postrider::cli {

namespace {

using admin::Json;

std::string text_of(const Json& row, const char* key) {
    auto found = row.find(key);
    return found != row.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string entry_line(const Json& row) {
    std::string scope = text_of(row, "sender_domain");
    return fmt::format("{:<40} {:<20} {:<12} until {}  {}\n", text_of(row, "address"),
                       scope.empty() ? "everybody" : scope, text_of(row, "class"),
                       text_of(row, "until"), text_of(row, "reason"));
}

std::string last_line(const std::string& verb, const Json& summary) {
    std::string off = summary.value("enabled", true)
                          ? ""
                          : "suppression.enabled is false: the list is kept, and nothing is held "
                            "back\n";
    if (verb == "list") return fmt::format("{} entries\n{}", summary.value("entries", 0), off);
    if (verb == "add") return "added " + text_of(summary, "added") + "\n" + off;
    if (verb == "remove") return "removed " + text_of(summary, "removed") + "\n";
    std::string entry = summary.contains("entry") ? entry_line(summary["entry"]) : "";
    return fmt::format("{} is {}\n{}{}", text_of(summary, "address"),
                       summary.value("suppressed", false) ? "suppressed" : "written to", entry,
                       off);
}

}  // namespace

Task<int> suppression(world::World& world, OperatorOptions options, std::string verb,
                      SuppressionQuestion question, Console console) {
    admin::Request request{"suppression " + verb,
                           {{"address", question.address},
                            {"sender_domain", question.sender_domain},
                            {"reason", question.reason},
                            {"operator", question.operator_name}}};
    bool json = options.json;
    auto on_row = [&](const Json& row) { console.out(json ? row.dump() + "\n" : entry_line(row)); };
    auto summary = co_await admin::call(world, options.socket, std::move(request), on_row);
    if (!summary) {
        console.err("postrider: " + summary.error().message + "\n");
        co_return kExitUnavailable;
    }
    if (!json) {
        console.out(last_line(verb, *summary));
    } else if (verb != "list") {
        console.out(summary->dump() + "\n");
    }
    co_return verb == "check" && summary->value("suppressed", false) ? kExitFailed : kExitOk;
}

}  // namespace postrider::cli
