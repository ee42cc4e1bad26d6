#include "daemon/config.h"

#include <fmt/format.h>

#include <cassert>

namespace postrider::daemon {

std::string ConfigError::text() const {
    if (line == 0) return fmt::format("{}: {}", file, message);
    return fmt::format("{}:{}:{}: {}", file, line, column, message);
}

namespace {

// A TOML basic string.
std::string quoted(std::string_view text) {
    std::string out = "\"";
    for (char c : text) {
        auto octet = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (octet < 0x20 || octet == 0x7F) {
            out += fmt::format("\\u{:04X}", octet);
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace

std::string default_config_text(std::string_view directory) {
    return fmt::format(
        R"(# Postrider's configuration for trying it out: nothing leaves this machine.
hostname = "mail.postrider.test"
data_directory = {}

[[listener]]
address = "127.0.0.1:2525"

[[domain]]
name = "postrider.test"
mailboxes = ["you"]
postmaster = "you"
)",
        quoted(directory));
}

Config default_config_for(std::string_view directory) {
    auto no_files = [](const std::string&) -> Result<std::string> { return fail("no such file"); };
    auto config = load(default_config_text(directory), "built-in configuration", no_files);
    assert(config);
    return std::move(*config);
}

}  // namespace postrider::daemon
