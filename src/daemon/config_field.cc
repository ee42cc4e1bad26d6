#include "daemon/config_field.h"

#include <fmt/format.h>

#include <algorithm>

#include "daemon/config_values.h"
#include "mailauth/dkim/signer.h"

namespace postrider::daemon {

namespace {

std::string_view type_name(const toml::node& node) {
    switch (node.type()) {
        case toml::node_type::table:
            return "a table";
        case toml::node_type::array:
            return "an array";
        case toml::node_type::string:
            return "a text";
        case toml::node_type::integer:
            return "a whole number";
        case toml::node_type::floating_point:
            return "a number with a fraction";
        case toml::node_type::boolean:
            return "true or false";
        default:
            return "a date or time";
    }
}

bool has_control(std::string_view text) {
    return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7F; });
}

// A quoted local-part may hold an @ of its own.
bool has_domain(std::string_view address) {
    std::size_t quote = address.starts_with('"') ? address.rfind('"') : 0;
    return address.find('@', quote) != address.npos;
}

void replace_all(std::string& text, std::string_view word, std::string_view by) {
    for (std::size_t at = text.find(word); at != text.npos; at = text.find(word, at + by.size())) {
        text.replace(at, word.size(), by);
    }
}

// The grammar of a domain is that of an address's right side.
std::optional<std::string> parse_domain_or_literal(const std::string& text) {
    Result<Mailbox> probe = Mailbox::parse("x@" + text, AddressForm::Utf8);
    if (!probe) return std::nullopt;
    return std::move(probe->domain);
}

}  // namespace

void FieldReader::read(const Key& key, const toml::node& node, Position at) {
    switch (key.type) {
        case KeyType::Boolean:
            if (!node.is_boolean()) return refuse(key, at, type_name(node));
            field<bool>(key) = node.as_boolean()->get();
            return;
        case KeyType::Count:
            return read_number(key, node, at);
        case KeyType::Size:
            if (node.is_integer()) return read_number(key, node, at);
            break;
        case KeyType::Networks:
            return read_networks(key, node, at);
        case KeyType::Domains:
            return read_domains(key, node, at);
        case KeyType::Senders:
            return read_senders(key, node, at);
        case KeyType::Servers:
            return read_servers(key, node, at);
        case KeyType::Texts:
        case KeyType::SigningKeys:
            return read_texts(key, node, at);
        case KeyType::Addresses:
            return read_addresses(key, node, at);
        case KeyType::Aliases:
            return read_aliases(key, node, at);
        default:
            break;
    }
    if (!node.is_string()) return refuse(key, at, type_name(node));
    const std::string& text = node.as_string()->get();
    if (has_control(text)) {
        return errors_.add(at, fmt::format("{} holds a control character", key.name));
    }
    read_text(key, text, at);
}

void FieldReader::refuse(const Key& key, Position at, std::string_view found) {
    errors_.add(at, fmt::format("{} must be {}, not {}", key.name, allowed_values(key), found));
}

void FieldReader::read_number(const Key& key, const toml::node& node, Position at) {
    if (!node.is_integer()) return refuse(key, at, type_name(node));
    int64_t value = node.as_integer()->get();
    auto compared = static_cast<double>(value);
    if (compared < key.min || compared > key.max) return refuse(key, at, fmt::format("{}", value));
    field<uint64_t>(key) = static_cast<uint64_t>(value);
}

