#include "daemon/config_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

#include "daemon/config_values.h"

namespace postrider::daemon {

namespace {

using Part = route::Problem::Part;

bool is_any(const world::IpAddress& address) {
    return std::ranges::all_of(address.octets, [](uint8_t octet) { return octet == 0; });
}

// 0.0.0.0 covers every IPv4 address and [::] every IPv6 address; the two stand side by side.
bool overlap(const world::Endpoint& a, const world::Endpoint& b) {
    const auto* ip_a = std::get_if<world::IpEndpoint>(&a);
    const auto* ip_b = std::get_if<world::IpEndpoint>(&b);
    if (!ip_a || !ip_b) return a == b;
    if (ip_a->port != ip_b->port || ip_a->port == 0) return false;
    if (ip_a->address.family != ip_b->address.family) return false;
    return ip_a->address == ip_b->address || is_any(ip_a->address) || is_any(ip_b->address);
}

class Checker {
public:
    Checker(const Config& config, const Positions& positions, ConfigErrors& errors)
        : config_(config), positions_(positions), errors_(errors) {}

    void check_listeners() {
        for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
            const world::Endpoint& address = config_.listeners[i].address;
            for (std::size_t j = 0; j < i; ++j) {
                if (!overlap(address, config_.listeners[j].address)) continue;
                errors_.add(positions_.listeners[i],
                            fmt::format("{} overlaps the listener in line {}", text(address),
                                        positions_.listeners[j].line));
                break;
            }
            const auto* socket = std::get_if<world::UnixEndpoint>(&address);
            if (socket && socket->path == config_.admin.socket) {
                errors_.add(positions_.listeners[i],
                            fmt::format("{} is the socket of [admin]", text(address)));
            }
            // RFC 4865 §4.2.
            if (config_.listeners[i].future_release_max > Duration::zero() &&
                config_.listeners[i].kind != ListenerConfig::Kind::Submission) {
                errors_.add(positions_.listeners[i],
                            fmt::format("{} holds no mail for later: future_release_max is for "
                                        "listeners with kind = \"submission\"",
                                        text(address)));
            }
        }
    }

    void check_tls() {
        for (std::size_t i = 0; i < config_.listeners.size(); ++i) {
            const ListenerConfig& listener = config_.listeners[i];
            bool wants = listener.tls == ListenerConfig::Tls::StartTls ||
                         listener.tls == ListenerConfig::Tls::Implicit || listener.tls_required;
            if (wants && config_.certificates.empty()) {
                errors_.add(positions_.listeners[i],
                            fmt::format("{} is to have TLS, and there is no [[certificate]]",
                                        text(listener.address)));
            }
            if (listener.tls == ListenerConfig::Tls::Off && listener.tls_required) {
                errors_.add(positions_.listeners[i],
                            fmt::format("{} requires TLS and has it off", text(listener.address)));
            }
        }
        using Wanted = world::TlsServerOptions::ClientCertificates;
        if (config_.tls.client_certificates == Wanted::Require &&
            config_.tls.client_roots_file.empty()) {
            errors_.add(position("tls", "client_certificates"),
                        "to require client certificates, client_roots_file is needed");
        }
    }

    void check_queue() {
        const QueueConfig& queue = config_.queue;
        if (queue.backoff_max < queue.backoff_first) {
            errors_.add(position("queue", "backoff_max"),
                        "backoff_max is shorter than backoff_first");
        }
        if (queue.expiry < queue.backoff_first) {
            errors_.add(position("queue", "expiry"),
                        "expiry is shorter than backoff_first: nothing would be tried twice");
        }
    }

    // Mail that goes to ourselves comes back, until its hops are used up.
    void check_next_hosts() {
        if (!config_.relay.smarthost.empty()) {
            check_next_host(position("relay", "smarthost"), config_.relay.smarthost);
        }
        for (std::size_t i = 0; i < config_.routing.routes.size(); ++i) {
            const std::string& host = config_.routing.routes[i].host;
            if (!host.empty()) check_next_host(positions_.routes[i].host, host);
        }
        for (std::size_t i = 0; i < config_.routing.domains.size(); ++i) {
            const std::optional<Destination>& via = config_.routing.domains[i].via;
            const auto* lmtp = via ? std::get_if<LmtpDestination>(&*via) : nullptr;
            if (!lmtp) continue;
            Result<world::Endpoint> endpoint = parse_endpoint(lmtp->endpoint);
            if (endpoint && is_ours(*endpoint)) {
                errors_.add(positions_.domains[i].deliver_to,
                            fmt::format("{} is a listener of this server", lmtp->endpoint));
            }
        }
    }

