// daemon/log_line.h: how one log line looks.
//
// Promise: one event is one line, whatever is in its fields. Nothing from outside can end a line,
// begin another field, or steer a terminal: control characters, quotes, line separators, marks of
// writing direction and octets that are not UTF-8 are escaped or replaced.
//
//   logfmt  time=2026-11-21T20:58:01.123456Z level=info event=Delivered id=0D5... to=a@b.example
//   json    {"time":"2026-11-21T20:58:01.123456Z","level":"info","event":"Delivered",...}
//
// A logfmt value stands in quotes when it is empty or holds a space, a quote, a backslash, "=" or
// anything escaped; inside, the escapes are those of JSON (RFC 8259 §7).
//
// Threads: plain functions.

#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/log.h"
#include "base/time.h"

namespace postrider::daemon {

enum class LogFormat : uint8_t {
    Logfmt,
    Json
};

// Longer values end there, with "...".
inline constexpr std::size_t kLogValueOctetsMax = 2048;

std::string_view level_name(LogLevel level);

// RFC 3339 with microseconds, in UTC.
void append_time(std::string& out, Wall time);

// Appends the line with its final LF.
void append_line(std::string& out, LogFormat format, Wall time, Event event,
                 std::span<const LogField> fields);

}  // namespace postrider::daemon
