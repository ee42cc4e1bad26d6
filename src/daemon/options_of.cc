#include "daemon/options_of.h"

#include <algorithm>
#include <tuple>

namespace postrider::daemon {

spool::SpoolOptions spool_options(const Config& config) {
    spool::SpoolOptions options;
    options.directory = config.data_directory + "/spool";
    options.min_free_octets = config.spool.min_free_octets;
    options.segment_octets = config.spool.segment_octets;
    return options;
}

receive::DropOptions drop_options(const Config& config) {
    return {.directory = config.drop_directory,
            .message_octets_max = config.smtp.message_octets_max,
            .recipients_max = config.smtp.recipients_max,
            .hops_max = config.smtp.hops_max};
}

queue::Options queue_options(const Config& config) {
    queue::Options options;
    options.active_max = static_cast<int>(config.queue.active_max);
    options.delay_notice_after = config.queue.delay_notice;
    options.remote.schedule =
        queue::remote_schedule(config.queue.backoff_first, config.queue.backoff_max);
    options.local.schedule =
        queue::local_schedule(config.queue.local_backoff_first, config.queue.local_backoff_max);
    // A site in trouble is not left alone for longer than a message to it would wait.
    for (auto [site, first, max] :
         {std::tuple(&options.remote, config.queue.backoff_first, config.queue.backoff_max),
          std::tuple(&options.local, config.queue.local_backoff_first,
                     config.queue.local_backoff_max)}) {
        site->suspension.first = std::min(site->suspension.first, first);
        site->suspension.max = std::min(site->suspension.max, max);
    }
    options.remote.limits.connections_max = static_cast<int>(config.queue.connections_per_site);
    options.remote.limits.connections_first =
        std::min(options.remote.limits.connections_first, options.remote.limits.connections_max);
    options.remote.limits.messages_per_connection =
        static_cast<int>(config.queue.messages_per_connection);
    options.remote.limits.rate_messages =
        static_cast<int>(config.queue.messages_per_minute_per_site);
    options.remote.lifetime = config.queue.expiry;
    options.local.lifetime = config.queue.expiry;
    return options;
}

std::shared_ptr<const receive::SessionSettings> session_settings(const Config& config,
                                                                 const ListenerConfig& listener) {
    smtp::ServerOptions smtp;
    smtp.hostname = config.hostname;
    smtp.protocol = listener.protocol == ListenerConfig::Protocol::Lmtp ? smtp::Protocol::Lmtp
                                                                        : smtp::Protocol::Smtp;
    smtp.greeting = smtp.protocol == smtp::Protocol::Lmtp ? "LMTP Postrider" : "ESMTP Postrider";
    smtp.size_octets_max = config.smtp.message_octets_max;
    smtp.recipients_max = config.smtp.recipients_max;
    smtp.errors_max = static_cast<unsigned>(config.smtp.errors_max);
    smtp::ServerOptions normalising = smtp;
    normalising.bare_line_ends = smtp::BareLineEnds::Normalise;

    auto settings = std::make_shared<receive::SessionSettings>();
    settings->smtp = std::make_shared<const smtp::ServerOptions>(std::move(smtp));
    settings->smtp_normalising =
        std::make_shared<const smtp::ServerOptions>(std::move(normalising));
    settings->normalise_networks = config.smtp.normalise_line_ends_networks;
    settings->command_time = config.smtp.command_timeout;
    settings->data_time = config.smtp.data_timeout;
    settings->hops_max = config.smtp.hops_max;
    settings->connections = {.in_all = config.smtp.sessions_max,
                             .per_address = config.smtp.sessions_per_address_max};
    return settings;
}

namespace {

// Connected to one of these at the port of mail, we should talk to ourselves.
std::vector<world::IpAddress> taken_addresses(const Config& config, uint16_t port,
                                              const std::vector<world::IpAddress>& own) {
    std::vector<world::IpAddress> taken;
    for (const ListenerConfig& listener : config.listeners) {
        auto* ip = std::get_if<world::IpEndpoint>(&listener.address);
        if (!ip || ip->port != port) continue;
        bool all =
            std::ranges::all_of(ip->address.octets, [](uint8_t octet) { return octet == 0; });
        if (!all) taken.push_back(ip->address);
        for (const world::IpAddress& address : own) {
            if (all && address.family == ip->address.family) taken.push_back(address);
        }
    }
    return taken;
}

}  // namespace

std::shared_ptr<const Settings> settings_of(const Config& config,
                                            const std::vector<world::IpAddress>& own_addresses) {
    auto settings = std::make_shared<Settings>();
    settings->hostname = config.hostname;
    settings->smarthost = config.relay.smarthost;
    settings->egress = {config.relay.hello_name, config.relay.source_v4, config.relay.source_v6};
    for (const PoolConfig& pool : config.pools) {
        settings->pools.push_back(
            {pool.senders, pool.destinations, {pool.hello_name, pool.source_v4, pool.source_v6}});
    }
    settings->hosts.own_names = {config.hostname};
    settings->hosts.own_addresses = taken_addresses(config, settings->hosts.port, own_addresses);
    settings->recipient_delimiter = config.routing.recipient_delimiter;
    settings->relay_networks = config.smtp.relay_networks;
    settings->table = route::Table::build(config.routing).table;
    settings->maildir_line_end = config.delivery.line_ends == DeliveryConfig::LineEnds::Crlf
                                     ? deliver::LineEnd::Crlf
                                     : deliver::LineEnd::Lf;
    return settings;
}

}  // namespace postrider::daemon
