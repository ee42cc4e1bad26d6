#include "cli/account.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include "admin/client.h"

namespace postrider::cli {

namespace {

using admin::Json;

std::string date(int64_t seconds) {
    if (seconds == 0) return "never used";
    return fmt::format("last used {:%Y-%m-%d %H:%M} UTC", fmt::gmtime(seconds));
}

std::string list_lines(const Json& row) {
    std::string out = row.value("account", "");
    if (row.value("disabled", false)) out += "  (disabled)";
    for (const Json& pattern : row["send_as"]) out += "  " + pattern.get<std::string>();
    out += "\n";
    for (const Json& password : row["passwords"]) {
        const std::string label = password.value("label", "");
        out += fmt::format("    {:<20} {:<14} {}\n", label.empty() ? "(main)" : label,
                           password.value("scheme", ""), date(password.value("last_use", 0L)));
    }
    return out;
}

Task<int> ask(world::World& world, OperatorOptions options, admin::Request request, Console console,
              std::string done) {
    auto summary =
        co_await admin::call(world, options.socket, std::move(request), [](const Json&) {});
    if (!summary) {
        console.err("postrider: " + summary.error().message + "\n");
        co_return kExitUnavailable;
    }
    console.out(options.json ? summary->dump() + "\n" : done + "\n");
    co_return kExitOk;
}

}  // namespace

Task<int> account_list(world::World& world, OperatorOptions options, Console console) {
    auto on_row = [&](const Json& row) {
        console.out(options.json ? row.dump() + "\n" : list_lines(row));
    };
    auto summary =
        co_await admin::call(world, options.socket, {"account list", Json::object()}, on_row);
    if (!summary) {
        console.err("postrider: " + summary.error().message + "\n");
        co_return kExitUnavailable;
    }
    if (!options.json && summary->value("accounts", 0) > 0 &&
        !summary->value("scram_sha_256", false)) {
        console.out("\nSCRAM-SHA-256 is not offered: some account has no keys for it.\n");
    }
    co_return kExitOk;
}

Task<int> account_add(world::World& world, OperatorOptions options, AccountRequest request,
                      Console console) {
    Json args{{"name", request.name},
              {"password", request.password},
              {"scheme", request.scheme},
              {"send_as", request.send_as}};
    if (request.recipients_max > 0) args["recipients_max"] = request.recipients_max;
    if (request.messages_per_hour > 0) args["messages_per_hour"] = request.messages_per_hour;
    if (request.message_octets_max > 0) args["message_octets_max"] = request.message_octets_max;
    return ask(world, std::move(options), {"account add", std::move(args)}, std::move(console),
               request.name + " was added");
}

Task<int> account_password(world::World& world, OperatorOptions options, AccountRequest request,
                           Console console) {
    Json args{{"name", request.name},
              {"password", request.password},
              {"scheme", request.scheme},
              {"app", request.app},
              {"remove", request.remove}};
    return ask(world, std::move(options), {"account password", std::move(args)}, std::move(console),
               request.remove ? "the app password is gone" : "the password is set");
}

Task<int> account_remove(world::World& world, OperatorOptions options, AccountRequest request,
                         Console console) {
    return ask(world, std::move(options), {"account remove", {{"name", request.name}}},
               std::move(console), request.name + " was removed");
}

}  // namespace postrider::cli
