#include "daemon/reporter.h"

#include <algorithm>

namespace postrider::daemon {

namespace {

// Ids of reports are made on no shard: their last octet says so.
constexpr int kReporterId = 255;

}  // namespace

Reporter::Reporter(world::World& world, SettingsSource& settings, MessageId id_floor)
    : world_(world), settings_(settings), ids_(kReporterId, id_floor) {}

Task<std::optional<spool::Incoming>> Reporter::compose(const spool::StoredMessage& message,
                                                       std::vector<RecipientResult> results,
                                                       report::Kind kind,
                                                       std::optional<Wall> retry_until) {
    bool owed = std::ranges::any_of(results, [&](const RecipientResult& result) {
        return report::is_owed(message.envelope, result.recipient, kind);
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