void FieldReader::read_text(const Key& key, const std::string& text, Position at) {
    switch (key.type) {
        case KeyType::Size: {
            Result<uint64_t> octets = parse_size(text);
            if (octets && (static_cast<double>(*octets) < key.min ||
                           static_cast<double>(*octets) > key.max)) {
                return refuse(key, at, size_text(*octets));
            }
            return store(key, std::move(octets), at);
        }
        case KeyType::Duration: {
            Result<Duration> duration = parse_duration(text);
            if (duration) {
                double seconds = std::chrono::duration<double>(*duration).count();
                if (seconds < key.min || seconds > key.max) return refuse(key, at, text);
            }
            return store(key, std::move(duration), at);
        }
        case KeyType::Mode:
            return store(key, parse_mode(text), at);
        case KeyType::Choice:
            return read_choice(key, text, at);
        case KeyType::HostName:
            return store(key, parse_host_name(text), at);
        case KeyType::Endpoint:
            return store(key, parse_endpoint(text), at);
        case KeyType::NextHost: {
            Result<NextHost> host = parse_next_host(text);
            if (!host) return errors_.add(at, std::move(host.error().message));
            field<std::string>(key) = host->text();
            return;
        }
        case KeyType::Ipv4:
        case KeyType::Ipv6:
            return read_ip(key, text, at);
        case KeyType::DeliverTo: {
            Result<Destination> destination = parse_deliver_to(text);
            if (!destination) return errors_.add(at, std::move(destination.error().message));
            field<std::optional<Destination>>(key) = std::move(*destination);
            context.domain->deliver_to = at;
            return;
        }
        case KeyType::Address:
            return read_address(key, text, at);
        case KeyType::AddressFile:
            return read_address_file(key, text, at);
        case KeyType::Path:
        case KeyType::Template:
            return read_path(key, text, at);
        case KeyType::Domain: {
            std::optional<std::string> domain = parse_domain_or_literal(text);
            if (!domain) return refuse(key, at, fmt::format("\"{}\"", text));
            field<std::string>(key) = std::move(*domain);
            return;
        }
        case KeyType::Delimiters: {
            constexpr std::string_view kDelimiters = "+-_=#!$%&*/?^~|";
            if (text.size() > 8 || text.find_first_not_of(kDelimiters) != text.npos) {
                return refuse(key, at, fmt::format("\"{}\"", text));
            }
            field<std::string>(key) = text;
            return;
        }
        default:
            if (text.empty()) return refuse(key, at, "empty");
            field<std::string>(key) = text;
    }
}

void FieldReader::read_path(const Key& key, std::string path, Position at) {
    if (path.empty()) return refuse(key, at, "empty");
    path = resolved(path);
    if (key.type == KeyType::Template) {
        Result<route::MailboxPath> checked = route::MailboxPath::parse(path);
        if (!checked) return errors_.add(at, checked.error().message);
    }
    field<std::string>(key) = std::move(path);
}

std::string FieldReader::resolved(const std::string& path) const {
    std::string out = path;
    replace_all(out, "{data}", context.data_directory);
    return out.starts_with('/') ? out : context.directory + out;
}

void FieldReader::read_ip(const Key& key, const std::string& text, Position at) {
    using Family = world::IpAddress::Family;
    Family family = key.type == KeyType::Ipv4 ? Family::V4 : Family::V6;
    std::optional<world::IpAddress> address = world::IpAddress::parse(text);
    bool any = address && std::ranges::count(address->octets, 0) == 16;
    if (!address || address->family != family || any) {
        return refuse(key, at, fmt::format("\"{}\"", text));
    }
    field<std::optional<world::IpAddress>>(key) = *address;
}

void FieldReader::read_choice(const Key& key, const std::string& text, Position at) {
    auto found = std::ranges::find(key.choices, text);
    if (found == key.choices.end()) {
        std::string_view near = nearest(text, key.choices);
        std::string hint = near.empty() ? "" : fmt::format(", did you mean \"{}\"?", near);
        return refuse(key, at, fmt::format("\"{}\"{}", text, hint));
    }
    field<uint8_t>(key) = static_cast<uint8_t>(found - key.choices.begin());
}

