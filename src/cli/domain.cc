#include "cli/domain.h"

#include <fmt/format.h>

#include <functional>

#include "admin/client.h"

namespace postrider::cli {

namespace {

using admin::Json;

std::string text_of(const Json& row, const char* key) {
    auto found = row.find(key);
    if (found == row.end()) return {};
    return found->is_string() ? found->get<std::string>() : found->dump();
}

std::string record_line(const Json& row) { return text_of(row["record"], "zone") + "\n"; }

std::string list_line(const Json& row) {
    std::string out = text_of(row, "domain");
    if (!row.value("kept_here", false)) out += "  (only keys: its mail is not kept here)";
    out += "\n";
    for (const Json& key : row["keys"]) {
        out += fmt::format("    {:<14} {:<8} {:>5} bits  {}\n", text_of(key, "selector"),
                           text_of(key, "algorithm"), text_of(key, "bits"), text_of(key, "state"));
    }
    if (row["keys"].empty()) out += "    no keys: its mail is not signed\n";
    return out;
}

std::string check_line(const Json& row) {
    const Json& check = row["check"];
    return fmt::format("{:<8} {:<6} {}: {}\n", text_of(check, "state"), text_of(check, "about"),
                       text_of(check, "name"), text_of(check, "text"));
}

std::string rotation_hint(const std::string& domain, const std::string& step) {
    if (step == "make") {
        return fmt::format(
            "\nPublish these beside the others. The old keys go on signing. When the records are\n"
            "everywhere (a day is enough): postrider domain rotate {} --switch\n",
            domain);
    }
    if (step == "switch") {
        return fmt::format(
            "The new keys sign now. Leave the records of the old ones published while mail signed\n"
            "with them is on its way (a week). Then: postrider domain rotate {} --finish\n",
            domain);
    }
    return "The keys are gone. Remove these records from the zone.\n";
}

struct Answer {
    int code = kExitOk;
    Json summary = Json::object();
};

Task<Answer> ask(world::World& world, OperatorOptions options, admin::Request request,
                 Console console, std::function<std::string(const Json&)> line) {
    auto on_row = [&](const Json& row) {
        console.out(options.json ? row.dump() + "\n" : line(row));
    };
    auto summary = co_await admin::call(world, options.socket, std::move(request), on_row);
    if (!summary) {
        console.err("postrider: " + summary.error().message + "\n");
        co_return Answer{kExitUnavailable, Json::object()};
    }
    co_return Answer{kExitOk, std::move(*summary)};
}

}  // namespace

Task<int> domain_list(world::World& world, OperatorOptions options, Console console) {
    Answer answer = co_await ask(world, std::move(options), {"domain list", Json::object()},
                                 std::move(console), list_line);
    co_return answer.code;
}

Task<int> domain_add(world::World& world, OperatorOptions options, std::string domain,
                     Console console) {
    bool json = options.json;
    admin::Request request{"domain add", {{"domain", domain}}};
    Answer answer =
        co_await ask(world, std::move(options), std::move(request), console, record_line);
    if (answer.code != kExitOk || json) co_return answer.code;
    bool made = answer.summary.value("made", false);
    console.out(
        fmt::format("\n{} The records above belong into the zone of {}; where there is\n"
                    "an SPF or DMARC record already, change it instead of adding one.\n",
                    made ? "New keys were made, and sign from now on." : "There are keys already.",
                    text_of(answer.summary, "domain")));
    if (std::string smarthost = text_of(answer.summary, "smarthost"); !smarthost.empty()) {
        console.out(
            fmt::format("Mail goes out through {}: its addresses belong into the SPF "
                        "record too.\n",
                        smarthost));
    }
    console.out(
        fmt::format("Then: postrider domain check {}\n", text_of(answer.summary, "domain")));
    co_return kExitOk;
}

Task<int> domain_rotate(world::World& world, OperatorOptions options, std::string domain,
                        Rotation rotation, Console console) {
    bool json = options.json;
    admin::Request request{
        "domain rotate", {{"domain", domain}, {"step", rotation.step}, {"force", rotation.force}}};
    Answer answer =
        co_await ask(world, std::move(options), std::move(request), console, record_line);
    if (answer.code != kExitOk || json) co_return answer.code;
    console.out(rotation_hint(text_of(answer.summary, "domain"), rotation.step));
    co_return kExitOk;
}

Task<int> domain_check(world::World& world, OperatorOptions options, std::string domain,
                       Console console) {
    bool json = options.json;
    admin::Request request{"domain check", {{"domain", domain}}};
    Answer answer =
        co_await ask(world, std::move(options), std::move(request), console, check_line);
    if (answer.code != kExitOk) co_return answer.code;
    int problems = answer.summary.value("problems", 0);
    if (json) {
        console.out(answer.summary.dump() + "\n");
    } else {
        console.out(problems == 0 ? std::string("nothing to mend\n")
                                  : fmt::format("{} to mend\n", problems));
    }
    co_return problems == 0 ? kExitOk : kExitFailed;
}

}  // namespace postrider::cli
