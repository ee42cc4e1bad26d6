#include "report/report.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/situation.h"
#include "mail/dsn.h"
#include "mail/header.h"
#include "mail/trace.h"

namespace postrider::report {

namespace {

constexpr std::size_t kTextColumns = 76;
constexpr std::size_t kFieldOctetsMax = 900;  // well below the 998 of RFC 5322 §2.1.1

// What strangers wrote, made fit for a line of a report: no controls, bounded, ASCII only unless
// the report itself is international.
std::string safe(std::string_view text, bool utf8) {
    std::string out = without_controls(text.substr(0, kFieldOctetsMax));
    if (utf8) return out;
    for (char& c : out) {
        if (static_cast<unsigned char>(c) > 126) c = '?';
    }
    return out;
}

// `text` in lines of at most kTextColumns, each behind `indent`; a longer word stands alone.
std::string wrapped(std::string_view text, std::string_view indent) {
    std::string out;
    std::size_t column = 0;
    while (!text.empty()) {
        std::size_t begin = text.find_first_not_of(' ');
        if (begin == std::string_view::npos) break;
        text.remove_prefix(begin);
        std::string_view word = text.substr(0, text.find(' '));
        text.remove_prefix(word.size());
        if (column > 0 && column + 1 + word.size() > kTextColumns) {
            out += "\r\n";
            column = 0;
        }
        if (column == 0) {
            out += indent;
            column = indent.size();
        } else {
            out += ' ';
            column++;
        }
        out += word;
        column += word.size();
    }
    out += "\r\n";
    return out;
}

// RFC 3464 §2.3.1, RFC 6533 §3: the address type and the address, "rfc822" or "utf-8".
std::string typed_address(const Mailbox& mailbox, bool utf8) {
    bool ascii = mailbox.is_ascii();
    return (ascii ? "rfc822; " : "utf-8; ") + safe(mailbox.text(), utf8 || !ascii);
}

bool is_relayed(const RecipientResult* result) {
    return result->verdict == RecipientResult::Verdict::Relayed;
}

const Mailbox& named_by_client(const Recipient& recipient) {
    return recipient.original ? *recipient.original : recipient.mailbox;
}

// A sentence for a person who has never seen a status code.
std::string_view advice(const RecipientResult& result, Kind kind) {
    if (kind == Kind::Delay) return "You need not do anything: delivery is being tried again.";
    if (kind == Kind::Success) {
        return result.verdict == RecipientResult::Verdict::Delivered
                   ? "It is in the recipient's mailbox."
               : result.tell_relayed
                   ? "It was handed to the next mail system."
                   : "It was handed to the next mail system, which does not send reports like "
                     "this one.";
    }
    switch (result.status.subject) {
        case 1:
            return "Check the address for mistakes, or ask the recipient for the right one.";
        case 2:
            return "The mailbox cannot take mail at present; try to reach the recipient in another "
                   "way.";
        case 3:
            return "The recipient's system cannot take this message.";
        case 4:
            return "The recipient's system could not be reached; try again later.";
        case 6:
            return "The recipient's system does not take this kind of content.";
        case 7:
            return "The message was refused by a rule; the recipient's postmaster can say more.";
        default:
            return "If this goes on, ask the postmaster of the recipient's domain.";
    }
}

class Composer {
public:
    explicit Composer(const Facts& facts) : facts_(facts) {
        for (const auto& result : facts.results) {
            if (is_owed(facts.original, result, facts.kind)) results_.push_back(&result);
        }
        utf8_ = facts.original.smtputf8;
        boundary_ = fmt::format("report.{}.{}", facts.id.text(), facts.original.id.text());
    }

    std::optional<Report> compose() {
        if (results_.empty()) return std::nullopt;
        if (facts_.kind == Kind::Failure) reached(Situation::ReportOfFailure);
        if (facts_.kind == Kind::Delay) reached(Situation::ReportOfDelay);
        std::string header = header_block();
        Report report;
        report.header_octets = static_cast<uint32_t>(header.size());
        report.content = std::move(header);
        report.content += "--" + boundary_ + "\r\n" + for_people() + "\r\n";
        report.content += "--" + boundary_ + "\r\n" + for_programs() + "\r\n";
        report.content += "--" + boundary_ + "\r\n" + returned() + "\r\n";
        report.content += "--" + boundary_ + "--\r\n";
        report.envelope = envelope(report.content);
        return report;
    }

private:
    const Mailbox& sender() const { return *facts_.original.variants.front().reverse_path.mailbox; }

    Envelope envelope(std::string_view content) const {
        Envelope envelope;
        envelope.id = facts_.id;
        envelope.received = facts_.now;
        envelope.smtputf8 = utf8_;
        envelope.priority = facts_.original.priority;  // RFC 6710 §4.6
        envelope.priority_given = facts_.original.priority_given;
        envelope.requiretls = facts_.original.requiretls;  // RFC 8689 §5
        envelope.client.protocol = "local";
        envelope.client.helo = facts_.hostname;
        bool eight_bit = std::ranges::any_of(
            content, [](char c) { return static_cast<unsigned char>(c) > 127; });
        envelope.body = eight_bit ? BodyType::EightBitMime : BodyType::SevenBit;
        Variant variant;
        Recipient recipient;
        recipient.mailbox = sender();
        recipient.notify = DsnNotify{.never = true};
        variant.recipients.push_back(std::move(recipient));
        envelope.variants.push_back(std::move(variant));
        return envelope;
    }