template <typename Take>
void FieldReader::read_array(const Key& key, const toml::node& node, Position at, Take take) {
    const toml::array* array = node.as_array();
    if (!array) return refuse(key, at, type_name(node));
    // Where nothing is not the default, an empty list would mean as much as none: everything.
    bool may_be_empty =
        key.type != KeyType::Domains && key.type != KeyType::Senders && key.type != KeyType::Texts;
    if (array->empty() && !may_be_empty && key.fallback != "[]") {
        return errors_.add(at,
                           fmt::format("{} is empty: leave it out to match everything", key.name));
    }
    for (const toml::node& item : *array) {
        Position here = position(item.source());
        if (const auto* text = item.as_string()) {
            take(text->get(), here);
        } else {
            refuse(key, here, fmt::format("with {} in it", type_name(item)));
        }
    }
}

void FieldReader::read_networks(const Key& key, const toml::node& node, Position at) {
    auto& networks = field<std::vector<world::IpNetwork>>(key);
    read_array(key, node, at, [&](const std::string& text, Position here) {
        if (std::optional<world::IpNetwork> network = world::IpNetwork::parse(text)) {
            networks.push_back(*network);
        } else {
            errors_.add(here, fmt::format("\"{}\" is not a network: write \"192.0.2.0/24\", "
                                          "\"2001:db8::/32\" or a single address",
                                          text));
        }
    });
}

void FieldReader::read_servers(const Key& key, const toml::node& node, Position at) {
    constexpr uint16_t kDnsPort = 53;  // RFC 1035 §4.2
    auto& servers = field<std::vector<world::IpEndpoint>>(key);
    read_array(key, node, at, [&](const std::string& text, Position here) {
        Result<world::IpEndpoint> server = parse_server(text, kDnsPort);
        if (!server) return errors_.add(here, std::move(server.error().message));
        servers.push_back(*server);
    });
}

void FieldReader::read_domains(const Key& key, const toml::node& node, Position at) {
    read_array(key, node, at, [&](const std::string& text, Position here) {
        std::optional<std::string> domain = parse_domain_or_literal(text);
        std::optional<std::string> folded = domain ? route::domain_key(*domain) : std::nullopt;
        if (!folded) return errors_.add(here, fmt::format("\"{}\" is not a domain", text));
        Field into = key.field(config_);
        if (auto** routes = std::get_if<std::vector<route::StaticRoute>*>(&into)) {
            (*routes)->push_back({.domain = std::move(*domain), .host = "", .relay = true});
            positions_.routes.push_back({.domain = here, .host = here});
        } else {
            field<std::vector<std::string>>(key).push_back(std::move(*folded));
        }
    });
}

void FieldReader::read_texts(const Key& key, const toml::node& node, Position at) {
    auto& texts = field<std::vector<std::string>>(key);
    read_array(key, node, at, [&](const std::string& text, Position here) {
        if (key.type == KeyType::SigningKeys) {
            Result<std::string> name = parse_signing_key(text);
            if (!name) return errors_.add(here, std::move(name.error().message));
            if (texts.size() == mailauth::dkim::kSigningKeysMax) {
                return errors_.add(here, fmt::format("more than {} keys sign one message",
                                                     mailauth::dkim::kSigningKeysMax));
            }
            texts.push_back(std::move(*name));
        } else if (text.empty() || has_control(text)) {
            refuse(key, here, "with an empty text or a control character in it");
        } else {
            texts.push_back(text);
        }
    });
}

void FieldReader::read_senders(const Key& key, const toml::node& node, Position at) {
    auto& senders = field<std::vector<PoolConfig::Sender>>(key);
    read_array(key, node, at, [&](const std::string& text, Position here) {
        PoolConfig::Sender sender;
        std::optional<std::string> domain;
        if (!has_domain(text)) {
            domain = parse_domain_or_literal(text);
        } else if (Result<Mailbox> mailbox = Mailbox::parse(text, AddressForm::Utf8)) {
            sender.local_part = route::ascii_lower(mailbox->local_part);
            domain = std::move(mailbox->domain);
        }
        if (domain) domain = route::domain_key(*domain);
        if (!domain) {
            return errors_.add(here,
                               fmt::format("\"{}\" is neither a domain nor an address", text));
        }
        sender.domain = std::move(*domain);
        senders.push_back(std::move(sender));
    });
}

