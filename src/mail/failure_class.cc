#include "mail/failure_class.h"

#include <algorithm>
#include <string>

namespace postrider {

namespace {

struct Rule {
    enum class By : uint8_t {
        Words,
        Status,
        Subject,
        Code
    };
    FailureClass failure;
    By by;
    std::string_view words;
    int first = 0;
    int second = 0;
};

constexpr Rule kRules[] = {
#define WORDS(failure, words) {FailureClass::failure, Rule::By::Words, words},
#define STATUS(failure, x, y) {FailureClass::failure, Rule::By::Status, {}, x, y},
#define SUBJECT(failure, x) {FailureClass::failure, Rule::By::Subject, {}, x},
#define CODE(failure, code) {FailureClass::failure, Rule::By::Code, {}, code},
#include "mail/failure_rules.inc"
#undef WORDS
#undef STATUS
#undef SUBJECT
#undef CODE
};

constexpr std::array<std::string_view, kFailureClassCount> kNames = {
    "other", "bad-mailbox", "bad-domain", "inactive", "full", "size",      "policy",
    "spam",  "rate",        "dns",        "tls",      "loop", "connection"};

constexpr std::size_t kGapMax = 60;  // what "*" stands for

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Lower case, each run of white space and controls one blank.
std::string smoothed(std::string_view text) {
    std::string out;
    text = text.substr(0, kJudgedOctetsMax);
    out.reserve(text.size());
    for (char c : text) {
        if (static_cast<unsigned char>(c) <= ' ') {
            if (!out.empty() && out.back() != ' ') out += ' ';
        } else {
            out += c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
        }
    }
    return out;
}

// The parts of the pattern between its "*" stand in the text in their order. The first stands at
// the beginning of a word, so that "rbl" is not found in "marble".
bool has_words(std::string_view text, std::string_view pattern) {
    for (std::size_t from = 0;;) {
        std::string_view first = pattern.substr(0, pattern.find('*'));
        std::size_t found = text.find(first, from);
        if (found == std::string_view::npos) return false;
        if (found == 0 || !is_letter(text[found - 1])) {
            std::size_t at = found + first.size();
            std::string_view rest = pattern.substr(first.size());
            while (!rest.empty()) {
                std::string_view after = rest.substr(1);
                std::string_view part = after.substr(0, after.find('*'));
                std::size_t next = text.substr(at, kGapMax + part.size()).find(part);
                if (next == std::string_view::npos) break;
                at += next + part.size();
                rest = after.substr(part.size());
            }
            if (rest.empty()) return true;
        }
        from = found + 1;
    }
}

bool fits(const Rule& rule, int code, EnhancedStatus status, std::string_view text) {
    switch (rule.by) {
        case Rule::By::Words:
            return has_words(text, rule.words);
        case Rule::By::Status:
            return status.subject == rule.first && status.detail == rule.second;
        case Rule::By::Subject:
            return status.klass != 0 && status.subject == rule.first;
        case Rule::By::Code:
            return code == rule.first;
    }
    return false;
}

// One to three digits at `at`; moves it behind them. -1 = none.
int number_at(std::string_view text, std::size_t& at) {
    std::size_t begin = at;
    int value = 0;
    while (at < text.size() && is_digit(text[at]) && at - begin < 3) {
        value = value * 10 + (text[at++] - '0');
    }
    if (at == begin || (at < text.size() && is_digit(text[at]))) return -1;
    return value;
}

// The status at `at`, which must not go on with another part, as an IP address does.
std::optional<EnhancedStatus> status_at(std::string_view text, std::size_t at) {
    int part[3] = {};
    for (int i = 0; i < 3; i++) {
        if (i > 0) {
            if (at >= text.size() || text[at] != '.') return std::nullopt;
            at++;
        }
        part[i] = number_at(text, at);
        if (part[i] < 0) return std::nullopt;
    }
    if (part[0] != 2 && part[0] != 4 && part[0] != 5) return std::nullopt;
    if (at + 1 < text.size() && text[at] == '.' && is_digit(text[at + 1])) return std::nullopt;
    return EnhancedStatus{static_cast<uint8_t>(part[0]), static_cast<uint16_t>(part[1]),
                          static_cast<uint16_t>(part[2])};
}

// RFC 5321 §4.2.1: 4yz and 5yz with y from 0 to 5; some say 57z.
bool is_code_at(std::string_view text, std::size_t at) {
    if (at + 3 > text.size() || (text[at] != '4' && text[at] != '5')) return false;
    if (!is_digit(text[at + 1]) || text[at + 1] == '6' || text[at + 1] > '7') return false;
    if (!is_digit(text[at + 2])) return false;
    char next = at + 3 < text.size() ? text[at + 3] : ' ';
    return next == ' ' || next == '-' || next == ':' || next == ',' || next == '\r' ||
           next == '\n' || next == '>';
}

}  // namespace

FailureClass classify(int code, EnhancedStatus status, std::string_view text) {
    std::string smooth = smoothed(text);
    for (const Rule& rule : kRules) {
        if (fits(rule, code, status, smooth)) return rule.failure;
    }
    return FailureClass::Other;
}

FailureClass failure_class(FailureKind kind, bool remote, EnhancedStatus status,
                           std::string_view reason) {
    if (remote) return classify(find_codes(reason).code, status, reason);
    switch (kind) {
        case FailureKind::Connection:
        case FailureKind::Greeting:
            return FailureClass::Connection;
        case FailureKind::Tls:
            return FailureClass::Tls;
        case FailureKind::Dns: {
            bool gone = status.klass == 5 && (status.subject == 1 || status.subject == 4);
            return gone ? FailureClass::BadDomain : FailureClass::Dns;
        }
        case FailureKind::Full:
            return FailureClass::Full;
        case FailureKind::TooManyRecipients:
        case FailureKind::Greylisted:
            return FailureClass::Rate;
        case FailureKind::Policy:
            return FailureClass::Policy;
        default:
            return classify(0, status, reason);
    }
}

FailureClass failure_class(const RecipientResult& result) {
    return failure_class(result.kind, !result.remote_host.empty(), result.status, result.reason);
}

std::string_view name(FailureClass failure) { return kNames[static_cast<std::size_t>(failure)]; }

std::optional<FailureClass> failure_class_named(std::string_view name) {
    auto found = std::ranges::find(kNames, name);
    if (found == kNames.end()) return std::nullopt;
    return static_cast<FailureClass>(found - kNames.begin());
}

FoundCodes find_codes(std::string_view text) {
    FoundCodes found;
    for (std::size_t at = 0; at < text.size(); at++) {
        if (!is_digit(text[at])) continue;
        char before = at > 0 ? text[at - 1] : ' ';
        if (is_digit(before) || is_letter(before)) continue;
        bool behind_code = before == '-' && at >= 4 && is_code_at(text, at - 4);
        if (before == '.' || before == '@' || before == '/') continue;
        if (before == '-' && !behind_code) continue;
        auto status = status_at(text, at);
        if (status && status->klass != 2 && found.status.klass == 0) found.status = *status;
        if (found.code == 0 && before != '+' && is_code_at(text, at)) {
            found.code = (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + text[at + 2] - '0';
        }
    }
    return found;
}

std::optional<EnhancedStatus> parse_status(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    return status_at(text, 0);
}

}  // namespace postrider
