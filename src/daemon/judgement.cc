#include "daemon/judgement.h"

#include <algorithm>
#include <utility>

#include "mail/trace.h"
#include "mailauth/domain.h"

namespace postrider::daemon {

namespace {

using mailauth::ResultCode;
using verdict::Action;
using verdict::Disposition;

// The author's domain is ASCII, a HELO name may be anything.
constexpr std::size_t kReasonShownMax = 400;

}  // namespace

void insert_trace(Variant& variant, std::string_view fields) {
    std::size_t at = 0;
    if (variant.prefix.starts_with("Delivered-To:")) at = variant.prefix.find("\r\n") + 2;
    variant.prefix.insert(at, fields);
}

Judgement::Judgement(const Settings& settings, const verdict::Evidence& evidence,
                     const Envelope& envelope)
    : settings_(settings),
      evidence_(evidence),
      client_(world::IpAddress::parse(envelope.client.address).value_or(world::IpAddress{})),
      form_(envelope.smtputf8 ? AddressForm::Utf8 : AddressForm::Ascii),
      deferred_(settings.verdict.defer_unknown && evidence.dmarc.code == ResultCode::TempError) {
    by_recipient_.reserve(envelope.recipient_count());
    bool first = true;
    for (const Variant& variant : envelope.variants) {
        for (const Recipient& recipient : variant.recipients) {
            const Disposition& one = decide(recipient);
            by_recipient_.push_back(&one);
            all_refuse_ = all_refuse_ && one.action == Action::Reject;
            if (first || one.action > strictest_.action) strictest_ = one;
            first = false;
        }
    }
    if (all_refuse_ || deferred_ || strictest_.action != Action::Reject) return;
    // For some of them only: those get it marked.
    for (auto& one : decided_) {
        if (!one || one->action != Action::Reject) continue;
        one->action = Action::Quarantine;
        one->applied = std::min(one->applied, mailauth::dmarc::Policy::Quarantine);
        one->overrides = {{mailauth::dmarc::Override::Type::LocalPolicy,
                           "the message has other recipients, who take it"}};
        strictest_ = *one;
    }
}

const Disposition& Judgement::decide(const Recipient& recipient) {
    std::optional<Action> own = settings_.verdict.dmarc_for(recipient);
    auto& place = decided_[own ? 1 + static_cast<std::size_t>(*own) : 0];
    if (!place) place = verdict::decide(evidence_, client_, settings_.verdict.rules, own);
    return *place;
}

std::optional<smtp::Reply> Judgement::refusal() const {
    if (deferred_) {
        return smtp::Reply{451, EnhancedStatus{4, 7, 0},
                           "The policy of the author's domain cannot be had now, come again later"};
    }
    if (!all_refuse_) return std::nullopt;
    return smtp::Reply{550, EnhancedStatus{5, 7, 1},
                       "Message refused: " + mailauth::shown(strictest_.reason, kReasonShownMax)};
}

void Judgement::write_into(Envelope& envelope) const {
    std::vector<Variant> out;
    std::size_t number = 0;
    for (Variant& variant : envelope.variants) {
        // By what is done, and what stands in front because of it.
        std::vector<std::pair<const Disposition*, Variant>> parts;
        for (Recipient& recipient : variant.recipients) {
            const Disposition* one = by_recipient_[number++];
            auto part = std::ranges::find_if(parts, [&](const auto& other) {
                return other.first->action == one->action && other.first->applied == one->applied;
            });
            if (part == parts.end()) {
                part = parts.insert(parts.end(), {one, {variant.reverse_path, variant.prefix, {}}});
            }
            part->second.recipients.push_back(std::move(recipient));
        }
        for (auto& [one, part] : parts) {
            std::string fields = results_field(evidence_, settings_.hostname, form_, one->applied);
            if (one->action == Action::Quarantine) {
                fields += quarantine_field(mailauth::shown(one->reason, kReasonShownMax));
            }
            insert_trace(part, fields);
            out.push_back(std::move(part));
        }
    }
    envelope.variants = std::move(out);
}

}  // namespace postrider::daemon
