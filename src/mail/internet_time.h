// mail/internet_time.h: a moment as RFC 3339 writes it, in UTC: 2026-04-01T08:00:00Z.
//
// FUTURERELEASE (RFC 4865) carries such moments in its parameter, its announcement and in reports.
//
// Threads: pure functions.
// RFC 3339 §5.6; RFC 4865 §3 (UTC only).

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/time.h"

namespace postrider {

// Seconds; what is below a second is left out.
std::string internet_time(Wall at);

// "Z" or "+00:00" only; fractions of a second are taken and dropped. A leap second (23:59:60)
// counts as the one before it.
std::optional<Wall> parse_internet_time(std::string_view text);

}  // namespace postrider