    std::string header_block() const {
        std::string_view subject = facts_.kind == Kind::Failure
                                       ? "Your message could not be delivered"
                                   : facts_.kind == Kind::Delay ? "Your message is delayed"
                                                                : "Your message was delivered";
        if (facts_.kind == Kind::Success && std::ranges::any_of(results_, is_relayed)) {
            subject = "Your message was sent on";
        }
        return fmt::format(
            "Date: {}\r\n"
            "From: Mail Delivery <postmaster@{}>\r\n"
            "To: <{}>\r\n"
            "Subject: {}\r\n"
            "Message-ID: <{}@{}>\r\n"
            "{}"
            "Auto-Submitted: auto-replied\r\n"
            "MIME-Version: 1.0\r\n"
            "Content-Type: multipart/report; report-type=delivery-status;\r\n"
            "\tboundary=\"{}\"\r\n"
            "\r\n",
            date_time(facts_.now), facts_.hostname, safe(sender().text(), true), subject,
            facts_.id.text(), facts_.hostname, references(), boundary_);
    }

    // Lets a mail program show the report beside the message (RFC 5322 §3.6.4).
    std::string references() const {
        auto field = find_field(header_of_original(), "Message-ID");
        if (!field) return {};
        std::string id = unfolded(field->value);
        bool sound = id.size() > 2 && id.size() < 250 && id.front() == '<' && id.back() == '>' &&
                     std::ranges::all_of(id, [](char c) { return c > 32 && c < 127; });
        return sound ? "In-Reply-To: " + id + "\r\nReferences: " + id + "\r\n" : std::string();
    }

    std::string for_people() const {
        std::string text = fmt::format("Content-Type: text/plain; charset={}\r\n", charset());
        if (utf8_) text += "Content-Transfer-Encoding: 8bit\r\n";
        text += "\r\n";
        text += wrapped(opening(), "");
        if (auto subject = find_field(header_of_original(), "Subject")) {
            text +=
                "\r\n" + wrapped("Its subject was: " + safe(unfolded(subject->value), utf8_), "");
        }
        for (const RecipientResult* result : results_) text += "\r\n" + about(*result);
        text += "\r\n" + wrapped(fmt::format("This is the mail system at {}, about the message "
                                             "that it knows as {}.",
                                             facts_.hostname, facts_.original.id.text()),
                                 "");
        return text;
    }

    std::string opening() const {
        std::string_view who =
            results_.size() == 1 ? "the following recipient" : "the following recipients";
        std::string when = date_time(facts_.original.received);
        if (facts_.kind == Kind::Failure) {
            return fmt::format("Your message of {} could not be delivered to {}.", when, who);
        }
        if (facts_.kind == Kind::Success) {
            return fmt::format("Your message of {} has reached {}, as you asked to be told.", when,
                               who);
        }
        std::string text =
            fmt::format("Your message of {} has not been delivered yet to {}.", when, who);
        if (facts_.retry_until) {
            text += fmt::format(" It will be tried until {}.", date_time(*facts_.retry_until));
        }
        return text;
    }

    std::string about(const RecipientResult& result) const {
        const Recipient& recipient = facts_.original.recipient(result.recipient);
        std::string text =
            wrapped("<" + safe(named_by_client(recipient).text(), utf8_) + ">", "  ");
        std::string said = safe(result.reason, utf8_);
        if (!result.remote_host.empty()) {
            said =
                fmt::format("The mail system {} said: {}", safe(result.remote_host, utf8_), said);
        }
        if (!said.empty()) text += wrapped(said, "    ");
        text += wrapped(advice(result, facts_.kind), "    ");
        return text;
    }

    // RFC 3464 §2; RFC 6533 §3 for the international form.
    std::string for_programs() const {
        std::string text = utf8_ ? "Content-Type: message/global-delivery-status\r\n"
                                   "Content-Transfer-Encoding: 8bit\r\n\r\n"
                                 : "Content-Type: message/delivery-status\r\n\r\n";
        // RFC 3461 §6.3 (a): decoded.
        if (const std::string& envid = facts_.original.dsn_envid; !envid.empty()) {
            text += "Original-Envelope-Id: " + safe(decode_xtext(envid).value_or(envid), utf8_) +
                    "\r\n";
        }
        text += fmt::format("Reporting-MTA: dns; {}\r\n", facts_.hostname);
        text += fmt::format("Arrival-Date: {}\r\n", date_time(facts_.original.received));
        // RFC 2852 §5, RFC 4865 §5.1.2.
        if (facts_.original.deliver_by) {
            text += "Deliver-By-Date: " + date_time(*facts_.original.deliver_by) + "\r\n";
        }
        if (!facts_.original.hold_request.empty()) {
            text += "Future-Release-Request: " + safe(facts_.original.hold_request, false) + "\r\n";
        }
        for (const RecipientResult* result : results_) text += "\r\n" + group_of(*result);
        return text;
    }

