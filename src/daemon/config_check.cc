#include "daemon/config_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <tuple>

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

    void check_routing() {
        for (const route::Problem& problem : route::Table::build(config_.routing).problems) {
            errors_.add(position(problem), problem.message);
        }
    }

private:
    Position position(std::string_view section, std::string_view name) const {
        auto found = positions_.keys.find(find_key(section, name));
        return found == positions_.keys.end() ? Position{} : found->second;
    }

    Position position(const route::Problem& problem) const {
        if (problem.part == Part::MailboxPath) return position("delivery", "mailbox_path");
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
    checker.check_queue();
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
