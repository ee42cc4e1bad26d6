#include "daemon/log_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <iterator>

namespace postrider::daemon {

namespace {

// A character of UTF-8 (RFC 3629 §4) at the front of `text`: its length, or 0 if there is none.
std::size_t decode(std::string_view text, char32_t& character) {
    auto octet = [&](std::size_t i) -> uint32_t { return static_cast<unsigned char>(text[i]); };
    auto tail = [&](std::size_t i) { return i < text.size() && (octet(i) & 0xC0) == 0x80; };
    uint32_t first = octet(0);
    if (first < 0x80) {
        character = first;
        return 1;
    }
    if (first >= 0xC2 && first < 0xE0 && tail(1)) {
        character = (first & 0x1F) << 6 | (octet(1) & 0x3F);
        return 2;
    }
    if (first >= 0xE0 && first < 0xF0 && tail(1) && tail(2)) {
        character = (first & 0x0F) << 12 | (octet(1) & 0x3F) << 6 | (octet(2) & 0x3F);
        bool surrogate = character >= 0xD800 && character < 0xE000;
        return character >= 0x800 && !surrogate ? 3 : 0;
    }
    if (first >= 0xF0 && first < 0xF5 && tail(1) && tail(2) && tail(3)) {
        character = (first & 0x07) << 18 | (octet(1) & 0x3F) << 12 | (octet(2) & 0x3F) << 6 |
                    (octet(3) & 0x3F);
        return character >= 0x10000 && character < 0x110000 ? 4 : 0;
    }
    return 0;
}

// Characters above ASCII that end lines or move what stands beside them on a screen.
bool is_deceptive(char32_t c) {
    return (c >= 0x80 && c < 0xA0) || c == 0x061C || (c >= 0x200B && c <= 0x200F) ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x206F) || c == 0xFEFF;
}

constexpr bool is_bare(unsigned char c) {  // needs no quotes in logfmt
    return c > 0x20 && c < 0x7F && c != '"' && c != '\\' && c != '=';
}

constexpr bool is_plain(unsigned char c) {  // needs no escape between quotes
    return c >= 0x20 && c < 0x7F && c != '"' && c != '\\';
}

void append_escape(std::string& out, char32_t c) {
    switch (c) {
        case '"':
            out += "\\\"";
            return;
        case '\\':
            out += "\\\\";
            return;
        case '\n':
            out += "\\n";
            return;
        case '\r':
            out += "\\r";
            return;
        case '\t':
            out += "\\t";
            return;
        default:
            fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<uint32_t>(c));
    }
}

void append_quoted(std::string& out, std::string_view text) {
    out += '"';
    while (!text.empty()) {
        auto plain_end = std::ranges::find_if_not(
            text, [](char c) { return is_plain(static_cast<unsigned char>(c)); });
        auto plain = static_cast<std::size_t>(plain_end - text.begin());
        out += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) break;
        char32_t character = 0;
        std::size_t octets = decode(text, character);
        if (octets == 0) {
            out += "\\ufffd";
            octets = 1;
        } else if (octets == 1 || is_deceptive(character)) {
            append_escape(out, character);
        } else {
            out += text.substr(0, octets);
        }
        text.remove_prefix(octets);
    }
    out += '"';
}

std::string_view shortened(std::string_view text, std::string& room) {
    if (text.size() <= kLogValueOctetsMax) return text;
    room = text.substr(0, kLogValueOctetsMax);
    // Not in the middle of a character.
    std::size_t end = room.size();
    while (end > kLogValueOctetsMax - 3 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) {
        --end;
    }
    room.resize(end);
    room += "...";
    return room;
}

void append_value(std::string& out, LogFormat format, std::string_view value) {
    std::string room;
    std::string_view text = shortened(value, room);
    bool bare =
        format == LogFormat::Logfmt && !text.empty() &&
        std::ranges::all_of(text, [](char c) { return is_bare(static_cast<unsigned char>(c)); });
    if (bare) {
        out += text;
    } else {
        append_quoted(out, text);
    }
}

void append_field(std::string& out, LogFormat format, const LogField& field) {
    if (format == LogFormat::Json) {
        out += ",\"";
        out += field.key;
        out += "\":";
    } else {
        out += ' ';
        out += field.key;
        out += '=';
    }
    if (const auto* number = std::get_if<int64_t>(&field.value)) {
        fmt::format_int digits(*number);
        out.append(digits.data(), digits.size());
    } else {
        append_value(out, format, std::get<std::string_view>(field.value));
    }
}

void append_digits(std::string& out, uint64_t value, int width) {
    std::array<char, 20> digits;
    for (int i = width; i-- > 0; value /= 10)
        digits[static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
    out.append(digits.data(), static_cast<std::size_t>(width));
}

}  // namespace

std::string_view level_name(LogLevel level) {
    constexpr std::string_view kNames[] = {"debug", "info", "warning", "error"};
    return kNames[static_cast<std::size_t>(level)];
}

void append_time(std::string& out, Wall time) {
    using namespace std::chrono;
    // Years of four digits, as RFC 3339 §5.6 has them.
    constexpr int64_t kUsMin = -62'167'219'200'000'000;  // 0000-01-01T00:00:00
    constexpr int64_t kUsMax = 253'402'300'799'999'999;  // 9999-12-31T23:59:59.999999
    time.us = std::clamp(time.us, kUsMin, kUsMax);
    int64_t total = time.seconds();
    int64_t day = total >= 0 ? total / 86'400 : (total - 86'399) / 86'400;
    int64_t second = total - day * 86'400;
    int64_t fraction = time.us - total * 1'000'000;
    year_month_day date{sys_days{days{day}}};
    append_digits(out, static_cast<uint64_t>(int{date.year()}), 4);
    out += '-';
    append_digits(out, unsigned{date.month()}, 2);
    out += '-';
    append_digits(out, unsigned{date.day()}, 2);
    out += 'T';
    append_digits(out, static_cast<uint64_t>(second / 3600), 2);
    out += ':';
    append_digits(out, static_cast<uint64_t>(second / 60 % 60), 2);
    out += ':';
    append_digits(out, static_cast<uint64_t>(second % 60), 2);
    out += '.';
    append_digits(out, static_cast<uint64_t>(fraction), 6);
    out += 'Z';
}

void append_line(std::string& out, LogFormat format, Wall time, Event event,
                 std::span<const LogField> fields) {
    const EventInfo& about = info(event);
    bool json = format == LogFormat::Json;
    out += json ? "{\"time\":\"" : "time=";
    append_time(out, time);
    out += json ? "\",\"level\":\"" : " level=";
    out += level_name(about.level);
    out += json ? "\",\"event\":\"" : " event=";
    out += about.name;
    if (json) out += '"';
    for (const LogField& field : fields) append_field(out, format, field);
    if (json) out += '}';
    out += '\n';
}

}  // namespace postrider::daemon
