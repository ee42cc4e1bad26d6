// Addresses that are not written to again: kept away from jobs, and learnt from what came back.

#include "base/limits.h"
#include "daemon/dispatcher.h"
#include "mail/bounce.h"
#include "mail/trace.h"

namespace postrider::daemon {

namespace {

constexpr std::size_t kReportOctetsRead = 1024 * 1024;

std::string sender_domain(const Envelope& envelope, uint32_t recipient) {
    const ReversePath& path = envelope.variant_of(recipient).reverse_path;
    return path.is_null() ? std::string() : path.mailbox->domain;
}

EnhancedStatus status_of(FailureClass failure) {
    if (failure == FailureClass::BadMailbox) return {5, 1, 1};
    if (failure == FailureClass::BadDomain) return {5, 1, 2};
    return {5, 7, 1};
}

// "bounces+bob=far.example@our.example": the recipient that the report must be about. Empty: the
// address has no tag.
std::string recipient_in_tag(const std::string& local_part, std::string_view delimiters) {
    std::size_t begin = local_part.find_first_of(delimiters);
    if (begin == std::string::npos || delimiters.empty()) return {};
    std::string tag = local_part.substr(begin + 1);
    std::size_t equals = tag.rfind('=');
    if (equals == std::string::npos) return {};
    tag[equals] = '@';
    return tag;
}

}  // namespace

// What failed for good before is not tried again; it ends here, with the reason.
void Dispatcher::leave_out_suppressed(Work& work) {
    if (!settings_.now()->suppression.enabled || suppression_.size() == 0) return;
    const Envelope& envelope = work.message->envelope;
    std::vector<uint32_t> others;
    for (uint32_t number : work.job.recipients) {
        const Suppressed* entry = suppression_.find(envelope.recipient(number).mailbox.text(),
                                                    sender_domain(envelope, number));
        if (!entry) {
            others.push_back(number);
            continue;
        }
        std::string since = date_time(entry->at);
        work.known.push_back({.recipient = number,
                              .verdict = RecipientResult::Verdict::Permanent,
                              .status = status_of(entry->failure),
                              .reason = "suppressed, not tried: since " + since + " this address " +
                                        "is known to fail (" + entry->reason + ")",
                              .kind = FailureKind::Policy});
    }
    work.job.recipients = std::move(others);
}

Task<void> Dispatcher::learn_bounces(const spool::StoredMessage& message,
                                     std::vector<RecipientResult> results) {
    auto settings = settings_.now();
    if (!settings->suppression.enabled) co_return;
    const Envelope& envelope = message.envelope;
    for (const RecipientResult& result : results) {
        const Recipient& recipient = envelope.recipient(result.recipient);
        const Mailbox& mailbox = recipient.mailbox;
        const Mailbox& named = recipient.original ? *recipient.original : mailbox;  // with its tag
        bool theirs = !result.remote_host.empty() || result.kind == FailureKind::Dns;
        if (result.verdict == RecipientResult::Verdict::Permanent && theirs) {
            FailureClass failure = failure_class(result);
            std::string sender = sender_domain(envelope, result.recipient);
            if (is_hard(failure)) suppress(mailbox.text(), sender, failure, result.reason);
        } else if (result.verdict == RecipientResult::Verdict::Delivered &&
                   settings->suppression.is_bounce_address(named, settings->recipient_delimiter) &&
                   envelope.variant_of(result.recipient).reverse_path.is_null()) {
            co_await learn_from_report(message, named);
        }
    }
}

Task<void> Dispatcher::learn_from_report(const spool::StoredMessage& message, Mailbox mailbox) {
    std::string content = co_await spool::read_beginning(message, world_.disk, kReportOctetsRead);
    Bounce bounce = read_bounce(content);
    std::string tagged = recipient_in_tag(mailbox.local_part, settings_.now()->recipient_delimiter);
    for (const BouncedRecipient& one : bounce.recipients) {
        if (!one.permanent || !is_hard(one.failure)) continue;
        bool named = suppression_key(one.address) == suppression_key(tagged) ||
                     suppression_key(one.original) == suppression_key(tagged);
        if (!tagged.empty() && !named) continue;
        if (!Mailbox::parse(one.address, AddressForm::Utf8)) continue;
        suppress(tagged.empty() ? one.address : tagged, mailbox.domain, one.failure, one.text);
    }
}

void Dispatcher::suppress(const std::string& address, const std::string& sender,
                          FailureClass failure, const std::string& reason) {
    auto current = settings_.now();
    const SuppressionSettings& settings = current->suppression;
    if (settings.by_sender && sender.empty()) return;  // nobody it would hold for
    Wall now = world_.clock.wall();
    suppression_.add({.address = address,
                      .scope = settings.by_sender ? sender : std::string(),
                      .failure = failure,
                      .reason = without_controls(reason),
                      .at = now,
                      .until = now + settings.expires_after});
    world_.log.write(Event::Suppressed,
                     {{"address", address}, {"class", name(failure)}, {"reason", reason}});
}

}  // namespace postrider::daemon
