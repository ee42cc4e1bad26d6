// base/log.h: what is said to the operator.
//
// Every event stands in one catalogue (log_catalogue.inc) with its id, level, fields and a
// paragraph that says what it means and what to do. Code names the event and gives the fields;
// how lines look and where they go is the daemon's matter (daemon/log_file.h).
//
// Promise: secrets and message bodies never reach a log. Writing never waits.
// Threads: write() from anywhere.

#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string_view>
#include <variant>

namespace postrider {

enum class LogLevel : uint8_t {
    Debug,
    Info,
    Warning,
    Error
};

enum class Event : uint16_t {
#define POSTRIDER_EVENT(name, level, fields, paragraph) name,
#include "base/log_catalogue.inc"
#undef POSTRIDER_EVENT
};

struct EventInfo {
    std::string_view name;  // as written in the log, CamelCase
    LogLevel level;
    std::string_view fields;     // names of its fields, separated by spaces
    std::string_view paragraph;  // for the operator
};

const EventInfo& info(Event event);
std::span<const EventInfo> event_catalogue();

struct LogField {
    std::string_view key;
    std::variant<std::string_view, int64_t> value;
};

class Log {
public:
    virtual ~Log() = default;
    virtual void write(Event event, std::span<const LogField> fields) = 0;
    void write(Event event, std::initializer_list<LogField> fields) {
        write(event, std::span(fields.begin(), fields.size()));
    }
};

// Swallows everything; for tests.
class NoLog : public Log {
public:
    using Log::write;
    void write(Event, std::span<const LogField>) override {}
};

}  // namespace postrider
