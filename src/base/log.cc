#include "base/log.h"

#include <array>

namespace postrider {

namespace {

constexpr auto kCatalogue = std::to_array<EventInfo>({
#define POSTRIDER_EVENT(name, level, fields, paragraph) {#name, LogLevel::level, fields, paragraph},
#include "base/log_catalogue.inc"
#undef POSTRIDER_EVENT
});

}  // namespace

const EventInfo& info(Event event) { return kCatalogue[static_cast<std::size_t>(event)]; }

std::span<const EventInfo> event_catalogue() { return kCatalogue; }

}  // namespace postrider
