#include "smtp/capabilities.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace postrider::smtp {

namespace {

constexpr std::size_t kKeywordOctetsMax = 64;  // kept of an unknown one

std::string upper(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    }
    return out;
}

// The next word of `text`, taken from its front; empty at the end.
std::string_view take_word(std::string_view& text) {
    std::size_t begin = std::min(text.find_first_not_of(" \t"), text.size());
    std::size_t end = std::min(text.find_first_of(" \t", begin), text.size());
    std::string_view word = text.substr(begin, end - begin);
    text.remove_prefix(end);
    return word;
}

std::string_view take_line(std::string_view& text) {
    std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    return line;
}

template <typename T>
std::optional<T> number(std::string_view text) {
    T value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<Duration> seconds(std::string_view text) {
    std::optional<uint32_t> value = number<uint32_t>(text);  // more than a century is no limit
    if (!value) return std::nullopt;
    return std::chrono::seconds(*value);
}

// RFC 1870 §3: "SIZE" or "SIZE" SP digits; 0 or none = no fixed limit. More than fits is none.
void read_size(Capabilities& out, std::string_view rest) {
    std::string_view word = take_word(rest);
    out.size = word.find_first_not_of("0123456789") == std::string_view::npos;
    out.size_octets = out.size ? number<uint64_t>(word).value_or(0) : 0;
}

// RFC 4954 §3. "AUTH=LOGIN PLAIN" is an old form that some servers send besides.
void read_auth(Capabilities& out, std::string_view rest) {
    for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) {
        std::string mechanism = upper(word);
        if (out.auth.size() < Capabilities::kAuthMechanismsMax &&
            std::ranges::find(out.auth, mechanism) == out.auth.end()) {
            out.auth.push_back(std::move(mechanism));
        }
    }
}

// RFC 9422 §4: NAME=value pairs; values from 1 to 999999.
void read_limits(Capabilities& out, std::string_view rest) {
    for (std::string_view word = take_word(rest); !word.empty(); word = take_word(rest)) {
        std::size_t equals = std::min(word.find('='), word.size());
        std::string name = upper(word.substr(0, equals));
        std::optional<uint32_t> value =
            number<uint32_t>(word.substr(std::min(equals + 1, word.size())));
        if (!value || *value == 0) continue;
        if (name == "MAILMAX") out.limits.mail_max = value;
        if (name == "RCPTMAX") out.limits.rcpt_max = value;
        if (name == "RCPTDOMAINMAX") out.limits.rcpt_domain_max = value;
    }
}

// RFC 6710 §3: an optional profile name.
void read_mt_priority(Capabilities& out, std::string_view rest) {
    out.mt_priority = true;
    out.mt_priority_profile = upper(take_word(rest));
}

// RFC 2852 §2: optionally the smallest by-time that is taken.
void read_deliver_by(Capabilities& out, std::string_view rest) {
    out.deliver_by = true;
    out.deliver_by_min = seconds(take_word(rest));
}

// RFC 4865 §4: max-interval, then max-date-time (which says the same).
void read_future_release(Capabilities& out, std::string_view rest) {
    out.future_release = true;
    out.future_release_max = seconds(take_word(rest));
}

struct Extension {
    std::string_view keyword;
    void (*read)(Capabilities& out, std::string_view rest);
};

constexpr std::array kExtensions = {
    Extension{"SIZE", read_size},
    Extension{"8BITMIME", [](Capabilities& out, std::string_view) { out.eight_bit_mime = true; }},
    Extension{"PIPELINING", [](Capabilities& out, std::string_view) { out.pipelining = true; }},
    Extension{"CHUNKING", [](Capabilities& out, std::string_view) { out.chunking = true; }},
    Extension{"BINARYMIME", [](Capabilities& out, std::string_view) { out.binary_mime = true; }},
    Extension{"DSN", [](Capabilities& out, std::string_view) { out.dsn = true; }},
    Extension{"SMTPUTF8", [](Capabilities& out, std::string_view) { out.smtputf8 = true; }},
    Extension{"ENHANCEDSTATUSCODES",
              [](Capabilities& out, std::string_view) { out.enhanced_status_codes = true; }},
    Extension{"STARTTLS", [](Capabilities& out, std::string_view) { out.starttls = true; }},
    Extension{"REQUIRETLS", [](Capabilities& out, std::string_view) { out.requiretls = true; }},
    Extension{"AUTH", read_auth},
    Extension{"LIMITS", read_limits},
    Extension{"MT-PRIORITY", read_mt_priority},
    Extension{"DELIVERBY", read_deliver_by},
    Extension{"FUTURERELEASE", read_future_release},
};

void read_line(Capabilities& out, std::string_view line) {
    std::string_view rest = line;
    std::string_view word = take_word(rest);
    if (word.empty()) return;
    std::string keyword = upper(word);
    if (keyword.starts_with("AUTH=")) {
        read_auth(out, word.substr(5));
        return read_auth(out, rest);
    }
    for (const Extension& extension : kExtensions) {
        if (extension.keyword == keyword) return extension.read(out, rest);
    }
    if (out.unknown.size() < Capabilities::kUnknownMax) {
        out.unknown.emplace_back(word.substr(0, kKeywordOctetsMax));
    }
}

}  // namespace

Capabilities Capabilities::parse(const Reply& reply) {
    Capabilities out;
    out.extended = true;
    std::string_view rest = reply.text;
    // RFC 5321 §4.1.1.1: the first line is domain and greeting, the others one extension each.
    std::string_view first = take_line(rest);
    out.name = take_word(first);
    while (!rest.empty()) read_line(out, take_line(rest));
    return out;
}

}  // namespace postrider::smtp
