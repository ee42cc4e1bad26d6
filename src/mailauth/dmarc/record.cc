#include "mailauth/dmarc/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "mail/mailbox.h"
#include "mailauth/domain.h"

namespace postrider::mailauth::dmarc {

namespace {

constexpr std::size_t kProblemsMax = 10;
constexpr std::size_t kUrisMax = 20;  // of one tag; more are passed over

bool is_wsp(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }

std::string_view trimmed(std::string_view text) {
    while (!text.empty() && is_wsp(text.front())) text.remove_prefix(1);
    while (!text.empty() && is_wsp(text.back())) text.remove_suffix(1);
    return text;
}

// Takes what stands before the separator, and the separator.
std::string_view take_until(std::string_view& rest, char separator) {
    const std::size_t end = std::min(rest.find(separator), rest.size());
    const std::string_view taken = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return taken;
}

struct Tag {
    std::string_view name;
    std::string_view value;
};

void note(Record& record, std::string problem) {
    if (record.problems.size() < kProblemsMax) record.problems.push_back(std::move(problem));
}

std::optional<Policy> policy_of(std::string_view value) {
    for (const Policy policy : {Policy::None, Policy::Quarantine, Policy::Reject}) {
        if (equal_ignoring_case(value, name(policy))) return policy;
    }
    return std::nullopt;
}

// The place of the value among the letters; nothing when it is none of them.
std::optional<std::size_t> letter_of(std::string_view value, std::string_view letters) {
    if (value.size() != 1) return std::nullopt;
    const std::size_t place = letters.find(ascii_lower(value.front()));
    return place == std::string_view::npos ? std::nullopt : std::optional(place);
}

// RFC 9989 §4.8, dmarc-fo: "0" or "1" and each of "d", "s", all at most once.
std::optional<FailureOptions> failure_options_of(std::string_view value) {
    FailureOptions options;
    bool zero = false;
    std::string_view rest = value;
    do {
        const auto letter = letter_of(trimmed(take_until(rest, ':')), "01ds");
        if (!letter) return std::nullopt;
        bool& place = *letter == 0   ? zero
                      : *letter == 1 ? options.any
                      : *letter == 2 ? options.dkim
                                     : options.spf;
        if (place) return std::nullopt;
        place = true;
    } while (!rest.empty());
    if ((zero && options.any) || value.ends_with(':')) return std::nullopt;
    return options;
}

// RFC 3986 §2, §3: characters of a URI, and a scheme before the first colon.
bool is_uri(std::string_view text) {
    const std::size_t colon = text.find(':');
    if (colon == 0 || colon == std::string_view::npos || colon + 1 == text.size()) return false;
    if (!is_alpha(text.front())) return false;
    for (std::size_t i = 0; i < text.size(); i++) {
        const char c = text[i];
        if (is_alpha(c) || is_digit(c)) continue;
        if (i < colon) {
            if (std::string_view("+-.").find(c) == std::string_view::npos) return false;
        } else if (c == '%') {
            const auto is_hex = [&](std::size_t at) {
                return at < text.size() && (is_digit(text[at]) || (ascii_lower(text[at]) >= 'a' &&
                                                                   ascii_lower(text[at]) <= 'f'));
            };
            if (!is_hex(i + 1) || !is_hex(i + 2)) return false;
        } else if (std::string_view("-._~:/?#[]@$&'()*+;=").find(c) == std::string_view::npos) {
            return false;
        }
    }
    return true;
}

// RFC 6068 §2: of a mailto URI without header fields, one address.
bool is_mailto_with_address(std::string_view uri) {
    const std::string_view rest = uri.substr(uri.find(':') + 1);
    std::string address;
    for (std::size_t i = 0; i < rest.size() && rest[i] != '?'; i++) {
        if (rest[i] != '%') {
            address += rest[i];
            continue;
        }
        const auto value = [](char c) { return is_digit(c) ? c - '0' : ascii_lower(c) - 'a' + 10; };
        address += static_cast<char>(value(rest[i + 1]) * 16 + value(rest[i + 2]));
        i += 2;
    }
    return Mailbox::parse(address).has_value();
}

// RFC 9989 §4.8: dmarc-uri, or obs-dmarc-uri without its size.
std::optional<std::string_view> report_uri_of(std::string_view text) {
    const std::size_t mark = text.find('!');
    if (mark != std::string_view::npos) {
        std::string_view size = text.substr(mark + 1);
        if (!size.empty() &&
            std::string_view("kmgt").find(ascii_lower(size.back())) != std::string_view::npos) {
            size.remove_suffix(1);
        }
        if (size.empty() || !std::ranges::all_of(size, is_digit)) return std::nullopt;
        text = text.substr(0, mark);
    }
    if (!is_uri(text)) return std::nullopt;
    const bool mailto = equal_ignoring_case(text.substr(0, text.find(':')), "mailto");
    if (mailto && !is_mailto_with_address(text)) return std::nullopt;
    return text;
}

void take_uris(Record& record, const Tag& tag, std::vector<std::string>& uris) {
    std::string_view rest = tag.value;
    while (!rest.empty()) {
        const std::string_view part = trimmed(take_until(rest, ','));
        if (const auto uri = report_uri_of(part); !uri) {
            note(record,
                 fmt::format("{}: \"{}\" is no address for reports", tag.name, shown(part)));
        } else if (uris.size() < kUrisMax) {
            uris.emplace_back(*uri);
        }
    }
    if (uris.empty()) note(record, fmt::format("{} names no address for reports", tag.name));
}

// What a tag says; false when it is known and wrong.
bool take_tag(Record& record, const Tag& tag, bool& has_policy) {
    const auto take_policy = [&](std::optional<Policy>& place) {
        place = policy_of(tag.value);
        record.policy_is_right = record.policy_is_right && place.has_value();
        return place.has_value();
    };
    const std::string name = ascii_lower(tag.name);
    if (name == "p") {
        std::optional<Policy> policy;
        has_policy = true;
        if (!take_policy(policy)) return false;
        record.policy = *policy;
        return true;
    }
    if (name == "sp") return take_policy(record.subdomain_policy);
    if (name == "np") return take_policy(record.nonexistent_policy);
    if (name == "t" || name == "psd" || name == "adkim" || name == "aspf") {
        const auto letter = letter_of(tag.value, name == "t" ? "ny" : name == "psd" ? "uyn" : "rs");
        if (!letter) return false;
        if (name == "t") record.testing = *letter == 1;
        if (name == "psd") record.psd = static_cast<PublicSuffix>(*letter);
        if (name == "adkim") record.dkim_alignment = static_cast<Alignment>(*letter);
        if (name == "aspf") record.spf_alignment = static_cast<Alignment>(*letter);
        return true;
    }
    if (name == "fo") {
        const auto options = failure_options_of(tag.value);
        if (options) record.failure_options = *options;
        return options.has_value();
    }
    if (name == "rua") take_uris(record, tag, record.aggregate_uris);
    if (name == "ruf") take_uris(record, tag, record.failure_uris);
    return true;  // RFC 9989 §4.7: unknown tags are ignored
}

// RFC 6376 §3.2: a name that stands twice makes the whole list invalid. Nothing then.
std::optional<std::vector<Tag>> tags_of(std::string_view text, Record& record) {
    std::vector<Tag> tags;
    while (!text.empty()) {
        const std::string_view part = trimmed(take_until(text, ';'));
        if (part.empty()) continue;
        const std::size_t equals = part.find('=');
        Tag tag{trimmed(part.substr(0, equals)), {}};
        if (equals == std::string_view::npos || tag.name.empty() ||
            !std::ranges::all_of(tag.name,
                                 [](char c) { return is_alpha(c) || is_digit(c) || c == '_'; })) {
            note(record, fmt::format("\"{}\" is no tag", shown(part)));
            continue;
        }
        tag.value = trimmed(part.substr(equals + 1));
        if (std::ranges::any_of(tags, [&](const Tag& other) {
                return equal_ignoring_case(other.name, tag.name);
            })) {
            return std::nullopt;
        }
        tags.push_back(tag);
    }
    return tags;
}

}  // namespace

std::string_view name(Policy policy) {
    constexpr std::array<std::string_view, 3> kNames = {"none", "quarantine", "reject"};
    return kNames[static_cast<std::size_t>(policy)];
}

std::string text(const FailureOptions& options) {
    std::string out = options.any ? "1" : "0";
    if (options.dkim) out += ":d";
    if (options.spf) out += ":s";
    return out;
}

// RFC 9989 §4.7: "v" is the first tag, with exactly this value.
bool is_dmarc_record(std::string_view text) {
    std::string_view version = take_until(text, ';');
    const std::string_view tag_name = trimmed(take_until(version, '='));
    return equal_ignoring_case(tag_name, "v") && trimmed(version) == "DMARC1";
}

std::optional<Record> Record::parse(std::string_view text) {
    if (!is_dmarc_record(text)) return std::nullopt;
    std::string_view rest = text;
    take_until(rest, ';');
    Record record;
    const auto tags = tags_of(rest, record);
    if (!tags) return std::nullopt;
    bool has_policy = false;
    for (const Tag& tag : *tags) {
        if (equal_ignoring_case(tag.name, "v")) return std::nullopt;
        if (!take_tag(record, tag, has_policy)) {
            note(record, fmt::format("{} has the wrong value \"{}\"", tag.name, shown(tag.value)));
        }
    }
    if (!has_policy) {
        record.policy_is_right = false;
        note(record, "there is no p");
    }
    // RFC 9989 §4.10.1: as if it were p=none.
    if (!record.policy_is_right) {
        record.policy = Policy::None;
        record.subdomain_policy.reset();
        record.nonexistent_policy.reset();
    }
    // RFC 9989 §4.7: "fo" without "ruf" is ignored.
    if (record.failure_uris.empty()) record.failure_options = {};
    return record;
}

}  // namespace postrider::mailauth::dmarc
