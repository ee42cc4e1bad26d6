// What a value of each key may be, in words.

#include <fmt/format.h>

#include "daemon/config_keys.h"
#include "daemon/config_values.h"

namespace postrider::daemon {

namespace {

std::string bounds(const Key& key, std::string (*text)(double)) {
    return fmt::format("{} to {}", text(key.min), text(key.max));
}

std::string number_text(double value) { return fmt::format("{}", value); }
std::string octets_text(double value) { return size_text(static_cast<uint64_t>(value)); }
std::string seconds_text(double value) {
    return duration_text(std::chrono::seconds(static_cast<int64_t>(value)));
}

}  // namespace

std::string allowed_values(const Key& key) {
    switch (key.type) {
        case KeyType::Boolean:
            return "true or false";
        case KeyType::Count:
            return "a whole number, " + bounds(key, number_text);
        case KeyType::Size:
            return "a size, " + bounds(key, octets_text);
        case KeyType::Duration:
            return "a duration, " + bounds(key, seconds_text);
        case KeyType::Mode:
            return "octal permission bits in quotes";
        case KeyType::Choice: {
            std::string out;
            for (std::string_view word : key.choices) {
                out += fmt::format("{}\"{}\"", out.empty() ? "" : " or ", word);
            }
            return out;
        }
        case KeyType::Text:
            return "a text";
        case KeyType::Delimiters:
            return "up to 8 characters such as + - _ = #";
        case KeyType::HostName:
            return "a fully qualified host name";
        case KeyType::Domain:
            return "a domain";
        case KeyType::Domains:
            return "an array of domains";
        case KeyType::Senders:
            return "an array of domains and addresses";
        case KeyType::NextHost:
            return "a host name or an address in brackets, with or without a port";
        case KeyType::Ipv4:
            return "an IPv4 address such as \"192.0.2.1\"";
        case KeyType::Ipv6:
            return "an IPv6 address such as \"2001:db8::1\"";
        case KeyType::Servers:
            return "an array of addresses, with or without a port";
        case KeyType::DeliverTo:
            return "lmtp: with an address and a port or unix:/path, or pipe: with a program";
        case KeyType::Path:
            return "a path";
        case KeyType::Template:
            return "a path with {local} and {domain}";
        case KeyType::Endpoint:
            return "an address with a port, or unix:/path";
        case KeyType::Networks:
            return "an array of networks such as \"192.0.2.0/24\"";
        case KeyType::Address:
            return "an address";
        case KeyType::Addresses:
            return "an array of addresses";
        case KeyType::Aliases:
            return "a table of names, each with an array of addresses";
        case KeyType::AddressFile:
            return "the path of a file";
        case KeyType::Texts:
            return "an array of texts";
        case KeyType::SigningKeys:
            return "an array of \"author\", domains and names of key records";
    }
    return {};
}

}  // namespace postrider::daemon
