#include "daemon/log_reference.h"

#include <fmt/format.h>

#include "base/log.h"
#include "daemon/log_line.h"
#include "daemon/reference_text.h"

namespace postrider::daemon {

namespace {

constexpr std::string_view kHead = R"(# Log events

This page is made from `src/base/log_catalogue.inc`; a test holds the two equal.

One event is one line, in logfmt (`key=value`, quoted where need be) or JSON as `[log] format`
says. Every line begins with `time` (UTC, RFC 3339), `level` and `event`; then come the fields of
the event. Names of events and the meaning of fields do not change from one release to the next.

Text that comes from outside cannot end a line or forge a field: control characters, line separators
and marks of writing direction are escaped as in JSON, octets that are not UTF-8 become U+FFFD, and
a value longer than 2048 octets ends there with `...`.

Levels: `error` needs the operator, `warning` should be looked at, `info` is the life of a message,
`debug` is for finding a fault.
)";

std::string field_list(std::string_view fields) {
    std::string out;
    while (!fields.empty()) {
        std::size_t end = std::min(fields.find(' '), fields.size());
        out += fmt::format("{}`{}`", out.empty() ? "" : ", ", fields.substr(0, end));
        fields.remove_prefix(std::min(end + 1, fields.size()));
    }
    return out.empty() ? "none" : out;
}

}  // namespace

std::string logging_reference() {
    std::string out(kHead);
    for (const EventInfo& event : event_catalogue()) {
        out += fmt::format("\n## {}\n\n", event.name);
        out += wrapped(fmt::format("Level `{}`. Fields: {}.", level_name(event.level),
                                   field_list(event.fields)),
                       "");
        out += "\n";
        out += wrapped(event.paragraph, "");
    }
    return out;
}

}  // namespace postrider::daemon
