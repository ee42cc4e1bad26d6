#include "daemon/onward.h"

#include <algorithm>
#include <iterator>
#include <ranges>
#include <span>
#include <utility>

#include "base/situation.h"
#include "route/address_key.h"
#include "route/hosts.h"
#include "world/signal.h"

namespace postrider::daemon {

namespace {

constexpr auto kLookUpTime = std::chrono::seconds(60);
constexpr auto kFailureKept = std::chrono::seconds(10);
constexpr auto kFixedKept = std::chrono::hours(24);
constexpr std::size_t kWaysMax = 100'000;
constexpr std::size_t kHopsMax = 10;                     // tried in one attempt
constexpr auto kConnectTime = std::chrono::seconds(15);  // while other hosts are left
constexpr auto kLastConnectTime = std::chrono::seconds(60);
constexpr std::size_t kDialogueOctetsMax = 16 * 1024;
// How long an open connection waits for its next job, if jobs come as closely as that.
constexpr auto kIdleTime = std::chrono::seconds(1);
constexpr std::size_t kIdleConnectionsMax = 256;

RecipientResult failure_of(const route::HostsAnswer& answer) {
    return {.verdict = answer.is_permanent() ? RecipientResult::Verdict::Permanent
                                             : RecipientResult::Verdict::Temporary,
            .status = answer.code,
            .reason = answer.reason,
            .kind = FailureKind::Dns};
}

Way way_of(const route::HostsAnswer& answer) {
    Way way{.site = answer.site, .expires = answer.expires};
    if (answer.status != route::HostsAnswer::Status::Ok) {
        way.failure = failure_of(answer);
        return way;
    }
    for (const auto& host : answer.hosts) {
        for (const auto& address : host.addresses) {
            if (way.hops.size() < kHopsMax) {
                way.hops.push_back({host.name, address, host.preference});
            }
        }
    }
    return way;
}

// "unix:/path" or "192.0.2.1:24".
std::optional<world::Endpoint> lmtp_endpoint(std::string_view text) {
    if (text.starts_with("unix:")) return world::UnixEndpoint{std::string(text.substr(5))};
    std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
    auto address = world::IpAddress::parse(host);
    int port = std::atoi(std::string(text.substr(colon + 1)).c_str());
    if (!address || port < 1 || port > 65535) return std::nullopt;
    return world::IpEndpoint{*address, static_cast<uint16_t>(port)};
}

Way lmtp_way(const LmtpDestination& destination, Monotonic now) {
    Way way{.site = text(Destination(destination)),
            .mode = smtp::ClientMode::Lmtp,
            .is_chosen = true,
            .expires = now + kFixedKept};
    if (auto endpoint = lmtp_endpoint(destination.endpoint)) {
        way.hops.push_back({destination.endpoint, *endpoint});
    } else {
        way.failure = RecipientResult{.verdict = RecipientResult::Verdict::Temporary,
                                      .status = {4, 3, 5},
                                      .reason = "the LMTP server's address is wrong"};
    }
    return way;
}

// RFC 5321 §5.1: hosts of equal preference share the load. A way is kept for long, so each
// connection draws their order anew; the addresses of a host stay together.
std::vector<Way::Hop> drawn(std::vector<Way::Hop> hops, world::Random& random) {
    struct Place {
        uint16_t preference;
        uint64_t lot;
        std::size_t hop;
        auto operator<=>(const Place&) const = default;
    };
    std::vector<Place> places;
    for (std::size_t i = 0; i < hops.size(); i++) {
        bool same_host = i > 0 && hops[i].name == hops[i - 1].name;
        places.push_back({hops[i].preference, same_host ? places.back().lot : random.next(), i});
    }
    std::ranges::sort(places);
    std::vector<Way::Hop> out;
    out.reserve(places.size());
    for (const Place& place : places) out.push_back(std::move(hops[place.hop]));
    return out;
}

}  // namespace

// One connection and the jobs that it carries. Lives on one shard.
class Onward::Carrier {
public:
    Carrier(world::World& world, std::shared_ptr<const Settings> settings,
            const std::shared_ptr<const Way>& way)
        : world_(world),
          settings_(std::move(settings)),
          way_(way),
          hops_(drawn(way->hops, world.random)) {}

    Task<WorkDone> carry(const Work& work) {
        WorkDone done;
        std::vector<Group> groups = groups_of(work);
        for (Group& group : groups) {
            co_await carry_group(work.message, std::move(group), done);
        }
        co_return done;
    }

    bool may_carry_more(const queue::Job& last) const {
        return connection_ && connection_->is_open() && !last.probe &&
               connection_->transactions() < static_cast<uint32_t>(last.messages_per_connection) &&
               !forced(Switch::DaemonConnectionNotKept);
    }

