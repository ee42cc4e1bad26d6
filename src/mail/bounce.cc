#include "mail/bounce.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>

#include "base/limits.h"
#include "mail/bounce_text.h"
#include "mail/header.h"
#include "mail/mime.h"

namespace postrider {

namespace {

using Action = BouncedRecipient::Action;

constexpr std::size_t kReadOctetsMax = 1024 * 1024;  // of text for people and of fields

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    std::size_t first = text.find_first_not_of(" \t\r\n");
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

std::string one_line(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (out.size() >= kReasonOctetsMax) break;
        if (static_cast<unsigned char>(c) > ' ') {
            out += c;
        } else if (!out.empty() && out.back() != ' ') {
            out += ' ';
        }
    }
    while (out.ends_with(' ')) out.pop_back();
    return out;
}

bool contains_any(std::string_view text, auto&& patterns) {
    return std::ranges::any_of(patterns, [&](std::string_view p) { return text.contains(p); });
}

std::string field_of(std::string_view header, std::string_view name) {
    auto field = find_field(header, name);
    return field ? unfolded(field->value) : std::string();
}

// RFC 3464 §2.3: "type; value", or a value alone.
std::string typed_value(std::string_view value) {
    std::size_t semicolon = value.find(';');
    std::string_view kind = trimmed(value.substr(0, semicolon));
    if (semicolon != std::string_view::npos && !kind.contains(' ') && !kind.contains('@')) {
        value.remove_prefix(semicolon + 1);
    }
    return std::string(trimmed(value));
}

std::string address_of(std::string_view value) {
    std::string typed = typed_value(value);
    auto found = addresses_in(typed);
    if (!found.empty()) return found.front();
    std::string_view bare = typed;
    if (bare.starts_with('<')) bare.remove_prefix(1);
    if (bare.ends_with('>')) bare.remove_suffix(1);
    return std::string(bare);
}

// One group of a report's fields.
using Fields = std::map<std::string, std::string>;

std::optional<Action> action_of(std::string_view value) {
    constexpr std::array<std::pair<std::string_view, Action>, 7> kActions = {
        {{"failed", Action::Failed},
         {"failure", Action::Failed},
         {"delayed", Action::Delayed},
         {"delivered", Action::Delivered},
         {"deliverable", Action::Delivered},
         {"relayed", Action::Relayed},
         {"expanded", Action::Expanded}}};
    std::string word = lower(trimmed(value));
    for (const auto& [text, action] : kActions) {
        if (word.starts_with(text)) return action;
    }
    return std::nullopt;
}

// The groups of fields in `text`. RFC 3464 §2.1 has an empty line between them; some forget it.
std::vector<Fields> groups_in(std::string_view text) {
    std::vector<Fields> groups(1);
    std::string* last = nullptr;
    for (std::size_t at = 0; at < text.size() && groups.size() <= kBouncedRecipientsMax;) {
        std::size_t end = std::min(text.find('\n', at), text.size());
        std::string_view line = text.substr(at, end - at);
        at = end + 1;
        if (trimmed(line).empty()) {
            if (!groups.back().empty()) groups.emplace_back();
            last = nullptr;
            continue;
        }
        if (line.front() == ' ' || line.front() == '\t') {
            if (last && last->size() < 2 * kReasonOctetsMax) (*last += ' ') += trimmed(line);
            continue;
        }
        std::size_t colon = line.find(':');
        std::string name = lower(trimmed(line.substr(0, colon)));
        last = nullptr;
        if (colon == std::string_view::npos || name.contains(' ')) continue;
        if (name == "final-recipient" && groups.back().contains(name)) groups.emplace_back();
        auto [field, is_new] = groups.back().try_emplace(name, trimmed(line.substr(colon + 1)));
        if (is_new) last = &field->second;
    }
    return groups;
}

std::string value_in(const Fields& fields, std::string_view name) {
    auto found = fields.find(std::string(name));
    return found == fields.end() ? std::string() : found->second;
}

// Where no status was given, or one that says nothing.
bool is_vague(EnhancedStatus status) {
    return status.klass == 0 || (status.subject == 0 && status.detail == 0);
}

// 4.4.7: tried until it was too late; why, is told by what the other side said.
bool is_expiry(EnhancedStatus status) { return status.subject == 4 && status.detail == 7; }

// What `words` say, in code, status and class, goes into `one`.
void judge(BouncedRecipient& one, std::string_view words) {
    FoundCodes found = find_codes(words);
    if (one.reply_code == 0) one.reply_code = found.code;
    if (is_expiry(found.status)) {  // the reason for which it took too long may follow
        std::size_t behind = words.find(".4.7") + 4;
        FoundCodes reason = find_codes(words.substr(behind));
        if (!is_vague(reason.status)) {
            if (reason.code != 0) one.reply_code = reason.code;
            found.status = reason.status;
        }
    }
    bool better = found.status.klass != 0 && !is_vague(found.status);
    if (is_vague(one.status) && (better || one.status.klass == 0)) one.status = found.status;
    if (is_expiry(one.status) && better) one.status = found.status;
    if (one.failure == FailureClass::Other) {
        one.failure = classify(one.reply_code, one.status, words);
    }
}

std::string_view first_paragraph(std::string_view text) {
    text = trimmed(text);
    for (std::size_t end = text.find('\n'); end != std::string_view::npos;
         end = text.find('\n', end + 1)) {
        std::size_t next = text.find_first_not_of(" \t\r", end + 1);
        if (next != std::string_view::npos && text[next] == '\n') return text.substr(0, end);
    }
    return text;
}

void settle_permanence(BouncedRecipient& one) {
    bool temporary = one.action == Action::Delayed || one.status.klass == 4 ||
                     (one.status.klass == 0 && one.reply_code >= 400 && one.reply_code < 500);
    // The host gave up, and what it says will not pass.
    if (one.action == Action::Failed && one.failure == FailureClass::BadDomain) temporary = false;
    one.permanent = one.action == Action::Failed && !temporary;
    if (one.action != Action::Failed && one.action != Action::Delayed) {
        one.failure = FailureClass::Other;
    }
}

std::optional<BouncedRecipient> recipient_of(const Fields& group) {
    BouncedRecipient one;
    std::string final_recipient = value_in(group, "final-recipient");
    one.original = address_of(value_in(group, "original-recipient"));
    one.address = address_of(final_recipient);
    if (one.address.empty()) one.address = address_of(value_in(group, "x-actual-recipient"));
    if (one.address.empty()) one.address = one.original;
    if (one.address.empty()) return std::nullopt;
    if (auto status = parse_status(value_in(group, "status"))) one.status = *status;
    auto action = action_of(value_in(group, "action"));
    one.action = action ? *action : one.status.klass == 2 ? Action::Delivered : Action::Failed;
    one.text = one_line(typed_value(value_in(group, "diagnostic-code")));
    // "Status: 5.4.4 (Illegal host name)"
    std::string status = value_in(group, "status");
    if (one.text.empty() && status.contains('(')) {
        one.text = one_line(std::string_view(status).substr(status.find('(') + 1));
        if (one.text.ends_with(')')) one.text.pop_back();
    }
    return one;
}

// What a report says, in its fields and its text for people.
struct Sources {
    std::string fields;
    std::string text;
    bool has_fields = false;          // a part of its own says so
    std::vector<std::string> failed;  // X-Failed-Recipients
    std::vector<std::string> own;     // whom the report was sent to
};

Sources sources_of(std::string_view header, const std::vector<MimePart>& parts) {
    Sources out;
    std::string html;
    for (const MimePart& part : parts) {
        bool last = &part == &parts.back();
        bool is_divided = !last && (&part)[1].depth > part.depth;
        if (is_divided) continue;
        const std::string& type = part.content_type.type;
        if (type.ends_with("/delivery-status") || type == "message/global-delivery-status") {
            out.has_fields = true;
            out.fields += part.decoded() + "\n\n";
        } else if (type == "text/html") {
            html += text_of_html(part.decoded()) + "\n";
        } else if (part.content_type.is_multipart()) {
            out.text += std::string(part.body) + "\n";  // its boundary is not that of its type
        } else if (type.starts_with("text/") && type != "text/rfc822-headers") {
            out.text += part.decoded() + "\n";
        }
        if (out.fields.size() + out.text.size() + html.size() > kReadOctetsMax) break;
    }
    if (trimmed(out.text).empty()) out.text = std::move(html);
    HeaderReader reader(header);
    while (auto field = reader.next()) {
        auto& into = field->is_named("X-Failed-Recipients") ? out.failed : out.own;
        constexpr std::array kOwn = {"To", "Cc", "From"};
        bool wanted = &into == &out.failed ||
                      std::ranges::any_of(kOwn, [&](auto name) { return field->is_named(name); });
        if (!wanted) continue;
        for (std::string& address : addresses_in(unfolded(field->value).substr(0, 4096))) {
            into.push_back(std::move(address));
        }
    }
    return out;
}

bool is_complaint(const std::vector<MimePart>& parts) {
    return std::ranges::any_of(parts, [](const MimePart& part) {
        return part.content_type.type == "message/feedback-report" ||
               lower(part.content_type.parameter("report-type")) == "feedback-report";
    });
}

bool is_from_mail_system(std::string_view header) {
    std::string from = lower(field_of(header, "From"));
    constexpr std::array kSystems = {"mailer-daemon", "postmaster",    "mail delivery",
                                     "mail system",   "mailer daemon", "mail administrator",
                                     "mdaemon",       "mail.daemon",   "maildaemon",
                                     "mail-daemon",   "post_master",   "microsoft exchange",
                                     "root@"};
    return contains_any(from, kSystems);
}

bool has_subject_of_bounce(std::string_view header) {
    std::string subject = lower(field_of(header, "Subject"));
    constexpr std::array kSubjects = {
        "undeliver",    "undelivr", "delivery", "returned mail", "failure",
        "failed",       "delayed",  "bounce",   "not sent",      "could not be",
        "couldn't be",  "rejected", "warning:", "notice",        "mail error",
        "non delivery", "nondeliv", "blocked",  "deliver mail",  "mail system error"};
    return contains_any(subject, kSubjects);
}

bool says_undelivered(std::string_view text) {
    constexpr std::array kSentences = {"could not be delivered to", "delivery has failed to",
                                       "wasn't able to deliver your message",
                                       "had trouble delivering your message",
                                       "unable to deliver message to"};
    return contains_any(lower(text.substr(0, 2000)), kSentences);
}

bool is_automatic_answer(std::string_view header) {
    std::string automatic = lower(field_of(header, "Auto-Submitted"));
    std::string subject = lower(field_of(header, "Subject"));
    constexpr std::array kSubjects = {
        "out of office", "out of the office", "auto:",    "automatic reply",
        "auto-reply",    "autoreply",         "vacation", "away from"};
    return automatic.starts_with("auto-replied") || automatic.starts_with("auto-generated") ||
           contains_any(subject, kSubjects) || !field_of(header, "X-Autoreply").empty() ||
           !field_of(header, "X-Autorespond").empty() ||
           lower(field_of(header, "X-Auto-Response-Suppress")) == "all" ||
           lower(field_of(header, "Precedence")) == "auto_reply";
}

void read_fields(Bounce& bounce, const std::vector<Fields>& groups, const Sources& sources) {
    std::vector<std::string> addresses;
    for (const Fields& group : groups) {
        std::string id = value_in(group, "original-envelope-id");
        if (!id.empty() && bounce.envelope_id.empty()) bounce.envelope_id = one_line(id);
        auto one = recipient_of(group);
        if (!one) continue;
        bool again = std::ranges::any_of(bounce.recipients, [&](const BouncedRecipient& other) {
            return other.address == one->address && other.action == one->action;
        });
        if (again) continue;
        judge(*one, one->text);
        addresses.push_back(one->address);
        bounce.recipients.push_back(std::move(*one));
    }
    bool unclear = std::ranges::any_of(bounce.recipients, [](const BouncedRecipient& one) {
        return one.failure == FailureClass::Other || one.reply_code == 0 || is_vague(one.status);
    });
    if (!unclear) return;
    BounceText text = read_bounce_text(sources.text, addresses, {});
    std::map<std::string_view, std::string_view> said;
    for (const SaidOf& one : text.said) said.emplace(one.address, one.text);
    for (BouncedRecipient& one : bounce.recipients) {
        bool only = bounce.recipients.size() == 1;
        std::string words(said[one.address]);
        if (only) words = std::string(before_returned_message(sources.text)).substr(0, 8192);
        judge(one, words);
        if (one.text.empty()) one.text = one_line(words);
    }
}

void read_text(Bounce& bounce, const Sources& sources) {
    BounceText text = read_bounce_text(sources.text, sources.failed, sources.own);
    // Who wrote to himself.
    if (text.said.empty()) text = read_bounce_text(sources.text, sources.failed, {});
    bool only = text.said.size() == 1;
    for (const SaidOf& said : text.said) {
        BouncedRecipient one;
        one.address = said.address;
        std::string words = only ? text.preamble + said.text : said.text;
        judge(one, first_paragraph(said.text));  // what follows may be a notice of somebody else
        judge(one, said.text);
        judge(one, words);
        if (!only && one.failure == FailureClass::Other) judge(one, text.preamble);
        one.text = one_line(said.text);
        std::string all = lower(text.preamble + said.text);
        constexpr std::array kDelays = {"warning message only", "warning only",
                                        "has been delayed",     "not yet been delivered",
                                        "is delayed for",       "temporary failure report"};
        if (contains_any(all, kDelays)) one.action = Action::Delayed;
        bounce.recipients.push_back(std::move(one));
    }
}

}  // namespace

