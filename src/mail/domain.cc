#include "mail/domain.h"

#include <idn2.h>

#include <algorithm>
#include <cstdint>

#include "base/limits.h"

namespace postrider {
namespace {

constexpr std::size_t kLabelOctetsMax = 63;  // RFC 1035 §2.3.4

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_alpha(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }
bool is_above_ascii(char c) { return static_cast<unsigned char>(c) > 127; }

bool starts_with_tag(std::string_view text, std::string_view tag) {
    return text.size() >= tag.size() &&
           std::equal(tag.begin(), tag.end(), text.begin(),
                      [](char a, char b) { return lower(a) == lower(b); });
}

// sub-domain = Let-dig [Ldh-str]; RFC 6531 §3.3: sub-domain =/ U-label. The limit of 63 octets
// holds for ASCII labels only: a U-label's is on its other form.
bool is_label(std::string_view label) {
    if (label.empty() || label.front() == '-' || label.back() == '-') return false;
    return label.size() <= kLabelOctetsMax || std::ranges::any_of(label, is_above_ascii);
}

}  // namespace

Result<std::string> parse_domain(std::string_view text, AddressForm form) {
    if (text.empty()) return fail("the domain is missing");
    if (text.size() > kDomainOctetsMax) return fail("the domain is longer than 255 octets");
    for (const char c : text) {
        if (is_alpha(c) || is_digit(c) || c == '-' || c == '.') continue;
        if (form == AddressForm::Utf8 && is_above_ascii(c)) continue;
        return fail("the domain holds a character that may not stand in it");
    }
    if (form == AddressForm::Utf8 && !is_utf8(text)) return fail("the domain is not UTF-8");
    for (std::string_view rest = text;;) {
        const std::size_t dot = std::min(rest.find('.'), rest.size());
        if (!is_label(rest.substr(0, dot))) {
            return fail("a label of the domain is empty, too long, or has a hyphen at its end");
        }
        if (dot == rest.size()) break;
        rest.remove_prefix(dot + 1);
    }
    std::string domain(text);
    std::ranges::transform(domain, domain.begin(), lower);
    return domain;
}

Result<std::string> parse_address_literal(std::string_view text) {
    constexpr std::string_view kTag = "IPv6:";
    if (text.size() < 2 || text.front() != '[' || text.back() != ']') {
        return fail("an address literal stands in brackets");
    }
    const std::string_view inner = text.substr(1, text.size() - 2);
    if (is_ipv4_address(inner)) return std::string(text);
    if (starts_with_tag(inner, kTag)) {
        const std::string_view address = inner.substr(kTag.size());
        if (!is_ipv6_address(address)) return fail("the IPv6 address literal is not an address");
        std::string literal = "[IPv6:";
        for (const char c : address) literal += lower(c);
        return literal + "]";
    }
    return fail("the address literal is neither IPv4 nor IPv6");
}

bool is_ipv4_address(std::string_view text) {
    for (int group = 0; group < 4; ++group) {
        if (group > 0) {
            if (text.empty() || text.front() != '.') return false;
            text.remove_prefix(1);
        }
        unsigned value = 0;
        std::size_t digits = 0;
        while (digits < text.size() && digits < 3 && is_digit(text[digits])) {
            value = value * 10 + static_cast<unsigned>(text[digits++] - '0');
        }
        if (digits == 0 || value > 255) return false;
        text.remove_prefix(digits);
    }
    return text.empty();
}

// RFC 5321 §4.1.3: groups of one to four digits; "::" once, for at least two groups of zeros; an
// IPv4 address may stand for the last two groups.
bool is_ipv6_address(std::string_view text) {
    int groups = 0;
    bool compressed = false;
    if (text.starts_with("::")) {
        compressed = true;
        text.remove_prefix(2);
    }
    bool need_group = !compressed;  // behind a single colon, and at the start
    while (!text.empty() || need_group) {
        if (is_ipv4_address(text)) {
            groups += 2;
            break;
        }
        std::size_t digits = 0;
        while (digits < text.size() && digits < 4 && is_hex(text[digits])) ++digits;
        if (digits == 0) return false;
        ++groups;
        text.remove_prefix(digits);
        need_group = false;
        if (text.empty()) break;
        if (text.starts_with("::")) {
            if (compressed) return false;
            compressed = true;
            text.remove_prefix(2);
        } else if (text.front() == ':') {
            text.remove_prefix(1);
            need_group = true;
        } else {
            return false;
        }
    }
    return compressed ? groups <= 6 : groups == 8;
}

// RFC 5891 §5: lookup of the A-label, non-transitional (RFC 5892 decides about each character).
std::optional<std::string> ascii_domain(std::string_view domain) {
    if (std::ranges::none_of(domain, is_above_ascii)) return std::string(domain);
    const std::string terminated(domain);
    if (terminated.contains('\0')) return std::nullopt;
    char* ascii = nullptr;
    const int status =
        idn2_to_ascii_8z(terminated.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (status != IDN2_OK) return std::nullopt;
    std::string out = ascii;
    idn2_free(ascii);
    // Other full stops than "." separate labels, too (UTS 46 §2.3), and none may be empty.
    if (out.starts_with('.') || out.ends_with('.') || out.contains("..")) return std::nullopt;
    return out;
}

bool is_utf8(std::string_view text) {
    for (std::size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        if (lead < 0x80) {
            ++i;
            continue;
        }
        const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
        if (lead < 0xC2 || lead > 0xF4 || text.size() - i < length) return false;
        uint32_t point = lead & (0x7Fu >> length);
        for (std::size_t k = 1; k < length; ++k) {
            const auto next = static_cast<unsigned char>(text[i + k]);
            if ((next & 0xC0u) != 0x80) return false;
            point = point << 6 | (next & 0x3Fu);
        }
        constexpr uint32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};
        if (point < kSmallest[length] || point > 0x10FFFF) return false;
        if (point >= 0xD800 && point <= 0xDFFF) return false;
        i += length;
    }
    return true;
}

}  // namespace postrider