    Task<void> close() {
        if (connection_) co_await connection_->close();
        connection_.reset();
    }

private:
    // Recipients of one variant, one pool and one kind of TLS, in the order of their first ones.
    struct Group {
        const Variant* variant;
        const EgressSettings* egress;
        std::string tls;     // deliver::tls_group()
        std::string domain;  // of the first recipient
        std::vector<uint32_t> recipients;
    };

    std::vector<Group> groups_of(const Work& work) const {
        const Envelope& envelope = work.message->envelope;
        std::vector<Group> groups;
        for (uint32_t number : work.job.recipients) {
            const Variant* variant = &envelope.variant_of(number);
            const EgressSettings* egress = &settings_->egress_for(
                variant->reverse_path, envelope.recipient(number).mailbox.domain);
            const std::string& given = envelope.recipient(number).mailbox.domain;
            std::string domain = route::domain_key(given).value_or(given);
            std::string tls = deliver::tls_group(settings_->tls_rules, domain);
            auto known = std::ranges::find_if(groups, [&](const Group& group) {
                return group.variant == variant && group.egress == egress && group.tls == tls;
            });
            if (known == groups.end()) {
                known =
                    groups.insert(known, {variant, egress, std::move(tls), std::move(domain), {}});
            }
            known->recipients.push_back(number);
        }
        return groups;
    }

    // Transaction after transaction, host after host. A connection that is there has the name and
    // the source of its own pool, and its own kind of TLS.
    Task<void> carry_group(std::shared_ptr<const spool::StoredMessage> message, Group group,
                           WorkDone& done) {
        std::vector<uint32_t> recipients = std::move(group.recipients);
        std::vector<uint32_t> put_off;  // by the present host
        bool asked_elsewhere = false;
        std::vector<RecipientResult> answers;  // of each recipient, what counts until now
        std::size_t earlier = 0;               // of them: said by hosts before the present one
        auto envelope = std::shared_ptr<const Envelope>(message, &message->envelope);
        std::size_t hop = connection_ ? hop_ : 0;
        if (egress_ != group.egress || tls_ != group.tls) co_await close();
        egress_ = group.egress;
        tls_ = std::move(group.tls);
        domain_ = std::move(group.domain);
        while (!recipients.empty()) {
            if (!connection_ || hop_ != hop) connect_to(hop);
            auto attempt = co_await connection_->send(
                {.envelope = envelope,
                 .content = spool::open_content(*message, world_.disk),
                 .recipients = recipients,
                 .header_octets = message->header_octets,
                 .is_continued = !answers.empty() || !done.results.empty()});
            note(attempt, done);
            bool none = attempt.results.empty();
            for (RecipientResult& result : attempt.results) {
                hear(answers, earlier, std::move(result));
            }
            std::size_t next = hop + 1;
            if (!attempt.try_next_host || next == hops_.size()) {
                if (none && attempt.left.size() == recipients.size()) break;  // no progress
                recipients = std::move(attempt.left);
                put_off.insert(put_off.end(), attempt.put_off.begin(), attempt.put_off.end());
                next = other_host(hop);
                if (!recipients.empty() || put_off.empty() || next == hops_.size()) continue;
                asked_elsewhere = true;
            }
            recipients.insert(recipients.end(), put_off.begin(), put_off.end());
            put_off.clear();
            reached(Situation::DaemonNextHost);
            co_await close();
            hop = next;
            earlier = answers.size();
        }
        std::ranges::move(answers, std::back_inserter(done.results));
        // The next job begins with the host that is preferred.
        if (asked_elsewhere) co_await close();
    }

    // RFC 5321 §5.1: "in order, until a delivery attempt succeeds". What a host said about the
    // recipient or the message counts more than that a later one could not be talked to; and
    // nothing is final as long as one of them may take it later.
    static void hear(std::vector<RecipientResult>& answers, std::size_t earlier,
                     RecipientResult result) {
        using enum FailureKind;
        auto is_silence = [](const RecipientResult& one) {
            return one.kind == Connection || one.kind == Greeting || one.kind == Tls;
        };
        auto known = std::span(answers).first(earlier);
        auto before = std::ranges::find(known, result.recipient, &RecipientResult::recipient);
        if (before == known.end()) {
            answers.push_back(std::move(result));
        } else if (!is_silence(result) ||
                   (is_silence(*before) && (before->is_final() || !result.is_final()))) {
            *before = std::move(result);
        }
    }

    // The first one behind it that is not the same host at another address.
    std::size_t other_host(std::size_t hop) const {
        std::size_t next = hop + 1;
        while (next < hops_.size() && hops_[next].name == hops_[hop].name) next++;
        return next;
    }

