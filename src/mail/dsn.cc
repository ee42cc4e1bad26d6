#include "mail/dsn.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "mail/domain.h"

namespace postrider {
namespace {

constexpr std::string_view kUtf8Type = "utf-8";

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
bool is_above_ascii(char c) { return static_cast<unsigned char>(c) > 127; }
bool is_graphic(char c) { return c > 32 && c < 127; }

bool is_word(std::string_view text, std::string_view word) {
    return std::ranges::equal(text, word, [](char a, char b) { return lower(a) == lower(b); });
}

// RFC 3461 §4: two upper case hexadecimal digits; -1 if it is none.
int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// RFC 822 §3.3: atom.
bool is_atom(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) {
        return is_graphic(c) && !std::string_view("()<>@,;:\\\".[]").contains(c);
    });
}

// Appends a code point in UTF-8. False for what is none.
bool append_utf8(std::string& out, uint32_t point) {
    if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) return false;
    if (point < 0x80) {
        out += static_cast<char>(point);
    } else if (point < 0x800) {
        out += static_cast<char>(0xc0 | (point >> 6));
        out += static_cast<char>(0x80 | (point & 0x3f));
    } else if (point < 0x10000) {
        out += static_cast<char>(0xe0 | (point >> 12));
        out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (point & 0x3f));
    } else {
        out += static_cast<char>(0xf0 | (point >> 18));
        out += static_cast<char>(0x80 | ((point >> 12) & 0x3f));
        out += static_cast<char>(0x80 | ((point >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (point & 0x3f));
    }
    return true;
}

// RFC 6533 §3: EmbeddedUnicodeChar = "\x{" HEXPOINT "}"; without them.
std::string without_embedded(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t end = text.find('}');
        uint32_t point = 0;
        if (text.starts_with("\\x{") && end != std::string_view::npos && end > 3 && end <= 9) {
            const char* last = text.data() + end;
            auto [read, error] = std::from_chars(text.data() + 3, last, point, 16);
            if (error == std::errc() && read == last && append_utf8(out, point)) {
                text.remove_prefix(end + 1);
                continue;
            }
        }
        out += text.front();
        text.remove_prefix(1);
    }
    return out;
}

// The first code point of well-formed UTF-8, taken off its front.
uint32_t take_point(std::string_view& text) {
    const auto first = static_cast<unsigned char>(text.front());
    std::size_t length = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    uint32_t point = length == 1 ? first : first & (0xffu >> (length + 1));
    for (std::size_t i = 1; i < length; ++i) {
        point = point << 6 | (static_cast<unsigned char>(text[i]) & 0x3f);
    }
    text.remove_prefix(length);
    return point;
}

// RFC 6533 §3: utf-8-addr-xtext. `all`: also the ASCII signs that may not stand in it.
std::string with_embedded(std::string_view text, bool all) {
    if (!is_utf8(text)) {
        std::string out(text);
        std::ranges::replace_if(out, is_above_ascii, '?');
        return out;
    }
    std::string out;
    while (!text.empty()) {
        const char c = text.front();
        const bool special = !is_graphic(c) || c == '\\' || c == '+' || c == '=';
        if (is_above_ascii(c) || (all && special)) {
            out += fmt::format("\\x{{{:02X}}}", take_point(text));
        } else {
            out += c;
            text.remove_prefix(1);
        }
    }
    return out;
}

}  // namespace

std::optional<std::string> decode_xtext(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (!is_graphic(c) || c == '=') return std::nullopt;
        if (c != '+') {
            out += c;
            continue;
        }
        if (i + 2 >= text.size()) return std::nullopt;
        const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
        if (high < 0 || low < 0) return std::nullopt;
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

std::string encode_xtext(std::string_view octets) {
    std::string out;
    out.reserve(octets.size());
    for (const char c : octets) {
        if (is_graphic(c) && c != '+' && c != '=') {
            out += c;
        } else {
            out += fmt::format("+{:02X}", static_cast<unsigned char>(c));
        }
    }
    return out;
}

// RFC 3461 §4.1: NEVER stands by itself.
std::optional<DsnNotify> parse_notify(std::string_view text) {
    if (is_word(text, "NEVER")) return DsnNotify{.never = true};
    DsnNotify notify;
    for (;;) {
        const std::string_view word = text.substr(0, text.find(','));
        if (is_word(word, "SUCCESS")) {
            notify.success = true;
        } else if (is_word(word, "FAILURE")) {
            notify.failure = true;
        } else if (is_word(word, "DELAY")) {
            notify.delay = true;
        } else {
            return std::nullopt;
        }
        if (word.size() == text.size()) return notify;
        text.remove_prefix(word.size() + 1);
    }
}

std::string text(const DsnNotify& notify) {
    std::string out;
    if (notify.success) out += ",SUCCESS";
    if (notify.failure) out += ",FAILURE";
    if (notify.delay) out += ",DELAY";
    return notify.never || out.empty() ? "NEVER" : out.substr(1);
}

// RFC 3461 §4.4.
bool is_envid(std::string_view text) {
    if (text.empty() || text.size() > kEnvidOctetsMax) return false;
    const auto decoded = decode_xtext(text);
    return decoded && std::ranges::all_of(*decoded, [](char c) { return c >= 32 && c < 127; });
}

// RFC 3461 §4.2; RFC 6533 §3.
bool is_orcpt(std::string_view text, AddressForm form) {
    const std::size_t semicolon = text.find(';');
    if (text.size() > kOrcptOctetsMax || semicolon == std::string_view::npos) return false;
    const std::string_view type = text.substr(0, semicolon);
    const std::string_view address = text.substr(semicolon + 1);
    if (!is_atom(type) || address.empty()) return false;
    if (is_word(type, kUtf8Type)) {
        return is_utf8(address) && std::ranges::all_of(address, [&](char c) {
                   return is_above_ascii(c) ? form == AddressForm::Utf8 : is_graphic(c) && c != '=';
               });
    }
    const auto decoded = decode_xtext(address);
    // Postfix says rfc822, too, of an address that is not ASCII, and has its octets in xtext.
    return decoded && is_utf8(*decoded) && std::ranges::all_of(*decoded, [&](char c) {
               return is_above_ascii(c) ? form == AddressForm::Utf8 : c >= 32 && c < 127;
           });
}

std::string orcpt_of(const Mailbox& mailbox) {
    const std::string address = mailbox.text();
    return mailbox.is_ascii() ? "rfc822;" + encode_xtext(address)
                              : "utf-8;" + with_embedded(address, true);
}

std::string ascii_orcpt(std::string_view orcpt) {
    if (std::ranges::none_of(orcpt, is_above_ascii)) return std::string(orcpt);
    return with_embedded(orcpt, false);
}

std::string report_of_orcpt(std::string_view orcpt, AddressForm form) {
    const std::size_t semicolon = std::min(orcpt.find(';'), orcpt.size());
    const std::string type(orcpt.substr(0, semicolon));
    const std::string_view address = orcpt.substr(std::min(semicolon + 1, orcpt.size()));
    if (!is_word(type, kUtf8Type)) {
        const std::string decoded = decode_xtext(address).value_or(std::string(address));
        if (std::ranges::none_of(decoded, is_above_ascii)) return type + "; " + decoded;
        return "utf-8; " + (form == AddressForm::Utf8 ? decoded : with_embedded(decoded, false));
    }
    if (form == AddressForm::Utf8) return type + "; " + without_embedded(address);
    return type + "; " + with_embedded(address, false);
}

}  // namespace postrider
