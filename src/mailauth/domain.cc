#include "mailauth/domain.h"

#include <idn2.h>

#include <algorithm>

#include "mail/domain.h"

namespace postrider::mailauth {

namespace {

constexpr std::size_t kULabelsOctetsMax = 1024;  // four octets for each of a name's

// RFC 5891 §5: look-up, non-transitional as registries and browsers do today.
std::optional<std::string> to_ascii(std::string_view domain) {
    if (domain.size() > kULabelsOctetsMax || domain.find('\0') != std::string_view::npos ||
        !is_utf8(domain)) {
        return std::nullopt;
    }
    const std::string terminated(domain);
    char* ascii = nullptr;
    const int status =
        idn2_to_ascii_8z(terminated.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (status != IDN2_OK) return std::nullopt;
    std::string out(ascii);
    idn2_free(ascii);
    return out;
}

}  // namespace

std::optional<std::string> a_labels(std::string_view domain) {
    if (domain.empty() || domain.front() == '[') return std::nullopt;
    std::string out;
    if (is_ascii(domain)) {
        out = ascii_lower(domain);
    } else if (auto ascii = to_ascii(domain)) {
        out = ascii_lower(*ascii);
    } else {
        return std::nullopt;
    }
    if (out.ends_with('.')) out.pop_back();
    if (out.empty() || out.ends_with('.') || !plain_name(out)) return std::nullopt;
    return out;
}

std::optional<dns::Name> plain_name(std::string_view text) {
    if (text.find('\\') == std::string_view::npos) return dns::Name::parse(text);
    std::string escaped;
    escaped.reserve(text.size() + 8);
    for (const char c : text) {
        if (c == '\\') escaped += '\\';
        escaped += c;
    }
    return dns::Name::parse(escaped);
}

std::string_view last_labels(std::string_view name, std::size_t count) {
    std::size_t begin = name.size();
    for (; count > 0; count--) {
        if (begin == 0) return name;
        const std::size_t dot = name.rfind('.', begin - 1);
        if (dot == std::string_view::npos) return name;
        if (count == 1) return name.substr(dot + 1);
        begin = dot;
    }
    return name.substr(name.size());
}

std::size_t count_labels(std::string_view name) {
    return name.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(name, '.')) + 1;
}

std::string ascii_lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) c = ascii_lower(c);
    return out;
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::ranges::equal(a, b, [](char x, char y) {
               return ascii_lower(x) == ascii_lower(y);
           });
}

bool is_ascii(std::string_view text) {
    // Without a branch for each octet, so that a compiler can look at many at once.
    unsigned char any = 0;
    for (const char c : text) any |= static_cast<unsigned char>(c);
    return any < 128;
}

std::string shown(std::string_view text, std::size_t octets_max) {
    std::string out(text.substr(0, octets_max));
    for (char& c : out) {
        if (c < ' ' || c > '~') c = '?';
    }
    if (text.size() > octets_max) out += "...";
    return out;
}

}  // namespace postrider::mailauth
