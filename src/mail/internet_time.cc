#include "mail/internet_time.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>

namespace postrider {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes `count` digits and the octet behind them, if one is wanted, from the front of `text`.
std::optional<unsigned> take_number(std::string_view& text, std::size_t count, char behind) {
    std::size_t all = count + (behind ? 1 : 0);
    if (text.size() < all || (behind && text[count] != behind)) return std::nullopt;
    unsigned value = 0;
    for (char c : text.substr(0, count)) {
        if (!is_digit(c)) return std::nullopt;
        value = value * 10 + static_cast<unsigned>(c - '0');
    }
    text.remove_prefix(all);
    return value;
}

}  // namespace

std::string internet_time(Wall at) {
    std::chrono::sys_seconds moment{std::chrono::seconds(at.seconds())};
    auto day = std::chrono::floor<std::chrono::days>(moment);
    std::chrono::year_month_day date{day};
    std::chrono::hh_mm_ss time{moment - day};
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                       time.hours().count(), time.minutes().count(), time.seconds().count());
}

std::optional<Wall> parse_internet_time(std::string_view text) {
    auto year = take_number(text, 4, '-');
    if (!year) return std::nullopt;
    auto month = take_number(text, 2, '-');
    if (!month) return std::nullopt;
    auto day = take_number(text, 2, 0);
    if (!day || text.empty() || (text.front() != 'T' && text.front() != 't')) return std::nullopt;
    text.remove_prefix(1);
    auto hour = take_number(text, 2, ':');
    if (!hour) return std::nullopt;
    auto minute = take_number(text, 2, ':');
    if (!minute) return std::nullopt;
    auto second = take_number(text, 2, 0);
    if (!second) return std::nullopt;
    if (text.starts_with('.')) {
        auto digits = static_cast<std::size_t>(std::ranges::find_if_not(text.substr(1), is_digit) -
                                               text.substr(1).begin());
        if (digits == 0) return std::nullopt;
        text.remove_prefix(1 + digits);
    }
    if (text != "Z" && text != "z" && text != "+00:00" && text != "-00:00") return std::nullopt;
    std::chrono::year_month_day date{std::chrono::year(static_cast<int>(*year)),
                                     std::chrono::month(*month), std::chrono::day(*day)};
    // RFC 3339 §5.7: a leap second is the last of a day in UTC.
    const unsigned second_max = *hour == 23 && *minute == 59 ? 60 : 59;
    if (!date.ok() || *hour > 23 || *minute > 59 || *second > second_max) return std::nullopt;
    auto days = std::chrono::sys_days(date).time_since_epoch();
    int64_t seconds =
        int64_t{days.count()} * 86400 + *hour * 3600 + *minute * 60 + std::min(*second, 59U);
    return Wall{seconds * 1'000'000};
}

}  // namespace postrider