    void connect_to(std::size_t hop) {
        hop_ = hop;
        const Way::Hop& next = hops_[hop];
        deliver::SmtpHost host{
            .endpoint = next.endpoint,
            .name = next.name,
            .mode = way_->mode,
            .hello_name = egress_->hello_name,
            .connect_timeout = hop + 1 < hops_.size() ? kConnectTime : kLastConnectTime,
            .convert_8bit = settings_->convert_8bit};
        if (way_->logs_in) {
            host.login = deliver::SmtpLogin{.user = settings_->smarthost_user,
                                            .password = settings_->smarthost_password,
                                            .random = &world_.random,
                                            .worker = &world_.worker};
        }
        if (auto* ip = std::get_if<world::IpEndpoint>(&next.endpoint)) {
            host.source = ip->address.family == world::IpAddress::Family::V4 ? egress_->source_v4
                                                                             : egress_->source_v6;
        }
        host.security = security_for(next);
        connection_ =
            std::make_unique<deliver::SmtpConnection>(world_.net, world_.clock, std::move(host));
    }

    deliver::SmtpSecurity security_for(const Way::Hop& hop) const {
        auto* ip = std::get_if<world::IpEndpoint>(&hop.endpoint);
        std::string name = hop.name;
        while (name.ends_with('.')) name.pop_back();
        bool is_name = name.find_first_of("[:/") == std::string::npos;
        if (ip && !is_name) name = ip->address.text();
        deliver::TlsPolicy policy =
            deliver::tls_policy(settings_->tls_rules, {.domain = domain_,
                                                       .host = name,
                                                       .port = ip ? ip->port : uint16_t{0},
                                                       .is_chosen = way_->is_chosen,
                                                       .chosen = way_->tls});
        return {.policy = std::move(policy),
                .name = std::move(name),
                .tls = &world_.tls,
                .context = settings_->tls_client};
    }

    void note(const deliver::SmtpAttempt& attempt, WorkDone& done) {
        if (!attempt.fell_back.empty()) {
            world_.log.write(Event::TlsFellBack, {{"host", hops_[hop_].name},
                                                  {"address", world::text(hops_[hop_].endpoint)},
                                                  {"reason", attempt.fell_back}});
        }
        if (done.dialogue.size() >= kDialogueOctetsMax) return;
        done.dialogue += "-- " + hops_[hop_].name + " " + world::text(hops_[hop_].endpoint) + "\n";
        done.dialogue += attempt.dialogue.text();
        done.dialogue.resize(std::min(done.dialogue.size(), kDialogueOctetsMax));
    }

