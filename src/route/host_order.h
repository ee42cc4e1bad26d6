// route/host_order.h: the order of a host's addresses, and the key of a site; no waiting.
//
// RFC 8305 §4 (families take turns).
// Threads: plain functions.

#pragma once

#include <string>
#include <vector>

#include "dns/answer.h"
#include "dns/name.h"
#include "world/net.h"

namespace postrider::route {

// False for addresses at which no host can be: "this network" (0.0.0.0/8, ::), multicast, class E.
// The system would take some of them for itself.
bool is_usable(const world::IpAddress& address);

// The usable addresses of both answers, IPv6 and IPv4 in turns, IPv6 first; each once.
std::vector<world::IpAddress> interleaved(const dns::Answer& v6, const dns::Answer& v4);

// "mx:" and the names, sorted, with commas; cut as bounded_site() does.
std::string mx_site(std::vector<dns::Name> names);

// At most kSiteOctetsMax octets; a longer text is cut and ends with "#" and a hash of the whole.
std::string bounded_site(std::string text);

}  // namespace postrider::route
