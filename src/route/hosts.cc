#include "route/hosts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <memory>
#include <optional>
#include <utility>

#include "base/situation.h"
#include "dns/answer.h"
#include "route/address_key.h"
#include "route/host_order.h"
#include "world/signal.h"

namespace postrider::route {

namespace {

using dns::Answer;
using dns::Name;
using dns::Question;
using dns::Type;
using Status = HostsAnswer::Status;

// What each failure is told as. RFC 3463 §3.2, §3.5; RFC 7505 §4.
EnhancedStatus code_of(Status status) {
    switch (status) {
        case Status::Ok:
            return {};
        case Status::NullMx:
            return {5, 1, 10};
        case Status::NoSuchDomain:
            return {5, 1, 2};
        case Status::NoAddress:
            return {5, 4, 4};
        case Status::LoopToSelf:
            return {5, 4, 6};
        case Status::Temporary:
            return {4, 4, 3};
    }
    return {};
}

HostsAnswer failed(Status status, std::string_view domain, std::string reason, Monotonic expires) {
    return {.status = status,
            .code = code_of(status),
            .reason = std::move(reason),
            .hosts = {},
            .site = bounded_site("dns:" + std::string(domain)),
            .expires = expires};
}

Monotonic expiry(Monotonic now, uint32_t ttl_seconds) {
    return now +
           std::clamp<Duration>(std::chrono::seconds(ttl_seconds), kHostsKeptMin, kHostsKeptMax);
}

// Both answers for one host.
struct Addresses {
    Answer v6 = {.status = Answer::Status::NoData, .ttl_seconds = UINT32_MAX};
    Answer v4 = v6;
};

// Look-ups that run side by side. Shared with their tasks, which may outlive the asker.
struct LookUps {
    explicit LookUps(world::World& world) : done(world.executor, world.clock) {}

