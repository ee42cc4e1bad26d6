#include "daemon/suppression_commands.h"

#include "daemon/river.h"
#include "daemon/suppression_list.h"
#include "mail/trace.h"

namespace postrider::daemon {

namespace {

using admin::Json;

constexpr auto kWriteTime = std::chrono::seconds(30);

std::string word(const Json& args, const char* key) {
    auto found = args.find(key);
    return found != args.end() && found->is_string()
               ? without_controls(found->get<std::string>()).substr(0, 500)
               : std::string();
}

Result<std::string> address_in(const Json& args) {
    std::string text = word(args, "address");
    auto mailbox = Mailbox::parse(text, AddressForm::Utf8);
    if (!mailbox) return fail("\"" + text + "\" is not an address");
    return mailbox->text();
}

Json row_of(const Suppressed& entry) {
    return {{"address", entry.address},     {"sender_domain", entry.scope},
            {"class", name(entry.failure)}, {"reason", entry.reason},
            {"since", date_time(entry.at)}, {"until", date_time(entry.until)}};
}

void log_change(River& river, const std::string& address, std::string_view command,
                const Json& args) {
    std::string who = word(args, "operator");
    river.world().log.write(
        Event::SuppressionChanged,
        {{"address", address}, {"command", command}, {"operator", who.empty() ? "" : who}});
}

Task<Status<Error>> written(River& river) {
    co_return co_await river.suppression().written(
        Deadline::after(river.world().clock.now(), kWriteTime));
}

// The rows are made first: while one is written, entries may come and go.
Task<Result<Json>> list(River& river, Json args, admin::Rows& rows) {
    std::string text = suppression_key(word(args, "address"));
    std::string scope = suppression_key(word(args, "sender_domain"));
    std::vector<Json> out;
    river.suppression().visit([&](const Suppressed& entry) {
        bool wanted = entry.address.find(text) != std::string::npos;
        if (wanted && (scope.empty() || entry.scope == scope)) out.push_back(row_of(entry));
    });
    std::size_t count = out.size();
    for (Json& row : out) {
        if (auto done = co_await rows.write(std::move(row)); !done) {
            co_return std::unexpected(done.error());
        }
    }
    co_return Json{{"entries", count}, {"enabled", river.config().suppression.enabled}};
}

Task<Result<Json>> add(River& river, Json args) {
    auto address = address_in(args);
    if (!address) co_return std::unexpected(address.error());
    std::string reason = word(args, "reason");
    std::string who = word(args, "operator");
    Wall now = river.world().clock.wall();
    river.suppression().add({.address = *address,
                             .scope = word(args, "sender_domain"),
                             .failure = FailureClass::Other,
                             .reason = "added by " + (who.empty() ? "an operator" : who) +
                                       (reason.empty() ? "" : ": " + reason),
                             .at = now,
                             .until = now + river.config().suppression.expires_after});
    if (auto done = co_await written(river); !done) co_return std::unexpected(done.error());
    log_change(river, *address, "add", args);
    co_return Json{{"added", *address}, {"enabled", river.config().suppression.enabled}};
}

Task<Result<Json>> remove(River& river, Json args) {
    auto address = address_in(args);
    if (!address) co_return std::unexpected(address.error());
    bool removed = river.suppression().remove(*address, word(args, "sender_domain"));
    if (!removed) co_return fail(*address + " is not on the list");
    if (auto done = co_await written(river); !done) co_return std::unexpected(done.error());
    log_change(river, *address, "remove", args);
    co_return Json{{"removed", *address}};
}

Task<Result<Json>> check(River& river, Json args) {
    auto address = address_in(args);
    if (!address) co_return std::unexpected(address.error());
    const Suppressed* entry = river.suppression().find(*address, word(args, "sender_domain"));
    bool enabled = river.config().suppression.enabled;
    Json out{{"address", *address}, {"enabled", enabled}, {"suppressed", enabled && entry}};
    if (entry) out["entry"] = row_of(*entry);
    co_return out;
}

}  // namespace

void add_suppression_commands(admin::Commands& commands, River& river) {
    commands["suppression list"] = [&river](Json args, admin::Rows& rows) {
        return list(river, std::move(args), rows);
    };
    commands["suppression add"] = [&river](Json args, admin::Rows&) {
        return add(river, std::move(args));
    };
    commands["suppression remove"] = [&river](Json args, admin::Rows&) {
        return remove(river, std::move(args));
    };
    commands["suppression check"] = [&river](Json args, admin::Rows&) {
        return check(river, std::move(args));
    };
}

}  // namespace postrider::daemon
