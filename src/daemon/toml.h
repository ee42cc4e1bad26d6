// daemon/toml.h: toml++, made fit for files that somebody wrote wrongly.
//
// The problem: some syntax errors ("[[[a]") make toml++ 3.3 fail an assertion of its own, which
// would end the process at a reload. Here such an assertion becomes an exception, which the loader
// catches beside toml::parse_error. A letter outside ASCII where TOML 1.0 has none (outside quotes
// and comments) even leads it into undefined behaviour: config_text.h finds those before it reads.
//
// Threads: no rule.

#pragma once

#include <stdexcept>
#include <string_view>

namespace postrider::daemon {

struct TomlFault : std::logic_error {
    using std::logic_error::logic_error;
};

constexpr void check_toml_assertion(bool holds, const char* expression) {
    // What this one asserts at the start of a key, the parser checks again right after, and then
    // tells the error with its place.
    constexpr std::string_view kStartOfKey =
        "is_bare_key_character(*cp) || is_string_delimiter(*cp)";
    if (!holds && expression != kStartOfKey) throw TomlFault(expression);
}

}  // namespace postrider::daemon

#define TOML_ASSERT(expression) \
    ::postrider::daemon::check_toml_assertion(static_cast<bool>(expression), #expression)
#include <toml++/toml.h>
