#include "daemon/reporter.h"

#include <algorithm>

#include "daemon/judgement.h"
#include "seal/signing.h"

namespace postrider::daemon {

namespace {

// Ids of reports are made on no shard: their last octet says so.
constexpr int kReporterId = 255;

}  // namespace

Reporter::Reporter(world::World& world, SettingsSource& settings, const DomainKeys& keys,
                   MessageId id_floor)
    : world_(world), settings_(settings), keys_(keys), ids_(kReporterId, id_floor) {}

// A report that cannot be signed goes out as it is.
Task<void> Reporter::sign(report::Report& report, const Settings& settings) {
    std::string_view content = report.content;
    auto keys = keys_.ring();
    auto start =
        seal::Signing::start(*keys, settings.signing, content.substr(0, report.header_octets),
                             /*account=*/"", report.envelope.received);
    auto& signing = start.signing;
    if (!signing) co_return;
    signing->update(content.substr(report.header_octets));
    auto fields = co_await signing->finish(world_.worker);
    if (fields) insert_trace(report.envelope.variants.front(), *fields);
}

Task<std::optional<spool::Incoming>> Reporter::compose(const spool::StoredMessage& message,
                                                       std::vector<RecipientResult> results,
                                                       report::Kind kind,
                                                       std::optional<Wall> retry_until) {
    bool owed = std::ranges::any_of(results, [&](const RecipientResult& result) {
        return report::is_owed(message.envelope, result, kind);
    });
    if (!owed) co_return std::nullopt;
    auto settings = settings_.now();
    std::string content =
        co_await spool::read_beginning(message, world_.disk, report::kReturnedOctetsMax);
    auto report = report::compose({.kind = kind,
                                   .original = message.envelope,
                                   .results = std::move(results),
                                   .content = content,
                                   .content_octets = message.content_octets,
                                   .header_octets = message.header_octets,
                                   .has_8bit = message.has_8bit,
                                   .retry_until = retry_until,
                                   .id = ids_.next(world_.clock.wall()),
                                   .hostname = settings->hostname,
                                   .now = world_.clock.wall()});
    if (!report) co_return std::nullopt;
    co_await sign(*report, *settings);
    // A sender of ours may be an alias.
    auto& recipients = report->envelope.variants.front().recipients;
    auto decision = settings->table->resolve(recipients.front().mailbox);
    if (auto* local = std::get_if<route::Local>(&decision)) {
        Mailbox named = recipients.front().mailbox;
        recipients.clear();
        for (Mailbox& target : local->targets) {
            Recipient recipient;
            if (target != named) recipient.original = named;
            recipient.mailbox = std::move(target);
            recipients.push_back(std::move(recipient));
        }
    }
    co_return spool::Incoming{std::move(report->envelope), std::move(report->content),
                              report->header_octets};
}

spool::Incoming Reporter::copy_of(const spool::Incoming& report) {
    return {report.envelope, std::get<std::string>(report.content), report.header_octets};
}

}  // namespace postrider::daemon
