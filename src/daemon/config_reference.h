// daemon/config_reference.h: what is written for operators, made from the table of keys.
//
// Promise: docs/postrider.example.toml and docs/configuration.md are these texts (a test compares),
// and the example loads without an error, as it is and with every commented key switched on.
//
// Threads: plain functions.

#pragma once

#include <string>

namespace postrider::daemon {

// docs/postrider.example.toml: every key with its explanation. Keys that have a default stand
// behind a # with that default.
std::string annotated_example();

// docs/configuration.md
std::string configuration_reference();

}  // namespace postrider::daemon
