#include "daemon/config_values.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>
#include <optional>
#include <vector>

#include "deliver/pipe_command.h"
#include "mailauth/dkim/signature.h"
#include "mailauth/domain.h"
#include "seal/signing.h"

namespace postrider::daemon {

namespace {

struct Unit {
    std::string_view name;
    uint64_t factor;
};

constexpr uint64_t kMs = 1'000'000;  // nanoseconds
constexpr auto kTimeUnits = std::to_array<Unit>({{"w", 7 * 86'400'000 * kMs},
                                                 {"d", 86'400'000 * kMs},
                                                 {"h", 3'600'000 * kMs},
                                                 {"m", 60'000 * kMs},
                                                 {"s", 1'000 * kMs},
                                                 {"ms", kMs}});
constexpr auto kSizeUnits = std::to_array<Unit>({{"TiB", 1ULL << 40},
                                                 {"GiB", 1ULL << 30},
                                                 {"MiB", 1ULL << 20},
                                                 {"KiB", 1ULL << 10},
                                                 {"TB", 1'000'000'000'000},
                                                 {"GB", 1'000'000'000},
                                                 {"MB", 1'000'000},
                                                 {"kB", 1'000},
                                                 {"B", 1},
                                                 {"", 1}});
constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// Takes the digits at the front.
std::optional<uint64_t> take_number(std::string_view& text) {
    uint64_t value = 0;
    auto [end, status] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (status != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return value;
}

std::optional<uint64_t> scaled(uint64_t value, uint64_t factor) {
    if (value > kMax / factor) return std::nullopt;
    return value * factor;
}

std::unexpected<Error> no_duration(std::string_view text) {
    return fail(
        fmt::format("\"{}\" is not a duration: write \"10s\", \"5m\", \"1h30m\" or \"5d\"", text));
}

std::unexpected<Error> no_endpoint(std::string_view text) {
    return fail(
        fmt::format("\"{}\" is not an address to listen on: write \"0.0.0.0:25\", \"[::]:25\" or "
                    "\"unix:/path\"",
                    text));
}

std::unexpected<Error> no_deliver_to(std::string_view text) {
    return fail(
        fmt::format("\"{}\" takes no mail: write \"lmtp:unix:/path\", \"lmtp:127.0.0.1:24\" or "
                    "\"pipe:/path/of/program arguments\"",
                    text));
}

// A port that can be connected to.
std::optional<uint16_t> connect_port(std::string_view digits) {
    std::optional<uint64_t> port = take_number(digits);
    if (!port || !digits.empty() || *port == 0 || *port > 65535) return std::nullopt;
    return static_cast<uint16_t>(*port);
}

// "host", "host:port", "[host]", "[host]:port"; a host with several colons and no brackets is an
// IPv6 address alone.
struct HostPort {
    std::string_view host;
    bool bracketed = false;
    uint16_t port = 0;
};

std::optional<HostPort> split_port(std::string_view text, uint16_t default_port) {
    HostPort out{.host = text, .port = default_port};
    std::string_view rest;
    if (text.starts_with('[')) {
        std::size_t end = text.find(']');
        if (end == text.npos) return std::nullopt;
        out.host = text.substr(1, end - 1);
        out.bracketed = true;
        rest = text.substr(end + 1);
    } else if (std::ranges::count(text, ':') == 1) {
        out.host = text.substr(0, text.find(':'));
        rest = text.substr(out.host.size());
    }
    if (rest.empty()) return out;
    std::optional<uint16_t> port =
        rest.front() == ':' ? connect_port(rest.substr(1)) : std::nullopt;
    if (!port) return std::nullopt;
    out.port = *port;
    return out;
}

bool is_host_label(std::string_view label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(label,
                               [](char c) { return is_digit(c) || is_letter(c) || c == '-'; });
}

}  // namespace

Result<Duration> parse_duration(std::string_view text) {
    std::string_view rest = text;
    uint64_t total = 0;
    uint64_t last_factor = std::numeric_limits<uint64_t>::max();
    if (rest.empty()) return no_duration(text);
    while (!rest.empty()) {
        std::optional<uint64_t> number = take_number(rest);
        std::size_t letters = 0;
        while (letters < rest.size() && is_letter(rest[letters])) ++letters;
        auto unit = std::ranges::find(kTimeUnits, rest.substr(0, letters), &Unit::name);
        if (!number || unit == kTimeUnits.end() || unit->factor >= last_factor) {
            return no_duration(text);
        }
        std::optional<uint64_t> part = scaled(*number, unit->factor);
        if (!part || *part > kMax - total) {
            return fail(fmt::format("\"{}\" is longer than any clock runs", text));
        }
        total += *part;
        last_factor = unit->factor;
        rest.remove_prefix(letters);
    }
    return Duration(static_cast<int64_t>(total));
}

std::string duration_text(Duration duration) {
    auto rest = static_cast<uint64_t>(std::max<int64_t>(duration.count(), 0));
    std::string out;
    for (const Unit& unit : kTimeUnits) {
        if (unit.name == "w" || rest < unit.factor) continue;
        out += fmt::format("{}{}", rest / unit.factor, unit.name);
        rest %= unit.factor;
    }
    return out.empty() ? "0s" : out;
}

Result<uint64_t> parse_size(std::string_view text) {
    std::string_view rest = text;
    std::optional<uint64_t> number = take_number(rest);
    if (number && rest.starts_with(' ')) rest.remove_prefix(1);
    auto unit = std::ranges::find(kSizeUnits, rest, &Unit::name);
    if (!number || unit == kSizeUnits.end() || text.ends_with(' ')) {
        return fail(fmt::format(
            "\"{}\" is not a size: write a number of octets, or \"512 KiB\", \"25 MiB\", \"1 GiB\"",
            text));
    }
    std::optional<uint64_t> octets = scaled(*number, unit->factor);
    if (!octets) return fail(fmt::format("\"{}\" is larger than any disk", text));
    return *octets;
}

std::string size_text(uint64_t octets) {
    for (const Unit& unit : kSizeUnits) {
        if (unit.name.ends_with("iB") && octets >= unit.factor && octets % unit.factor == 0) {
            return fmt::format("{} {}", octets / unit.factor, unit.name);
        }
    }
    return fmt::format("{}", octets);
}

Result<world::Endpoint> parse_endpoint(std::string_view text) {
    constexpr std::size_t kUnixPathOctetsMax = 107;  // sun_path without its final NUL
    if (text.starts_with("unix:")) {
        std::string_view path = text.substr(5);
        if (!path.starts_with('/')) return no_endpoint(text);
        if (path.size() > kUnixPathOctetsMax) {
            return fail(fmt::format("the path of a Unix socket holds at most {} octets",
                                    kUnixPathOctetsMax));
        }
        return world::UnixEndpoint{std::string(path)};
    }
    std::size_t colon = text.rfind(':');
    if (colon == text.npos) return no_endpoint(text);
    std::string_view address = text.substr(0, colon);
    std::string_view digits = text.substr(colon + 1);
    bool bracketed = address.starts_with('[') && address.ends_with(']');
    if (bracketed) address = address.substr(1, address.size() - 2);
    std::optional<world::IpAddress> ip = world::IpAddress::parse(address);
    std::optional<uint64_t> port = take_number(digits);
    if (!ip || !port || !digits.empty() || *port > 65535) return no_endpoint(text);
    if (bracketed != (address.find(':') != address.npos)) return no_endpoint(text);
    return world::IpEndpoint{*ip, static_cast<uint16_t>(*port)};
}

std::string NextHost::text() const {
    if (const auto* name = std::get_if<std::string>(&host))
        return fmt::format("{}:{}", *name, port);
    return fmt::format("[{}]:{}", std::get<world::IpAddress>(host).text(), port);
}

Result<NextHost> parse_next_host(std::string_view text) {
    constexpr uint16_t kSmtpPort = 25;  // RFC 5321 §4.5.4.2
    if (std::optional<HostPort> parts = split_port(text, kSmtpPort)) {
        if (std::optional<world::IpAddress> address = world::IpAddress::parse(parts->host)) {
            return NextHost{*address, parts->port};
        }
        Result<std::string> name = parse_host_name(parts->host);
        if (name && !parts->bracketed) return NextHost{std::move(*name), parts->port};
    }
    return fail(
        fmt::format("\"{}\" is not a next host: write \"mail.example.net\", "
                    "\"mail.example.net:587\" or \"[192.0.2.1]:25\"",
                    text));
}

Result<world::IpEndpoint> parse_server(std::string_view text, uint16_t default_port) {
    if (std::optional<HostPort> parts = split_port(text, default_port)) {
        if (std::optional<world::IpAddress> address = world::IpAddress::parse(parts->host)) {
            return world::IpEndpoint{*address, parts->port};
        }
    }
    return fail(
        fmt::format("\"{}\" is not the address of a server: write \"192.0.2.53\", "
                    "\"192.0.2.53:5353\" or \"[2001:db8::53]:53\"",
                    text));
}

Result<Destination> parse_deliver_to(std::string_view text) {
    if (text.starts_with("lmtp:")) {
        Result<world::Endpoint> endpoint = parse_endpoint(text.substr(5));
        if (!endpoint) return no_deliver_to(text);
        const auto* ip = std::get_if<world::IpEndpoint>(&*endpoint);
        if (ip && ip->port == 0) return no_deliver_to(text);
        return LmtpDestination{world::text(*endpoint)};
    }
    if (!text.starts_with("pipe:/")) return no_deliver_to(text);
    std::string_view command = text.substr(5);
    command = command.substr(0, command.find_last_not_of(' ') + 1);
    if (auto checked = deliver::PipeCommand::parse(command); !checked) {
        return fail(checked.error().message);
    }
    return PipeDestination{std::string(command)};
}

Result<uint64_t> parse_mode(std::string_view text) {
    uint64_t mode = 0;
    const char* end = text.data() + text.size();
    auto [stop, status] = std::from_chars(text.data(), end, mode, 8);
    if (status != std::errc() || stop != end || mode > 0777) {
        return fail(
            fmt::format("\"{}\" is not a mode: write octal permission bits as \"0600\"", text));
    }
    return mode;
}

Result<std::string> parse_host_name(std::string_view text) {
    std::string name(text);
    std::ranges::transform(name, name.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    std::size_t labels = 0;
    std::string_view rest = name;
    std::string_view label;
    bool good = name.size() <= 253;
    while (good) {
        std::size_t dot = rest.find('.');
        label = rest.substr(0, dot);
        good = is_host_label(label);
        ++labels;
        if (dot == rest.npos) break;
        rest.remove_prefix(dot + 1);
    }
    if (!good || labels < 2 || std::ranges::all_of(label, is_digit)) {
        return fail(fmt::format(
            "\"{}\" is not a fully qualified host name: write it as \"mail.example.org\"", text));
    }
    return name;
}

namespace {

// Insertions, deletions, replacements and exchanges of neighbours, each counted as one.
std::size_t distance(std::string_view a, std::string_view b) {
    std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
    for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i) {
        now[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            std::size_t replaced = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
            now[j] = std::min({last[j] + 1, now[j - 1] + 1, replaced});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                now[j] = std::min(now[j], before[j - 2] + 1);
            }
        }
        std::swap(before, last);
        std::swap(last, now);
    }
    return last[b.size()];
}

}  // namespace

Result<std::string> parse_signing_key(std::string_view text) {
    if (text == seal::kAuthorsKeys) return std::string(text);
    auto name = mailauth::a_labels(text);
    bool fits = name && name->find('.') != std::string::npos && !name->starts_with("_domainkey.") &&
                mailauth::dkim::ascii_domain(*name);
    if (!fits) {
        return fail(
            fmt::format("\"{}\" names no keys: write \"author\", a domain, or the name of "
                        "a key record such as \"news._domainkey.example.org\"",
                        text));
    }
    return *name;
}

std::string_view nearest(std::string_view word, std::span<const std::string_view> known) {
    constexpr std::size_t kWordOctetsMax = 64;  // longer words are no slip of the pen
    if (word.size() > kWordOctetsMax) return {};
    std::string_view best;
    std::size_t best_distance = std::max<std::size_t>(2, word.size() / 3) + 1;
    for (std::string_view candidate : known) {
        std::size_t d = distance(word, candidate);
        if (d < best_distance && d < candidate.size()) {
            best = candidate;
            best_distance = d;
        }
    }
    return best;
}

}  // namespace postrider::daemon
