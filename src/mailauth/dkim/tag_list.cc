#include "mailauth/dkim/tag_list.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "mailauth/domain.h"

namespace postrider::mailauth::dkim {
namespace {

constexpr std::string_view kSpace = " \t\r\n";
constexpr std::string_view kBase64 =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// tag-name = ALPHA *ALNUMPUNC
bool is_tag_name(std::string_view name) {
    return !name.empty() && is_alpha(name.front()) &&
           std::ranges::all_of(name, [](char c) { return is_alpha(c) || is_digit(c) || c == '_'; });
}

constexpr std::size_t kShownMax = 20;  // of a tag in a reason

constexpr uint8_t kNoDigit = 64, kSkip = 65;

constexpr std::array<uint8_t, 256> base64_digits() {
    std::array<uint8_t, 256> digits{};
    digits.fill(kNoDigit);
    for (std::size_t i = 0; i < kBase64.size(); i++) {
        digits[static_cast<uint8_t>(kBase64[i])] = static_cast<uint8_t>(i);
    }
    for (const char c : kSpace) digits[static_cast<uint8_t>(c)] = kSkip;
    return digits;
}

int hex_digit(char c) {
    if (is_digit(c)) return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
}

}  // namespace

// RFC 6376 §3.2
Result<TagList> TagList::parse(std::string_view text) {
    TagList list;
    for (std::size_t begin = 0; begin < text.size();) {
        const std::size_t end = std::min(text.find(';', begin), text.size());
        const std::string_view part = text.substr(begin, end - begin);
        const std::size_t equals = part.find('=');
        if (equals == std::string_view::npos) {
            // Only behind the last ";" may there be nothing.
            if (end == text.size() && trimmed(part).empty()) break;
            return fail(fmt::format("\"{}\" is not of the form tag=value",
                                    shown(trimmed(part), kShownMax)));
        }
        Tag tag{.name = trimmed(part.substr(0, equals)),
                .value = trimmed(part.substr(equals + 1)),
                .value_begin = begin + equals + 1,
                .value_end = end};
        if (!is_tag_name(tag.name)) {
            return fail(fmt::format("\"{}\" is not the name of a tag", shown(tag.name, kShownMax)));
        }
        if (list.find(tag.name)) {
            return fail(fmt::format("the tag {}= stands there twice", shown(tag.name, kShownMax)));
        }
        if (list.tags_.size() == kTagsMax) return fail("there are more than 64 tags");
        list.tags_.push_back(tag);
        begin = end + 1;
    }
    return list;
}

const Tag* TagList::find(std::string_view name) const {
    const auto tag = std::ranges::find(tags_, name, &Tag::name);
    return tag == tags_.end() ? nullptr : &*tag;
}

std::optional<std::string_view> TagList::value(std::string_view name) const {
    const Tag* tag = find(name);
    return tag ? std::optional(tag->value) : std::nullopt;
}

std::string_view trimmed(std::string_view text) {
    const std::size_t first = text.find_first_not_of(kSpace);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

std::vector<std::string_view> split_colons(std::string_view value) {
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t colon = std::min(value.find(':'), value.size());
        parts.push_back(trimmed(value.substr(0, colon)));
        if (colon == value.size()) return parts;
        value.remove_prefix(colon + 1);
    }
}

std::optional<std::string> decode_base64(std::string_view text) {
    static constexpr std::array<uint8_t, 256> kDigits = base64_digits();
    std::string octets;
    octets.reserve(text.size() / 4 * 3 + 3);
    uint32_t bits = 0;
    std::size_t digits = 0, padding = 0;
    for (const char c : text) {
        const uint8_t digit = kDigits[static_cast<uint8_t>(c)];
        if (digit == kSkip) continue;
        if (c == '=') {
            padding++;
            continue;
        }
        if (digit == kNoDigit || padding > 0) return std::nullopt;
        bits = bits << 6 | digit;
        if (++digits % 4 == 0) {
            octets += static_cast<char>(bits >> 16);
            octets += static_cast<char>(bits >> 8);
            octets += static_cast<char>(bits);
        }
    }
    const std::size_t rest = digits % 4;
    if (rest == 1 || (padding > 0 && rest + padding != 4)) return std::nullopt;
    if (rest >= 2) octets += static_cast<char>(bits >> (rest == 2 ? 4 : 10));
    if (rest == 3) octets += static_cast<char>(bits >> 2);
    return octets;
}

std::string encode_base64(std::string_view octets) {
    std::string text;
    text.reserve((octets.size() + 2) / 3 * 4);
    for (std::size_t at = 0; at < octets.size(); at += 3) {
        const std::size_t count = std::min<std::size_t>(3, octets.size() - at);
        uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; i++) {
            bits = bits << 8 | (i < count ? static_cast<uint8_t>(octets[at + i]) : 0u);
        }
        for (std::size_t i = 0; i < 4; i++) {
            text += i <= count ? kBase64[bits >> (18 - 6 * i) & 63] : '=';
        }
    }
    return text;
}

std::optional<std::string> decode_quoted(std::string_view text) {
    std::string octets;
    octets.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); i++) {
        if (kSpace.find(text[i]) != std::string_view::npos) continue;
        if (text[i] != '=') {
            octets += text[i];
            continue;
        }
        const int high = text.size() - i > 2 ? hex_digit(text[i + 1]) : -1;
        const int low = text.size() - i > 2 ? hex_digit(text[i + 2]) : -1;
        if (high < 0 || low < 0) return std::nullopt;
        octets += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return octets;
}

std::string encode_quoted(std::string_view octets) {
    std::string text;
    for (const char c : octets) {
        // dkim-safe-char = %x21-3A / %x3C / %x3E-7E
        if (c > 32 && c < 127 && c != ';' && c != '=') {
            text += c;
        } else {
            text += fmt::format("={:02X}", static_cast<uint8_t>(c));
        }
    }
    return text;
}

}  // namespace postrider::mailauth::dkim
