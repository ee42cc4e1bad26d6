// daemon/log_reference.h: docs/logging.md, made from the catalogue of events.
//
// Threads: plain function.

#pragma once

#include <string>

namespace postrider::daemon {

std::string logging_reference();

}  // namespace postrider::daemon