    std::string group_of(const RecipientResult& result) const {
        const Recipient& recipient = facts_.original.recipient(result.recipient);
        std::string text;
        if (!recipient.orcpt.empty()) {
            // RFC 3461 §6.3 (d), RFC 6533 §3.
            text += "Original-Recipient: " +
                    safe(report_of_orcpt(recipient.orcpt,
                                         utf8_ ? AddressForm::Utf8 : AddressForm::Ascii),
                         utf8_) +
                    "\r\n";
        }
        // RFC 3461 §6.3 (e): as it was in the envelope that came to us, before any alias.
        text += "Final-Recipient: " + typed_address(named_by_client(recipient), utf8_) + "\r\n";
        text += fmt::format("Action: {}\r\n", action(result));
        // RFC 3463 §2: of a class that fits the action.
        EnhancedStatus status = result.status;
        if (facts_.kind == Kind::Success && status.klass != 2) status = {2, 0, 0};
        text += "Status: " + status.text() + "\r\n";
        if (!result.remote_host.empty()) {
            text += "Remote-MTA: dns; " + safe(result.remote_host, utf8_) + "\r\n";
        }
        if (!result.reason.empty()) {
            text += fmt::format("Diagnostic-Code: {}; {}\r\n",
                                result.reply_code > 0 ? "smtp" : "x-postrider",
                                safe(result.reason, utf8_));
        }
        text += "Last-Attempt-Date: " + date_time(facts_.now) + "\r\n";
        if (facts_.kind == Kind::Delay && facts_.retry_until) {
            text += "Will-Retry-Until: " + date_time(*facts_.retry_until) + "\r\n";
        }
        return text;
    }

    // RFC 3464 §2.3.3.
    std::string_view action(const RecipientResult& result) const {
        if (facts_.kind == Kind::Failure) return "failed";
        if (facts_.kind == Kind::Delay) return "delayed";
        return is_relayed(&result) ? "relayed" : "delivered";
    }

    // RFC 3461 §4.3: RET decides; a delay or a success returns the
    // header block only, as does a large message.
    std::string returned() const {
        bool whole = facts_.kind == Kind::Failure &&
                     facts_.original.dsn_return != DsnReturn::Headers &&
                     !facts_.original.requiretls &&  // RFC 8689 §5
                     facts_.content.size() == facts_.content_octets &&
                     facts_.original.body != BodyType::BinaryMime;
        if (!whole && facts_.kind == Kind::Failure) reached(Situation::ReportHeaderOnly);
        std::string_view type = utf8_ ? (whole ? "message/global" : "message/global-headers")
                                      : (whole ? "message/rfc822" : "text/rfc822-headers");
        std::string text = fmt::format("Content-Type: {}\r\n", type);
        if (facts_.has_8bit || utf8_) text += "Content-Transfer-Encoding: 8bit\r\n";
        text += "\r\n";
        text += whole ? facts_.content : header_of_original();
        if (!text.ends_with("\r\n")) text += "\r\n";
        return text;
    }

    std::string_view header_of_original() const {
        return facts_.content.substr(
            0, std::min<std::size_t>(facts_.header_octets, facts_.content.size()));
    }

    std::string_view charset() const { return utf8_ ? "utf-8" : "us-ascii"; }

    const Facts& facts_;
    std::vector<const RecipientResult*> results_;
    bool utf8_ = false;
    std::string boundary_;
};

}  // namespace

bool is_owed(const Envelope& original, uint32_t recipient, Kind kind) {
    if (original.variant_of(recipient).reverse_path.is_null()) {
        if (kind == Kind::Failure) reached(Situation::ReportNoneToNullSender);
        return false;
    }
    const auto& notify = original.recipient(recipient).notify;
    if (!notify) return kind != Kind::Success;  // RFC 3461 §4.1: failures are told, delays may be
    if (notify->never) return false;
    return kind == Kind::Failure ? notify->failure
           : kind == Kind::Delay ? notify->delay
                                 : notify->success;
}

bool is_owed(const Envelope& original, const RecipientResult& result, Kind kind) {
    if (kind == Kind::Success && result.tell_relayed) {
        // RFC 2852 §4.1.4: whether SUCCESS was asked for or not.
        const auto& notify = original.recipient(result.recipient).notify;
        return !original.variant_of(result.recipient).reverse_path.is_null() &&
               !(notify && notify->never);
    }
    if (kind == Kind::Success && result.dsn_handed_on) return false;
    return is_owed(original, result.recipient, kind);
}

std::optional<Report> compose(const Facts& facts) { return Composer(facts).compose(); }

}  // namespace postrider::report
