// daemon/config_fuzz.cc: any octets are a configuration or a list of errors, never a crash.
//
// Asserts the promises of config.h: errors have places, and what loads has a table without
// problems.

#include <cstdlib>

#include "daemon/config.h"

using namespace postrider;
using namespace postrider::daemon;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    std::string_view text(reinterpret_cast<const char*>(data), size);
    // The text is its own mailboxes_file, too.
    ReadFile files = [&](const std::string&) -> Result<std::string> { return std::string(text); };
    auto config = load(text, "/etc/fuzz.toml", files);
    if (!config) {
        if (config.error().empty()) std::abort();
        for (const ConfigError& error : config.error()) {
            if (error.message.empty() || error.file.empty()) std::abort();
        }
        return 0;
    }
    if (config->listeners.empty() || config->hostname.empty()) std::abort();
    auto built = route::Table::build(config->routing);
    if (!built.problems.empty()) std::abort();
    if (!std::holds_alternative<route::Local>(built.table->resolve({"postmaster", ""}))) {
        std::abort();
    }
    return 0;
}
