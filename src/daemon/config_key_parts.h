// daemon/config_key_parts.h: the parts of config_keys(), each in a file of its own.
//
// Threads: constants.

#pragma once

#include <span>

#include "daemon/config_keys.h"

namespace postrider::daemon {

std::span<const Key> general_keys();  // config_keys.cc
std::span<const Key> account_keys();  // config_keys_accounts.cc: [accounts] and [submission]

}  // namespace postrider::daemon
