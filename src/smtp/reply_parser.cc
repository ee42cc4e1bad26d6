#include "smtp/reply_parser.h"

#include <fmt/format.h>

#include <cstring>
#include <span>
#include <utility>

namespace postrider::smtp {

namespace {

constexpr std::size_t kSeenOctetsMax = 80;

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

bool is_code(std::string_view line) {
    return line.size() >= 3 && line[0] >= '2' && line[0] <= '5' && is_digit(line[1]) &&
           is_digit(line[2]);
}

uint16_t code_of(std::string_view line) {
    return static_cast<uint16_t>((line[0] - '0') * 100 + (line[1] - '0') * 10 + (line[2] - '0'));
}

// RFC 3463 §2: 1 to 3 digits. Leading zeros are not allowed, but harmless.
std::optional<uint16_t> take_number(std::string_view& text) {
    std::size_t digits = 0;
    uint16_t value = 0;
    while (digits < text.size() && is_digit(text[digits])) {
        if (++digits > 3) return std::nullopt;
        value = static_cast<uint16_t>(value * 10 + (text[digits - 1] - '0'));
    }
    if (digits == 0) return std::nullopt;
    text.remove_prefix(digits);
    return value;
}

bool take_octet(std::string_view& text, char wanted) {
    if (text.empty() || text.front() != wanted) return false;
    text.remove_prefix(1);
    return true;
}

std::string_view words(ReplyError::Kind kind) {
    switch (kind) {
        case ReplyError::Kind::BadCode:
            return "no reply code";
        case ReplyError::Kind::BadSeparator:
            return "no blank or hyphen behind the code";
        case ReplyError::Kind::CodeChanged:
            return "code changed within it";
        case ReplyError::Kind::TooLong:
            return "too long";
    }
    return "";
}

}  // namespace

Result<std::optional<Reply>, ReplyError> ReplyParser::next(std::string_view& input) {
    if (error_) return std::unexpected(*error_);
    while (!input.empty()) {
        const void* found = std::memchr(input.data(), '\n', input.size());
        std::size_t length =
            found ? static_cast<std::size_t>(static_cast<const char*>(found) - input.data())
                  : input.size();
        // One octet more than allowed may be the CR.
        if (line_.size() + length > kReplyLineOctetsTaken + 1) {
            return broken(ReplyError::Kind::TooLong,
                          line_ + std::string(input.substr(0, kSeenOctetsMax)));
        }
        if (!found) {
            line_.append(input);
            input = {};
            break;
        }
        std::string_view line = input.substr(0, length);
        if (!line_.empty()) line = line_.append(line);
        Result<bool, ReplyError> last = take_line(line);
        if (!last) return std::unexpected(last.error());
        input.remove_prefix(length + 1);
        line_.clear();
        if (*last) {
            lines_ = octets_ = 0;
            return std::exchange(reply_, Reply());
        }
    }
    return std::optional<Reply>();
}

// RFC 5321 §4.2.1: "250-First line", "250 Last line". True when it is the last line.
Result<bool, ReplyError> ReplyParser::take_line(std::string_view line) {
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (!is_code(line)) return broken(ReplyError::Kind::BadCode, line);
    uint16_t code = code_of(line);
    if (lines_ > 0 && code != reply_.code) return broken(ReplyError::Kind::CodeChanged, line);

    std::string_view text = line.substr(3);
    bool last = true;
    if (!text.empty()) {
        if (text.front() != '-' && text.front() != ' ' && text.front() != '\t') {
            return broken(ReplyError::Kind::BadSeparator, line);
        }
        last = text.front() != '-';
        text.remove_prefix(1);
    }
    octets_ += line.size();
    if (line.size() > kReplyLineOctetsTaken || lines_ == kReplyLinesMax ||
        octets_ > kReplyOctetsMax) {
        return broken(ReplyError::Kind::TooLong, line);
    }

    reply_.code = code;
    // RFC 2034 §4: the same enhanced code stands on every line. Some servers write it on one only;
    // another one on a later line stays part of the text.
    std::string_view rest = text;
    if (std::optional<EnhancedStatus> status = take_enhanced_status(code, rest)) {
        if (!reply_.status) reply_.status = status;
        if (*reply_.status == *status) text = rest;
    }
    append_text(text);
    ++lines_;
    return last;
}

void ReplyParser::append_text(std::string_view text) {
    if (lines_ > 0) reply_.text += '\n';
    std::size_t begin = reply_.text.size();
    reply_.text += text;
    for (char& c : std::span(reply_.text).subspan(begin)) {
        if (is_control(c) && c != '\t') c = '?';
    }
}

std::unexpected<ReplyError> ReplyParser::broken(ReplyError::Kind kind, std::string_view line) {
    error_ = ReplyError{kind, printable(line, kSeenOctetsMax)};
    line_.clear();
    return std::unexpected(*error_);
}

std::string ReplyError::text() const {
    return fmt::format("malformed reply ({}): {}", words(kind), seen);
}

std::optional<EnhancedStatus> take_enhanced_status(uint16_t code, std::string_view& text) {
    // RFC 3463 §2: status-code = class "." subject "." detail. RFC 2034 §4: the class agrees with
    // the reply code; there are classes 2, 4 and 5 only.
    char klass = static_cast<char>('0' + code / 100);
    std::string_view rest = text;
    if (klass == '3' || !take_octet(rest, klass) || !take_octet(rest, '.')) return std::nullopt;
    std::optional<uint16_t> subject = take_number(rest);
    if (!subject || !take_octet(rest, '.')) return std::nullopt;
    std::optional<uint16_t> detail = take_number(rest);
    if (!detail) return std::nullopt;
    if (!rest.empty() && !take_octet(rest, ' ') && !take_octet(rest, '\t')) return std::nullopt;
    text = rest;
    return EnhancedStatus{static_cast<uint8_t>(klass - '0'), *subject, *detail};
}

std::string printable(std::string_view octets, std::size_t max) {
    std::string text(octets.substr(0, max));
    for (char& c : text) {
        if (is_control(c) || static_cast<unsigned char>(c) > 0x7e) c = '?';
    }
    return text;
}

}  // namespace postrider::smtp