    std::vector<Addresses> of_host;
    int open = 0;
    world::Signal done;
};

Task<void> look_up(world::World& world, std::shared_ptr<LookUps> shared, std::size_t host,
                   Question question, Deadline deadline) {
    Answer answer = co_await world.resolver.query(question, deadline);
    Addresses& addresses = shared->of_host[host];
    (question.type == Type::Aaaa ? addresses.v6 : addresses.v4) = std::move(answer);
    if (--shared->open == 0) shared->done.notify_all();
}

// A and AAAA of all names, asked at once.
Task<std::vector<Addresses>> find_addresses(world::World& world, std::vector<Name> names,
                                            const HostsOptions& options, Deadline deadline) {
    auto shared = std::make_shared<LookUps>(world);
    shared->of_host.resize(names.size());
    for (std::size_t host = 0; host < names.size(); host++) {
        for (Type type : {Type::Aaaa, Type::A}) {
            if (type == Type::Aaaa ? !options.use_ipv6 : !options.use_ipv4) continue;
            shared->open++;
            world.executor.spawn(look_up(world, shared, host, {names[host], type}, deadline));
        }
    }
    // Each look-up ends by the deadline, and this wait with the last of them.
    while (shared->open > 0) co_await shared->done.wait(Deadline::never());
    co_return std::move(shared->of_host);
}

bool is_own_name(const Name& name, const HostsOptions& options) {
    static const Name localhost = *Name::parse("localhost");  // RFC 6761 §6.3
    if (name.is_within(localhost)) return true;
    return std::any_of(options.own_names.begin(), options.own_names.end(),
                       [&](const std::string& own) { return Name::parse(own) == name; });
}

bool is_own_address(const world::IpAddress& address, const HostsOptions& options) {
    return std::find(options.own_addresses.begin(), options.own_addresses.end(), address) !=
           options.own_addresses.end();
}

// A host on its way into the answer.
struct Candidate {
    Name name;
    uint16_t preference = 0;
    uint64_t lot = 0;  // drawn: the order among equals
    bool is_self = false;
    std::vector<world::IpAddress> addresses;
    bool secure = false;
    uint32_t ttl_seconds = UINT32_MAX;
    std::string failure;  // why DNS did not answer; empty if it did
};

std::vector<Candidate> candidates_of(const std::vector<dns::Mx>& records,
                                     const HostsOptions& options) {
    std::vector<Candidate> out;
    for (const dns::Mx& mx : records) {
        if (mx.exchange.is_root()) continue;  // RFC 7505 §3: beside others it says nothing
        auto known = std::find_if(out.begin(), out.end(),
                                  [&](const Candidate& c) { return c.name == mx.exchange; });
        if (known != out.end()) {
            known->preference = std::min(known->preference, mx.preference);
        } else {
            out.push_back({.name = mx.exchange,
                           .preference = mx.preference,
                           .is_self = is_own_name(mx.exchange, options)});
        }
    }
    return out;
}

void take_addresses(Candidate& host, Addresses found, const HostsOptions& options) {
    host.addresses = interleaved(found.v6, found.v4);
    host.secure = true;
    for (const Answer* answer : {&found.v6, &found.v4}) {
        if (answer->status == Answer::Status::Temporary) {
            host.failure = answer->reason;
        } else {
            host.ttl_seconds = std::min(host.ttl_seconds, answer->ttl_seconds);
        }
        if (answer->status == Answer::Status::Ok) host.secure = host.secure && answer->secure;
    }
    for (const world::IpAddress& address : host.addresses) {
        host.is_self = host.is_self || is_own_address(address, options);
    }
}

// RFC 5321 §5.1: with us among them, all of our preference and behind are discarded.
// Says whether we were.
bool cut_at_self(std::vector<Candidate>& hosts) {
    std::optional<uint16_t> ours;
    for (const Candidate& host : hosts) {
        if (host.is_self) ours = std::min(ours.value_or(UINT16_MAX), host.preference);
    }
    if (!ours) return false;
    std::erase_if(hosts, [&](const Candidate& host) { return host.preference >= *ours; });
    return true;
}

// What the hosts that are left amount to.
HostsAnswer judged(const std::vector<Candidate>& hosts, std::string_view domain,
                   const HostsOptions& options, uint32_t ttl_seconds, Monotonic now) {
    HostsAnswer answer{.status = Status::Ok};
    std::string failure;
    for (const Candidate& host : hosts) {
        ttl_seconds = std::min(ttl_seconds, host.ttl_seconds);
        if (!host.failure.empty()) failure = host.failure;
        if (host.addresses.empty()) continue;
        NextHost next{.name = host.name.text(),
                      .preference = host.preference,
                      .addresses = {},
                      .secure = host.secure};
        for (std::size_t i = 0; i < host.addresses.size() && i < kAddressesMax; i++) {
            next.addresses.push_back({host.addresses[i], options.port});
        }
        answer.hosts.push_back(std::move(next));
    }
    if (!failure.empty()) ttl_seconds = 0;  // what is missing may be there soon
    answer.expires = expiry(now, ttl_seconds);
    if (!answer.hosts.empty()) return answer;
    if (!failure.empty()) {
        return failed(Status::Temporary, domain,
                      fmt::format("the hosts of {} cannot be looked up: {}", domain, failure),
                      answer.expires);
    }
    return failed(Status::NoAddress, domain,
                  fmt::format("no mail host of {} has an address", domain), answer.expires);
}

HostsAnswer loop_to_self(std::string_view domain, Monotonic expires) {
    reached(Situation::RouteLoopToSelf);
    return failed(
        Status::LoopToSelf, domain,
        fmt::format("mail for {} is to be taken by this host, which is not set up for it", domain),
        expires);
}

// The MX set is known: the order, the addresses, ourselves.
Task<HostsAnswer> resolve_set(world::World& world, std::string domain, std::vector<Candidate> hosts,
                              const HostsOptions& options, Answer mx, Deadline deadline) {
    std::vector<Name> names;
    for (const Candidate& host : hosts) names.push_back(host.name);
    std::string site = mx_site(names);

    for (Candidate& host : hosts) host.lot = world.random.next();
    std::sort(hosts.begin(), hosts.end(), [](const Candidate& a, const Candidate& b) {
        return std::pair(a.preference, a.lot) < std::pair(b.preference, b.lot);
    });
    bool self = cut_at_self(hosts);  // by name: spares the look-ups
    if (hosts.size() > kMxHostsMax) hosts.resize(kMxHostsMax);

    names.clear();
    for (const Candidate& host : hosts) names.push_back(host.name);
    auto found = co_await find_addresses(world, std::move(names), options, deadline);
    for (std::size_t i = 0; i < hosts.size(); i++) {
        take_addresses(hosts[i], std::move(found[i]), options);
        hosts[i].secure = hosts[i].secure && mx.secure;
    }
    self = cut_at_self(hosts) || self;

    Monotonic now = world.clock.now();
    if (self && hosts.empty()) co_return loop_to_self(domain, expiry(now, mx.ttl_seconds));
    HostsAnswer answer = judged(hosts, domain, options, mx.ttl_seconds, now);
    if (answer.status == Status::Ok) answer.site = std::move(site);
    answer.secure = mx.secure;
    co_return answer;
}

HostsAnswer literal_answer(world::World& world, const world::IpAddress& address,
                           std::string_view domain, const HostsOptions& options) {
    Monotonic expires = world.clock.now() + kHostsKeptMax;
    bool v6 = address.family == world::IpAddress::Family::V6;
    if (is_own_address(address, options)) return loop_to_self(domain, expires);
    if (!is_usable(address) || (v6 ? !options.use_ipv6 : !options.use_ipv4)) {
        return failed(Status::NoAddress, domain,
                      fmt::format("{} is no address that can be reached from here", domain),
                      expires);
    }
    return {.status = Status::Ok,
            .code = {},
            .reason = {},
            .hosts = {{.name = address.literal(),
                       .preference = 0,
                       .addresses = {{address, options.port}},
                       .secure = false}},
            .site = "ip:" + address.literal(),
            .expires = expires};
}

// RFC 5321 §4.1.3: the address in a literal.
std::optional<world::IpAddress> literal_address(std::string_view literal) {
    if (literal.size() < 2 || literal.front() != '[' || literal.back() != ']') return std::nullopt;
    std::string_view inside = literal.substr(1, literal.size() - 2);
    constexpr std::string_view kTag = "ipv6:";
    bool v6 = ascii_lower(inside.substr(0, kTag.size())) == kTag;
    if (v6) inside.remove_prefix(kTag.size());
    if (v6 != (inside.find(':') != std::string_view::npos)) return std::nullopt;
    return world::IpAddress::parse(inside);
}

struct HostAndPort {
    std::string host;  // without brackets
    uint16_t port = kSmtpPort;
};

std::optional<HostAndPort> split_port(std::string_view text) {
    HostAndPort out;
    std::size_t host_end = text.find(':');
    if (text.starts_with('[')) {
        std::size_t bracket = text.find(']');
        if (bracket == std::string_view::npos) return std::nullopt;
        out.host = text.substr(1, bracket - 1);
        host_end = bracket + 1;
        if (host_end < text.size() && text[host_end] != ':') return std::nullopt;
    } else {
        out.host = text.substr(0, host_end);
    }
    if (host_end >= text.size()) return out;
    std::string_view digits = text.substr(host_end + 1);
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), out.port);
    if (error != std::errc() || end != digits.data() + digits.size() || out.port == 0) {
        return std::nullopt;
    }
    return out;
}

}  // namespace