    void check_pools() {
        for (std::size_t i = 0; i < config_.pools.size(); ++i) {
            const PoolConfig& pool = config_.pools[i];
            if (!pool.senders.empty() || !pool.destinations.empty()) continue;
            errors_.add(positions_.pools[i],
                        "[[pool]] needs senders or destinations: for all mail set these keys in "
                        "[relay]");
        }
    }

    void check_routing() {
        for (const route::Problem& problem : route::Table::build(config_.routing).problems) {
            errors_.add(position(problem), problem.message);
        }
    }

private:
    void check_next_host(Position at, const std::string& text) {
        Result<NextHost> next = parse_next_host(text);
        if (!next) return;  // refused when it was read
        bool ours = false;
        if (const auto* address = std::get_if<world::IpAddress>(&next->host)) {
            ours = is_ours(world::IpEndpoint{*address, next->port});
        } else if (std::get<std::string>(next->host) == config_.hostname) {
            ours = std::ranges::any_of(config_.listeners, [&](const ListenerConfig& listener) {
                const auto* ip = std::get_if<world::IpEndpoint>(&listener.address);
                return ip && ip->port == next->port && !ip->address.is_loopback();
            });
        }
        if (ours) errors_.add(at, fmt::format("{} is a listener of this server", text));
    }

    // Whether a connection to `endpoint` comes to a listener of ours, as far as the file shows: a
    // listener on all addresses is known to have those of the loopback interface.
    bool is_ours(const world::Endpoint& endpoint) const {
        const auto* to = std::get_if<world::IpEndpoint>(&endpoint);
        bool here = to && (to->address.is_loopback() || is_any(to->address));
        return std::ranges::any_of(config_.listeners, [&](const ListenerConfig& listener) {
            const auto* ip = std::get_if<world::IpEndpoint>(&listener.address);
            bool certain = !ip || here || !is_any(ip->address);
            return certain && overlap(endpoint, listener.address);
        });
    }

    Position position(std::string_view section, std::string_view name) const {
        auto found = positions_.keys.find(find_key(section, name));
        return found == positions_.keys.end() ? Position{} : found->second;
    }

    Position position(const route::Problem& problem) const {
        if (problem.part == Part::MailboxPath) return position("delivery", "mailbox_path");
        if (problem.part == Part::Route) {
            return problem.domain < positions_.routes.size()
                       ? positions_.routes[problem.domain].domain
                       : Position{};
        }
        if (problem.domain >= positions_.domains.size()) return {};
        const DomainPositions& domain = positions_.domains[problem.domain];
        switch (problem.part) {
            case Part::Mailbox:
                return domain.mailboxes[problem.item];
            case Part::Alias:
                return problem.target == route::Problem::kWholeAlias
                           ? domain.aliases[problem.item]
                           : domain.targets[problem.item][problem.target];
            case Part::CatchAll:
                return domain.catch_all;
            case Part::Postmaster:
                return domain.postmaster;
            default:
                return domain.self;
        }
    }

    const Config& config_;
    const Positions& positions_;
    ConfigErrors& errors_;
};

}  // namespace

void check_config(const Config& config, const Positions& positions, bool domains_are_whole,
                  ConfigErrors& errors) {
    Checker checker(config, positions, errors);
    checker.check_listeners();
    checker.check_tls();
    checker.check_queue();
    checker.check_next_hosts();
    checker.check_pools();
    if (domains_are_whole) checker.check_routing();
}

void ConfigErrors::add(Position at, std::string message) {
    ++count_;
    if (items_.size() < kErrorsMax) items_.push_back({at, count_, std::move(message)});
}

std::vector<ConfigError> ConfigErrors::take() {
    std::ranges::sort(items_, {}, [](const Item& item) {
        return std::tuple(item.at.file, item.at.line, item.at.column, item.number);
    });
    std::vector<ConfigError> out;
    out.reserve(items_.size() + 1);
    for (Item& item : items_) {
        out.push_back({positions_.files[item.at.file], item.at.line, item.at.column,
                       std::move(item.message)});
    }
    if (count_ > items_.size()) {
        out.push_back(
            {positions_.files[0], 0, 0, fmt::format("and {} more errors", count_ - items_.size())});
    }
    return out;
}

}  // namespace postrider::daemon
