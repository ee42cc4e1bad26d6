#include "mail/trace.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <string>

#include "mail/header.h"

namespace postrider {

namespace {

constexpr std::size_t kDateTimeOctets = 31;

void add_digits(std::string& out, int64_t number, std::size_t width) {
    const std::string digits = std::to_string(number);
    out.append(width - std::min(width, digits.size()), '0');
    out += digits;
}

}  // namespace

std::string date_time(Wall at, int zone_minutes) {
    static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                         "Thu", "Fri", "Sat"};
    static constexpr std::array<const char*, 12> kMonths = {
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    using std::chrono::days;
    using std::chrono::seconds;
    std::chrono::sys_seconds local{seconds(at.seconds() + zone_minutes * 60LL)};
    auto day = std::chrono::floor<days>(local);
    std::chrono::year_month_day date{day};
    std::chrono::hh_mm_ss time{local - day};
    int zone = std::abs(zone_minutes);
    // RFC 5322 §3.3: day-of-week "," day month year hour ":" minute ":" second zone.
    std::string out;
    out.reserve(kDateTimeOctets);
    out += kDays[std::chrono::weekday(day).c_encoding()];
    out += ", ";
    add_digits(out, static_cast<unsigned>(date.day()), 2);
    out += ' ';
    out += kMonths[static_cast<unsigned>(date.month()) - 1];
    out += ' ';
    add_digits(out, static_cast<int>(date.year()), 4);
    out += ' ';
    add_digits(out, time.hours().count(), 2);
    out += ':';
    add_digits(out, time.minutes().count(), 2);
    out += ':';
    add_digits(out, time.seconds().count(), 2);
    out += zone_minutes < 0 ? " -" : " +";
    add_digits(out, zone / 60, 2);
    add_digits(out, zone % 60, 2);
    return out;
}

std::string return_path_field(const ReversePath& path) {
    return "Return-Path: <" + without_controls(path.text()) + ">\r\n";
}

std::string delivered_to_field(const Mailbox& mailbox) {
    return "Delivered-To: " + without_controls(mailbox.text()) + "\r\n";
}

namespace {

constexpr std::string_view kQuarantineName = "X-Postrider-Quarantine: ";
constexpr std::size_t kQuarantineReasonMax = 500;

}  // namespace

std::string quarantine_field(std::string_view reason) {
    std::string field(kQuarantineName);
    field += without_controls(reason.substr(0, kQuarantineReasonMax));
    for (char& c : field) {
        if (static_cast<unsigned char>(c) > 126) c = '?';
    }
    return field + "\r\n";
}

bool is_quarantined(std::string_view prefix) {
    for (std::size_t at = 0; at != std::string_view::npos;) {
        if (prefix.substr(at).starts_with(kQuarantineName)) return true;
        at = prefix.find('\n', at);
        if (at != std::string_view::npos) at++;
    }
    return false;
}

std::string judgement_in(std::string_view prefix) {
    std::string out;
    HeaderReader reader(prefix);
    while (auto field = reader.next()) {
        if (field->is_named("Authentication-Results") ||
            field->whole.starts_with(kQuarantineName)) {
            out += field->whole;
        }
    }
    return out;
}

std::string without_controls(std::string_view text) {
    std::string safe(text);
    for (char& c : safe) {
        if (static_cast<unsigned char>(c) < 32 || c == 127) c = '?';
    }
    return safe;
}

}  // namespace postrider
