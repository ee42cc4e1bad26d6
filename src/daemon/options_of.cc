#include "daemon/options_of.h"

#include <algorithm>
#include <tuple>

#include "mailauth/domain.h"
#include "route/address_key.h"

namespace postrider::daemon {

spool::SpoolOptions spool_options(const Config& config) {
    spool::SpoolOptions options;
    options.directory = config.data_directory + "/spool";
    options.min_free_octets = config.spool.min_free_octets;
    options.segment_octets = config.spool.segment_octets;
    return options;
}

AttemptLogOptions attempt_log_options(const Config& config) {
    return {.directory = config.data_directory + "/spool/attempts",
            .octets_max = config.spool.attempts_octets_max,
            .min_free_octets = config.spool.min_free_octets};
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

namespace {

receive::SessionSettings::Tls tls_of(const ListenerConfig& listener, bool has_certificate) {
    using Tls = receive::SessionSettings::Tls;
    bool is_unix = std::holds_alternative<world::UnixEndpoint>(listener.address);
    switch (listener.tls) {
        case ListenerConfig::Tls::Auto:
            return has_certificate && !is_unix ? Tls::StartTls : Tls::Off;
        case ListenerConfig::Tls::StartTls:
            return Tls::StartTls;
        case ListenerConfig::Tls::Implicit:
            return Tls::Implicit;
        case ListenerConfig::Tls::Off:
            break;
    }
    return Tls::Off;
}

uint32_t seconds_of(Duration duration) {
    return static_cast<uint32_t>(
        std::chrono::duration_cast<std::chrono::seconds>(duration).count());
}

}  // namespace

std::shared_ptr<const receive::SessionSettings> session_settings(const Config& config,
                                                                 const ListenerConfig& listener,
                                                                 const TlsContexts& tls) {
    receive::SessionSettings::Tls listener_tls = tls_of(listener, tls.server != nullptr);
    smtp::ServerOptions smtp;
    smtp.hostname = config.hostname;
    smtp.protocol = listener.protocol == ListenerConfig::Protocol::Lmtp ? smtp::Protocol::Lmtp
                                                                        : smtp::Protocol::Smtp;
    smtp.greeting = smtp.protocol == smtp::Protocol::Lmtp ? "LMTP Postrider" : "ESMTP Postrider";
    smtp.size_octets_max = config.smtp.message_octets_max;
    smtp.recipients_max = config.smtp.recipients_max;
    smtp.errors_max = static_cast<unsigned>(config.smtp.errors_max);
    smtp.chunking = smtp.binary_mime = true;
    smtp.dsn = true;
    smtp.smtputf8 = true;
    smtp.limits = true;
    smtp.mt_priority = true;
    smtp.starttls = listener_tls == receive::SessionSettings::Tls::StartTls;
    smtp.tls_required = listener.tls_required;
    smtp.auth = listener.kind == ListenerConfig::Kind::Submission;
    smtp.deliver_by = true;
    smtp.deliver_by_seconds_min = seconds_of(config.smtp.deliver_by_min);
    smtp.future_release_seconds_max = seconds_of(listener.future_release_max);
    smtp.etrn = !config.smtp.etrn_networks.empty();
    smtp::ServerOptions normalising = smtp;
    normalising.bare_line_ends = smtp::BareLineEnds::Normalise;

    auto settings = std::make_shared<receive::SessionSettings>();
    settings->smtp = std::make_shared<const smtp::ServerOptions>(std::move(smtp));
    settings->smtp_normalising =
        std::make_shared<const smtp::ServerOptions>(std::move(normalising));
    settings->normalise_networks = config.smtp.normalise_line_ends_networks;
    settings->tls = listener_tls;
    settings->tls_context = tls.server;
    settings->proxy_networks = listener.proxy_networks;
    settings->takes_no_mail = !listener.takes_mail;
    settings->xclient_networks = config.smtp.xclient_networks;
    settings->xforward_networks = config.smtp.xforward_networks;
    settings->verify_networks = config.smtp.verify_networks;
    settings->etrn_networks = config.smtp.etrn_networks;
    settings->command_time = config.smtp.command_timeout;
    settings->data_time = config.smtp.data_timeout;
    settings->hops_max = config.smtp.hops_max;
    receive::NetworkSizes networks{.v4_bits = static_cast<int>(config.smtp.network_bits_v4),
                                   .v6_bits = static_cast<int>(config.smtp.network_bits_v6)};
    settings->connections = {.in_all = config.smtp.sessions_max,
                             .per_address = config.smtp.sessions_per_address_max,
                             .per_network = config.smtp.sessions_per_network_max,
                             .networks = networks};
    settings->history = {
        .networks = networks,
        .connects_per_address = static_cast<unsigned>(config.smtp.connects_per_minute_per_address),
        .connects_per_network = static_cast<unsigned>(config.smtp.connects_per_minute_per_network),
        .unknown_recipients = static_cast<unsigned>(config.smtp.unknown_recipients_max),
        .remembered = config.smtp.harvest_memory};
    settings->greeting_pause = config.smtp.greeting_pause;
    settings->data_rate_min = config.smtp.data_rate_min;
    settings->unlimited_networks = config.smtp.unlimited_networks;
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

std::vector<std::string> as_a_labels(const std::vector<std::string>& domains) {
    std::vector<std::string> out;
    for (const std::string& domain : domains) {
        if (auto labels = mailauth::a_labels(domain)) out.push_back(std::move(*labels));
    }
    return out;
}

VerdictSettings verdict_settings(const Config& config) {
    VerdictSettings out;
    out.check = config.verdict.check;
    out.defer_unknown = config.verdict.unknown == VerdictConfig::Unknown::Defer;
    out.time_max = config.verdict.time_max;
    out.rules = config.verdict.rules;
    out.rules.reject_domains = as_a_labels(out.rules.reject_domains);
    out.rules.trusted_signers = as_a_labels(out.rules.trusted_signers);
    for (std::size_t i = 0; i < config.routing.domains.size(); i++) {
        DomainDmarc own = config.domain_dmarc[i];
        auto key = route::domain_key(config.routing.domains[i].name);
        if (own == DomainDmarc::Default || !key) continue;
        // The same words, with one in front.
        out.dmarc_by_domain[*key] = static_cast<verdict::Action>(static_cast<int>(own) - 1);
    }
    return out;
}

SubmissionSettings submission_settings(const Config& config) {
    const SubmissionConfig& wanted = config.submission;
    return {.adds_sender = wanted.foreign_from == SubmissionConfig::ForeignFrom::AddSender,
            .domain = wanted.domain,
            .hide_client = wanted.hide_client,
            .networks = wanted.networks,
            .recipients_max = wanted.recipients_max,
            .messages_per_hour = wanted.messages_per_hour};
}

seal::SigningRules signing_rules(const Config& config) {
    seal::SigningRules out;
    if (config.signing.expires_after > Duration{}) {
        out.options.expires_after =
            std::chrono::duration_cast<std::chrono::seconds>(config.signing.expires_after);
    }
    out.rules = config.signers;
    for (seal::SigningRule& rule : out.rules) rule.domains = as_a_labels(rule.domains);
    return out;
}

}  // namespace

SuppressionOptions suppression_options(const Config& config) {
    return {.directory = config.data_directory + "/suppression",
            .entries_max = config.suppression.entries_max,
            .min_free_octets = config.spool.min_free_octets};
}

DmarcRowsOptions dmarc_rows_options(const Config& config) {
    return {.directory = config.data_directory + "/dmarc",
            .octets_max = config.verdict.rows_octets_max,
            .min_free_octets = config.spool.min_free_octets};
}

std::shared_ptr<const Settings> settings_of(const Config& config,
                                            const std::vector<world::IpAddress>& own_addresses,
                                            const TlsContexts& tls) {
    auto settings = std::make_shared<Settings>();
    settings->hostname = config.hostname;
    settings->smarthost = config.relay.smarthost;
    settings->smarthost_tls = config.relay.smarthost_tls;
    settings->tls_rules = {.level = config.tls.outbound, .rules = config.tls_policies};
    settings->tls_client = tls.client;
    settings->smarthost_user = config.relay.smarthost_user;
    settings->smarthost_password = config.relay.smarthost_password;
    settings->convert_8bit = config.relay.convert_8bit;
    settings->egress = {config.relay.hello_name, config.relay.source_v4, config.relay.source_v6};
    for (const PoolConfig& pool : config.pools) {
        settings->pools.push_back(
            {pool.senders, pool.destinations, {pool.hello_name, pool.source_v4, pool.source_v6}});
    }
    settings->hosts.own_names = {config.hostname};
    settings->hosts.own_addresses = taken_addresses(config, settings->hosts.port, own_addresses);
    settings->recipient_delimiter = config.routing.recipient_delimiter;
    settings->relay_networks = config.smtp.relay_networks;
    for (const auto& domain : config.routing.domains)
        settings->local_domains.push_back(domain.name);
    for (const std::string& domain : config.smtp.no_mail_domains) {
        settings->no_mail_domains.insert(domain);
    }
    settings->table = route::Table::build(config.routing).table;
    settings->maildir_line_end = config.delivery.line_ends == DeliveryConfig::LineEnds::Crlf
                                     ? deliver::LineEnd::Crlf
                                     : deliver::LineEnd::Lf;
    settings->verdict = verdict_settings(config);
    settings->submission = submission_settings(config);
    settings->signing = signing_rules(config);
    settings->suppression = {
        .enabled = config.suppression.enabled,
        .by_sender = config.suppression.scope == SuppressionConfig::Scope::SenderDomain,
        .expires_after = config.suppression.expires_after,
        .bounce_addresses = config.suppression.bounce_addresses};
    return settings;
}

}  // namespace postrider::daemon
