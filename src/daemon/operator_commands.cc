#include "daemon/operator_commands.h"

#include "daemon/account_commands.h"
#include "daemon/domain_commands.h"
#include "daemon/queue_commands.h"
#include "daemon/river.h"
#include "daemon/suppression_commands.h"
#include "mail/trace.h"

namespace postrider::daemon {

namespace {

using admin::Json;

Json envelope_json(const spool::StoredMessage& message) {
    const Envelope& envelope = message.envelope;
    Json variants = Json::array();
    for (const Variant& variant : envelope.variants) {
        variants.push_back({{"reverse_path", variant.reverse_path.text()},
                            {"recipients", variant.recipients.size()},
                            {"judgement", judgement_in(variant.prefix)}});
    }
    return {{"id", envelope.id.text()},           {"received", date_time(envelope.received)},
            {"octets", message.content_octets},   {"client", envelope.client.address},
            {"helo", envelope.client.helo},       {"protocol", envelope.client.protocol},
            {"account", envelope.client.account}, {"variants", variants}};
}

// Empty where nothing failed.
std::string_view class_word(const AttemptResult& result) {
    if (result.state != RecipientState::Waiting && result.state != RecipientState::Failed)
        return "";
    return name(
        failure_class(result.kind, !result.remote_host.empty(), result.status, result.reason));
}

Json attempt_json(const AttemptRecord& record) {
    Json results = Json::array();
    for (const AttemptResult& result : record.results) {
        results.push_back({{"recipient", result.recipient},
                           {"mailbox", result.mailbox},
                           {"state", daemon::name(result.state)},
                           {"status", result.status.text()},
                           {"reason", result.reason},
                           {"detail", result.detail},
                           {"host", result.remote_host},
                           {"failure", postrider::name(result.kind)},
                           {"class", class_word(result)}});
    }
    return {{"attempt", record.number},     {"at", date_time(record.at)},
            {"site", record.site},          {"results", results},
            {"left_out", record.left_out},  {"dialogue", record.dialogue},
            {"judgement", record.judgement}};
}

void add_standing(std::vector<Json>& out, const spool::StoredMessage& message) {
    out.push_back({{"message", envelope_json(message)}});
    for (uint32_t number = 0; number < message.recipients.size(); number++) {
        const Recipient& recipient = message.envelope.recipient(number);
        const spool::Standing& standing = message.recipients[number];
        Json row{{"number", number},
                 {"mailbox", recipient.mailbox.text()},
                 {"original", recipient.original ? recipient.original->text() : ""},
                 {"state", daemon::name(standing.state)},
                 {"status", standing.status.text()},
                 {"reason", standing.reason},
                 {"attempts", standing.attempts}};
        if (!standing.reason.empty()) row["class"] = name(standing_class(standing));
        if (standing.next_attempt.us > 0) row["next"] = date_time(standing.next_attempt);
        out.push_back({{"recipient", std::move(row)}});
    }
}

// What became of a message that has left the spool, from what its attempts say.
void add_ends(std::vector<Json>& out, MessageId id, const AttemptStory& story) {
    const AttemptRecord& last = story.attempts.back();
    Wall received{static_cast<int64_t>(id.value >> 8)};  // base/id.h
    out.push_back({{"finished",
                    {{"id", id.text()},
                     {"received", date_time(received)},
                     {"sender", story.attempts.front().sender},
                     {"judgement", story.attempts.front().judgement},
                     {"at", date_time(last.at)}}}});
    for (const auto& [number, result] : story.newest) {
        // It ended in some way, but the last that is kept is an attempt that failed for a while.
        bool is_known = is_final(result.state);
        out.push_back({{"recipient",
                        {{"number", number},
                         {"mailbox", result.mailbox},
                         {"state", is_known ? daemon::name(result.state) : "not known"},
                         {"status", result.status.text()},
                         {"reason", result.reason}}}});
    }
}

// One message whole: envelope, recipients, attempts with what was said.
Task<Result<Json>> show(River& river, Json args, admin::Rows& rows) {
    auto id = args.contains("id") && args["id"].is_string()
                  ? MessageId::parse(args["id"].get<std::string>())
                  : std::nullopt;
    if (!id) co_return fail("that is not an id of a message");
    auto message = co_await river.spool().read(*id);
    if (!message && message.error().kind != spool::SpoolError::Kind::NotFound) {
        co_return fail(message.error().message);
    }
    AttemptStory story = co_await river.dispatcher().attempts().of(*id);
    if (!message && story.attempts.empty()) {
        co_return fail("no message " + id->text() +
                       " is in the spool, and no attempt of one is kept any more; what became of "
                       "it stands in the log");
    }
    std::vector<Json> out;
    if (message) {
        add_standing(out, **message);
    } else {
        add_ends(out, *id, story);
    }
    for (std::size_t i = 0; i < story.attempts.size(); i++) {
        if (i == 1 && story.skipped > 0) out.push_back({{"skipped", story.skipped}});
        out.push_back({{"attempt", attempt_json(story.attempts[i])}});
    }
    for (Json& row : out) {
        if (auto written = co_await rows.write(std::move(row)); !written) {
            co_return std::unexpected(written.error());
        }
    }
    co_return Json{{"in_spool", message.has_value()}};
}

Task<Result<Json>> status(River& river) {
    auto spool = co_await river.spool().stats();
    queue::Totals queue = river.dispatcher().scheduler().totals();
    co_return Json{{"sessions", river.session_count()},
                   {"recovering", river.is_recovering()},
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

admin::Commands operator_commands(River& river,
                                  const std::function<Task<Status<Error>>()>& reload) {
    admin::Commands commands;
    add_queue_commands(commands, river);
    commands["show"] = [&river](Json args, admin::Rows& rows) {
        return show(river, std::move(args), rows);
    };
    add_domain_commands(commands, river);
    add_suppression_commands(commands, river);
    add_account_commands(commands, river);
    commands["status"] = [&river](const Json&, admin::Rows&) { return status(river); };
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
