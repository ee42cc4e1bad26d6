// daemon/config_values.h: the notations of the configuration, each read and written.
//
// Threads: plain functions.
// Failure: Error with a sentence that shows what is right.

#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

#include "base/result.h"
#include "base/time.h"
#include "mail/destination.h"
#include "world/net.h"

namespace postrider::daemon {

// "10s", "5m", "1h30m", "5d", "250ms": numbers with units ms s m h d w, each unit once, falling.
Result<Duration> parse_duration(std::string_view text);
std::string duration_text(Duration duration);

// Octets: "1048576", "25 MiB", "10KiB"; units KiB MiB GiB TiB (of 1024), kB MB GB TB (of 1000), B.
Result<uint64_t> parse_size(std::string_view text);
std::string size_text(uint64_t octets);

// "0.0.0.0:25", "[::]:25", "unix:/path". Port 0 lets the system choose.
Result<world::Endpoint> parse_endpoint(std::string_view text);

// A host to connect to: by a name whose addresses are asked for, or by its address.
struct NextHost {
    std::variant<std::string, world::IpAddress> host;
    uint16_t port = 0;

    std::string text() const;  // "mail.example.net:25", "[192.0.2.1]:25", "[2001:db8::1]:25"
};

// "mail.example.net", "mail.example.net:587", "[192.0.2.1]:25". Without a port: 25.
Result<NextHost> parse_next_host(std::string_view text);

// A server known by its address: "192.0.2.53", "192.0.2.53:5353", "2001:db8::53",
// "[2001:db8::53]:53".
Result<world::IpEndpoint> parse_server(std::string_view text, uint16_t default_port);

// "lmtp:unix:/run/lmtp", "lmtp:127.0.0.1:24", "pipe:/usr/bin/program argument ...". Gives an
// LmtpDestination or a PipeDestination.
Result<Destination> parse_deliver_to(std::string_view text);

// "0600": octal permission bits up to 0777.
Result<uint64_t> parse_mode(std::string_view text);

// RFC 1035 §2.3.1 as RFC 1123 §2.1 widened it: letters, digits, hyphens; at least two labels, the
// last one not only digits. Gives it in lower case.
Result<std::string> parse_host_name(std::string_view text);

// "author", "example.org", "selector._domainkey.example.org", as seal::SigningRule has them.
Result<std::string> parse_signing_key(std::string_view text);

// The word among `known` that somebody who wrote `word` probably meant; empty = none is near.
std::string_view nearest(std::string_view word, std::span<const std::string_view> known);

}  // namespace postrider::daemon