std::optional<Mailbox> FieldReader::address(std::string_view text, Position at) {
    std::string whole(text);
    if (!has_domain(text)) {
        if (context.own_domain.empty()) return std::nullopt;  // its name was refused already
        whole += '@';
        whole += context.own_domain;
    }
    Result<Mailbox> mailbox = Mailbox::parse(whole, AddressForm::Utf8);
    if (!mailbox) {
        errors_.add(at, fmt::format("\"{}\" is not an address: {}", text, mailbox.error().message));
        return std::nullopt;
    }
    return std::move(*mailbox);
}

void FieldReader::read_address(const Key& key, const std::string& text, Position at) {
    field<std::optional<Mailbox>>(key) = address(text, at);
    if (key.name == "catch_all") context.domain->catch_all = at;
    if (key.name == "postmaster") context.domain->postmaster = at;
}

void FieldReader::read_addresses(const Key& key, const toml::node& node, Position at) {
    read_array(key, node, at, [&](const std::string& text, Position here) {
        if (std::optional<Mailbox> mailbox = address(text, here)) {
            field<std::vector<Mailbox>>(key).push_back(std::move(*mailbox));
            context.domain->mailboxes.push_back(here);
        }
    });
}

void FieldReader::read_address_file(const Key& key, const std::string& path, Position at) {
    std::string full = resolved(path);
    Result<std::string> content = read_file_(full);
    if (!content) {
        return errors_.add(at, fmt::format("cannot read {}: {}", full, content.error().message));
    }
    positions_.files.push_back(full);
    Position here{static_cast<uint32_t>(positions_.files.size() - 1), 0, 1};
    std::string_view rest = *content;
    while (!rest.empty()) {
        std::size_t end = std::min(rest.find('\n'), rest.size());
        std::string_view line = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        ++here.line;
        std::size_t first = line.find_first_not_of(" \t\r");
        if (first == line.npos || line[first] == '#') continue;
        here.column = static_cast<uint32_t>(first + 1);
        line = line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
        if (has_control(line)) {
            errors_.add(here, "the address holds a control character");
        } else if (std::optional<Mailbox> mailbox = address(line, here)) {
            field<std::vector<Mailbox>>(key).push_back(std::move(*mailbox));
            context.domain->mailboxes.push_back(here);
        }
    }
}

void FieldReader::read_aliases(const Key& key, const toml::node& node, Position at) {
    const toml::table* table = node.as_table();
    if (!table) return refuse(key, at, type_name(node));
    for (const auto& [name, value] : *table) {
        Position here = position(name.source());
        std::optional<Mailbox> alias = address(name.str(), here);
        if (!alias) continue;
        if (route::domain_key(alias->domain) != route::domain_key(context.own_domain)) {
            errors_.add(here, fmt::format("alias {} is not in domain {}", alias->text(),
                                          context.own_domain));
            continue;
        }
        route::Alias entry{.local_part = alias->local_part};
        std::vector<Position> targets;
        auto take = [&](const toml::node& item) {
            Position place = position(item.source());
            const auto* text = item.as_string();
            if (!text) return refuse(key, place, fmt::format("with {} in it", type_name(item)));
            if (std::optional<Mailbox> target = address(text->get(), place)) {
                entry.targets.push_back(std::move(*target));
                targets.push_back(place);
            }
        };
        if (const toml::array* array = value.as_array()) {
            for (const toml::node& item : *array) take(item);
        } else {
            take(value);  // a single address needs no brackets
        }
        field<std::vector<route::Alias>>(key).push_back(std::move(entry));
        context.domain->aliases.push_back(here);
        context.domain->targets.push_back(std::move(targets));
    }
}

}  // namespace postrider::daemon
