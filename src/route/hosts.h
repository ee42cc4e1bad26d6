// route/hosts.h: which hosts take the mail of a domain, in the order in which to try them.
//
// The problem: between "example.org" and a connection lie MX records, their hosts' addresses,
// implicit MX, null MX, ourselves among the hosts, and a DNS that may be silent. What is silent
// must be tried again, and what does not exist must not.
//
// The answer is a value: the queue keeps it until it expires, keys its limits by `site`, and
// delivery tries `hosts` one after the other.
//
// Promise
//   1. Hosts come by preference, those of equal preference in random order; the addresses of a host
//      alternate between IPv6 and IPv4, IPv6 first, so that one dead address or a dead family costs
//      one try (as RFC 8305 §4 orders them). Within a family the resolver's order stays.
//   2. Where we stand among the hosts, by a name or an address, all of our preference and behind
//   are
//      left out; when that leaves nothing, it is LoopToSelf.
//   3. A failure of DNS is Temporary, never permanent, unless other hosts can be tried instead:
//   then
//      the answer is Ok and expires soon.
//   4. All addresses are asked side by side. At most kMxHostsMax hosts and kAddressesMax addresses
//      of each; the answer comes by the deadline.
//   5. Domains with the same MX hosts have the same `site`.
//
// Threads: a shard's; the answer is a value.
// Failure: Status; nothing else.
// RFC 5321 §5.1, §5.2; RFC 7505 (null MX); RFC 3463 (codes); RFC 2181 §10.3; RFC 8305 §4.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/task.h"
#include "base/time.h"
#include "mail/outcome.h"
#include "world/net.h"
#include "world/world.h"

namespace postrider::route {

inline constexpr std::size_t kMxHostsMax = 20;
inline constexpr std::size_t kAddressesMax = 10;  // of one host
inline constexpr std::size_t kSiteOctetsMax = 200;
inline constexpr Duration kHostsKeptMin = std::chrono::minutes(1);
inline constexpr Duration kHostsKeptMax = std::chrono::hours(24);
inline constexpr uint16_t kSmtpPort = 25;

// Who we are, and how we go out. "localhost" is always one of our names.
struct HostsOptions {
    std::vector<std::string> own_names;           // in any case
    std::vector<world::IpAddress> own_addresses;  // at which we take mail from outside
    uint16_t port = kSmtpPort;                    // of MX hosts and literals
    bool use_ipv4 = true;
    bool use_ipv6 = true;
};

struct NextHost {
    std::string name;  // as in DNS: lower case, no final dot; of a literal: its text in brackets
    uint16_t preference = 0;
    std::vector<world::IpEndpoint> addresses;  // in the order to try; at least one
    bool secure = false;  // DNSSEC vouches for the MX record and these addresses
};

struct HostsAnswer {
    enum class Status : uint8_t {
        Ok,
        NullMx,        // the domain takes no mail: RFC 7505
        NoSuchDomain,  // NXDOMAIN, or no domain at all
        NoAddress,     // no host of it has an address that can be used
        LoopToSelf,    // we are its best host, but not configured to take its mail
        Temporary,     // DNS did not answer: try again
    };

    Status status = Status::Temporary;
    EnhancedStatus code;          // {0, 0, 0} for Ok
    std::string reason;           // for people; empty for Ok
    std::vector<NextHost> hosts;  // for Ok only, and then not empty
    // Key of limits: "mx:a.example,b.example" (the whole MX set, sorted), "ip:[192.0.2.1]",
    // "host:mail.example:2525"; without hosts "dns:" and the domain. At most kSiteOctetsMax octets;
    // a longer one is cut and ends with "#" and a hash of the whole.
    std::string site;
    Monotonic expires;    // ask again from then on
    bool secure = false;  // DNSSEC vouches for the MX set, or that there is none

    bool is_permanent() const { return status != Status::Ok && status != Status::Temporary; }
};

// The hosts of a domain or of an address literal with its brackets (RemoteDestination).
// REQUIRES: world and options outlive the task.
Task<HostsAnswer> find_hosts(world::World& world, std::string domain, const HostsOptions& options,
                             Deadline deadline);

// The addresses of a host of the configuration (StaticDestination): "mail.example.org:25",
// "192.0.2.1:25", "[192.0.2.1]:25", "[2001:db8::1]:25"; without a port, 25. No MX is asked, and
// whether it is ourselves is the operator's matter. REQUIRES: world and options outlive the task.
Task<HostsAnswer> find_static_host(world::World& world, std::string host,
                                   const HostsOptions& options, Deadline deadline);

}  // namespace postrider::route