Task<HostsAnswer> find_hosts(world::World& world, std::string domain, const HostsOptions& options,
                             Deadline deadline) {
    if (domain.starts_with('[')) {
        if (auto address = literal_address(domain)) {
            co_return literal_answer(world, *address, domain, options);
        }
    }
    Monotonic now = world.clock.now();
    auto key = domain_key(domain);
    auto name = key ? Name::parse(*key) : std::nullopt;
    if (!name || name->is_root() || domain.starts_with('[')) {
        co_return failed(Status::NoSuchDomain, domain, fmt::format("{} is no domain", domain),
                         now + kHostsKeptMax);
    }

    Answer mx = co_await world.resolver.query({*name, Type::Mx}, deadline);
    now = world.clock.now();
    switch (mx.status) {
        case Answer::Status::Temporary:
            reached(Situation::RouteNoAnswer);
            co_return failed(Status::Temporary, name->text(),
                             fmt::format("{} cannot be looked up: {}", domain, mx.reason),
                             expiry(now, 0));
        case Answer::Status::NxDomain:
            reached(Situation::RouteNoSuchDomain);
            co_return failed(Status::NoSuchDomain, name->text(),
                             fmt::format("the domain {} does not exist", domain),
                             expiry(now, mx.ttl_seconds));
        case Answer::Status::NoData: {
            // RFC 5321 §5.1: the implicit MX.
            std::vector<Candidate> only = candidates_of({{0, *name}}, options);
            co_return co_await resolve_set(world, name->text(), std::move(only), options,
                                           std::move(mx), deadline);
        }
        case Answer::Status::Ok:
            break;
    }
    std::vector<Candidate> hosts = candidates_of(mx.all<dns::Mx>(), options);
    if (hosts.empty()) {
        reached(Situation::RouteNullMx);
        co_return failed(Status::NullMx, name->text(),
                         fmt::format("the domain {} takes no mail (null MX)", domain),
                         expiry(now, mx.ttl_seconds));
    }
    co_return co_await resolve_set(world, name->text(), std::move(hosts), options, std::move(mx),
                                   deadline);
}

Task<HostsAnswer> find_static_host(world::World& world, std::string host,
                                   const HostsOptions& options, Deadline deadline) {
    HostsOptions elsewhere{.own_names = {},
                           .own_addresses = {},
                           .port = kSmtpPort,
                           .use_ipv4 = options.use_ipv4,
                           .use_ipv6 = options.use_ipv6};
    std::string site = bounded_site("host:" + ascii_lower(host));
    auto parts = split_port(host);
    HostsAnswer answer =
        failed(Status::NoAddress, host, fmt::format("{} is no host with a port", host),
               world.clock.now() + kHostsKeptMax);
    if (parts) {
        elsewhere.port = parts->port;
        auto key = domain_key(parts->host);
        if (auto address = world::IpAddress::parse(parts->host)) {
            answer = literal_answer(world, *address, host, elsewhere);
        } else if (auto name = key ? Name::parse(*key) : std::nullopt) {
            std::vector<Name> names{*name};
            auto found = co_await find_addresses(world, std::move(names), elsewhere, deadline);
            Candidate only{.name = *name};
            take_addresses(only, std::move(found.front()), elsewhere);
            answer = judged({std::move(only)}, host, elsewhere, UINT32_MAX, world.clock.now());
        }
    }
    answer.site = std::move(site);
    co_return answer;
}

}  // namespace postrider::route