    world::World& world_;
    std::shared_ptr<const Settings> settings_;
    std::shared_ptr<const Way> way_;
    std::vector<Way::Hop> hops_;  // in the order to try
    std::unique_ptr<deliver::SmtpConnection> connection_;
    std::size_t hop_ = 0;
    const EgressSettings* egress_ = nullptr;  // of settings_; connection_'s
    std::string tls_;                         // tls_group() of connection_
    std::string domain_;                      // one of its domains
};

Onward::Onward(world::World& world, SettingsSource& settings)
    : world_(world), settings_(settings) {}

bool Onward::is_onward(const Destination& destination) {
    return std::holds_alternative<RemoteDestination>(destination) ||
           std::holds_alternative<StaticDestination>(destination) ||
           std::holds_alternative<LmtpDestination>(destination);
}

std::string Onward::site_of(const Destination& destination) const {
    std::string key = text(destination);
    auto known = ways_.find(key);
    bool usable = known != ways_.end() && !known->second->failure;
    return usable ? known->second->site : key;
}

// A site that is not known yet has the destination as its key.
std::vector<std::string> Onward::sites_for(const std::string& domain, bool below) const {
    auto settings = settings_.now();
    std::string own = text(settings->destination(Mailbox{"postmaster", domain}));
    std::vector<std::string> sites{own};
    for (const auto& [key, way] : ways_) {
        bool is_below = below && key.starts_with("mx:") && key.ends_with("." + domain);
        if (key != own && !is_below) continue;
        sites.push_back(key);
        if (!way->failure) sites.push_back(way->site);
    }
    std::ranges::sort(sites);
    sites.erase(std::ranges::unique(sites).begin(), sites.end());
    return sites;
}

Task<std::shared_ptr<const Way>> Onward::way_to(Destination destination) {
    std::string key = text(destination);
    auto known = ways_.find(key);
    if (known != ways_.end() && world_.clock.now() < known->second->expires &&
        !forced(Switch::DaemonAsksForWayAgain)) {
        co_return known->second;
    }
    auto way = co_await look_up(destination);
    if (ways_.size() >= kWaysMax) ways_.clear();  // rare, and only costs questions
    ways_[key] = way;
    co_return way;
}

Task<std::shared_ptr<const Way>> Onward::look_up(const Destination& destination) {
    Monotonic now = world_.clock.now();
    if (auto* lmtp = std::get_if<LmtpDestination>(&destination)) {
        co_return std::make_shared<const Way>(lmtp_way(*lmtp, now));
    }
    auto settings = settings_.now();
    Deadline deadline = Deadline::after(now, kLookUpTime);
    route::HostsAnswer answer;
    if (auto* fixed = std::get_if<StaticDestination>(&destination)) {
        answer = co_await route::find_static_host(world_, fixed->host, settings->hosts, deadline);
    } else {
        answer = co_await route::find_hosts(world_, std::get<RemoteDestination>(destination).domain,
                                            settings->hosts, deadline);
    }
    Way way = way_of(answer);
    if (auto* fixed = std::get_if<StaticDestination>(&destination)) {
        way.is_chosen = true;
        if (fixed->host == settings->smarthost) way.tls = settings->smarthost_tls;
        way.logs_in = fixed->host == settings->smarthost && !settings->smarthost_user.empty();
    }
    if (auto* remote = std::get_if<RemoteDestination>(&destination);
        remote && way.failure && way.failure->status == EnhancedStatus{5, 1, 10}) {
        if (auto domain = route::domain_key(remote->domain)) {
            null_mx_.learn(*domain, answer.expires, world_.clock.now());
        }
    }
    if (way.failure) way.expires = std::min(way.expires, world_.clock.now() + kFailureKept);
    co_return std::make_shared<const Way>(std::move(way));
}

// A connection that waits for a job, on shard 0.
struct Onward::Idle {
    const std::string& site;
    const std::shared_ptr<const Settings>& settings;
    world::Signal called;
    std::optional<Work> work = {};
};

Task<void> Onward::run(Work first, std::shared_ptr<const Way> way, WorkSource& source) {
    note_begin(first.site);
    if (Idle* idle = first.job.probe ? nullptr : take_idle(first.site)) {
        idle->work = std::move(first);
        idle->called.notify_all();
        co_return;
    }
    world::ShardId shard = next_shard_;
    next_shard_ = (next_shard_ + 1) % world_.executor.shard_count();
    co_await world_.executor.run_on(shard, carry(std::move(first), std::move(way), source));
}

Task<void> Onward::carry(Work first, std::shared_ptr<const Way> way, WorkSource& source) {
    auto settings = settings_.now();
    Carrier carrier(world_, settings, way);
    std::optional<Work> work = std::move(first);
    while (work) {
        WorkDone done = co_await carrier.carry(*work);
        bool more = carrier.may_carry_more(work->job);
        work = co_await world_.executor.run_on(
            0, next(std::move(*work), std::move(done), more, settings, source));
    }
    co_await carrier.close();
}

// On shard 0.
Task<std::optional<Work>> Onward::next(Work work, WorkDone done, bool wants_more,
                                       std::shared_ptr<const Settings> settings,
                                       WorkSource& source) {
    std::string site = work.site;
    auto following = co_await source.finish(std::move(work), std::move(done), wants_more);
    if (following) {
        note_begin(site);
        co_return following;
    }
    bool worth_it = flows_[site].close && idle_.size() < kIdleConnectionsMax;
    if (!wants_more || !worth_it || closing_) co_return std::nullopt;
    reached(Situation::DaemonConnectionWaits);
    Idle idle{site, settings, world::Signal(world_.executor, world_.clock)};
    idle_.push_back(&idle);
    (void)co_await idle.called.wait(Deadline::after(world_.clock.now(), kIdleTime));
    std::erase(idle_, &idle);
    co_return std::move(idle.work);
}

// The one that was used last: the others end the sooner.
Onward::Idle* Onward::take_idle(const std::string& site) {
    auto settings = settings_.now();
    for (Idle*& idle : std::views::reverse(idle_)) {
        if (idle->site != site || idle->settings != settings) continue;
        Idle* taken = idle;
        std::erase(idle_, taken);
        return taken;
    }
    return nullptr;
}

void Onward::note_begin(const std::string& site) {
    Monotonic now = world_.clock.now();
    if (flows_.size() >= kWaysMax && !flows_.contains(site)) flows_.clear();  // as with ways_
    Flow& flow = flows_[site];
    flow.close = flow.last.ns != 0 && now - flow.last < kIdleTime;
    flow.last = now;
}

void Onward::close_idle() {
    closing_ = true;
    for (Idle* idle : idle_) idle->called.notify_all();
}

}  // namespace postrider::daemon