Bounce read_bounce(std::string_view message) {
    Bounce bounce;
    std::vector<MimePart> parts = mime_parts(message);
    std::string_view header = parts.front().header;
    if (is_complaint(parts)) {
        bounce.kind = Bounce::Kind::Complaint;
        return bounce;
    }
    Sources sources = sources_of(header, parts);
    std::string_view fields = sources.has_fields ? std::string_view(sources.fields)
                                                 : before_returned_message(sources.text);
    std::vector<Fields> groups = groups_in(fields);
    bool looks = trimmed(field_of(header, "Return-Path")) == "<>" || is_from_mail_system(header) ||
                 has_subject_of_bounce(header) || says_undelivered(sources.text);
    if (sources.has_fields || looks) read_fields(bounce, groups, sources);
    if (bounce.recipients.empty()) {
        bool answer =
            sources.failed.empty() && is_automatic_answer(header) && !is_from_mail_system(header);
        if (answer) {
            bounce.kind = Bounce::Kind::AutomaticAnswer;
            return bounce;
        }
        if (looks || !sources.failed.empty()) read_text(bounce, sources);
    }
    for (BouncedRecipient& one : bounce.recipients) settle_permanence(one);
    if (!bounce.recipients.empty()) bounce.kind = Bounce::Kind::Report;
    return bounce;
}

std::string_view name(BouncedRecipient::Action action) {
    constexpr std::array<std::string_view, 5> kNames = {"failed", "delayed", "delivered", "relayed",
                                                        "expanded"};
    return kNames[static_cast<std::size_t>(action)];
}

}  // namespace postrider
