// daemon/config_text.h: a look at the text of a configuration before it is parsed.
//
// Threads: a pure function.

#pragma once

#include <optional>
#include <string_view>

#include "daemon/config_positions.h"

namespace postrider::daemon {

// Where the first octet above 127 stands that is neither in a string nor in a comment; in TOML 1.0
// there is none.
std::optional<Position> unquoted_non_ascii(std::string_view text);

}  // namespace postrider::daemon
