#include "daemon/config_reference.h"

#include <fmt/format.h>

#include "daemon/config_keys.h"
#include "daemon/reference_text.h"

namespace postrider::daemon {

namespace {

constexpr std::string_view kExampleHead =
    R"(# Postrider's configuration, with every key there is; made by the program. A key behind
# a # shows its default, or an example where it has none. A [[section]] behind a # may be
# left out; to use it, take away the # of its head, too.
#
# Durations: "10s", "5m", "1h30m", "5d". Sizes: octets, or "512 KiB", "25 MiB", "1 GiB".
# Check it with: postrider check
)";

constexpr std::string_view kReferenceHead = R"(# Configuration

This page is made from the table of keys in `src/daemon/config_keys.cc`; a test holds the two equal.
`docs/postrider.example.toml` shows the same keys as a file.

One TOML file says everything. An unknown key, a wrong type or a wrong value is refused, with file,
line, column and the nearest valid name; all errors of a file are told at once. `postrider check`
reads a file and says what it finds.

- **Durations** are texts such as `"250ms"`, `"10s"`, `"5m"`, `"1h30m"`, `"5d"`; units w d h m s ms.
- **Sizes** are whole numbers of octets, or texts such as `"512 KiB"`, `"25 MiB"`, `"1 GiB"`, units
  of 1024; kB, MB, GB and TB are units of 1000.
- **Networks** are texts such as `"192.0.2.0/24"`, `"2001:db8::/32"` or a single address.
- **Listening addresses** are `"0.0.0.0:25"`, `"[::]:25"` or `"unix:/path"`.
- **Next hosts** are `"mail.example.net"`, `"mail.example.net:587"` or `"[192.0.2.1]:25"`; without a
  port it is 25.
- **Paths** that are relative begin at the folder of the configuration file; `{data}` stands for
  `data_directory`.
)";

std::string facts(const Key& key) {
    std::string out = allowed_values(key);
    if (!key.unit.empty()) out += fmt::format(" ({})", key.unit);
    return out;
}

void append_example_key(std::string& out, const Section& section, const Key& key) {
    out += '\n';
    out += wrapped(key.documentation, "# ");
    out +=
        wrapped(fmt::format("Value: {}.{}", facts(key), key.required() ? " Required." : ""), "# ");
    std::string_view value = key.fallback.empty() ? key.example : key.fallback;
    bool off = key.presence == Presence::Optional || section.times == Times::AnyNumber;
    out += fmt::format("{}{} = {}\n", off ? "#" : "", key.name, value);
}

void append_reference_key(std::string& out, const Key& key) {
    out += fmt::format("\n### {}\n\n", key.name);
    out += wrapped(key.documentation, "");
    out += '\n';
    out += wrapped(fmt::format("- Value: {}.", facts(key)), "");
    if (!key.fallback.empty()) {
        out += fmt::format("- Default: `{}`\n", key.fallback);
    } else {
        out += fmt::format("- {}; for example `{}`\n", key.required() ? "Required" : "No default",
                           key.example);
    }
}

}  // namespace

std::string annotated_example() {
    std::string out(kExampleHead);
    for (const Section& section : config_sections()) {
        if (!section.name.empty()) {
            out += '\n';
            out += wrapped(section.documentation, "# ");
            out += section.times == Times::AnyNumber ? "#" : "";
            out += section.heading() + '\n';
        }
        for (const Key& key : config_keys()) {
            if (key.section == section.name) append_example_key(out, section, key);
        }
    }
    return out;
}

std::string configuration_reference() {
    std::string out(kReferenceHead);
    for (const Section& section : config_sections()) {
        out += section.name.empty() ? std::string("\n## Top of the file\n\n")
                                    : fmt::format("\n## {}\n\n", section.heading());
        out += wrapped(section.documentation, "");
        for (const Key& key : config_keys()) {
            if (key.section == section.name) append_reference_key(out, key);
        }
    }
    return out;
}

}  // namespace postrider::daemon
