// daemon/intake_queries.h: what a listed client is told by VRFY, EXPN and ETRN.
//
// The argument of VRFY and EXPN is an address, with or without brackets, or a local-part alone,
// which is looked for in the first domain that has it.
//
// Pure. RFC 5321 §3.5, §4.1.1.6, §4.1.1.7; RFC 1985 §5.1.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "daemon/settings.h"
#include "smtp/reply.h"

namespace postrider::daemon {

// 250 with the address, 252 for mail that is relayed, 550 for nobody, 553 for a bad address.
smtp::Reply verify_reply(const Settings& settings, std::string_view text);
// 250 with the members, one line each; 550 where nothing stands behind the name.
smtp::Reply expand_reply(const Settings& settings, std::string_view text);
// `entries`: how many were started; none: the domain is not relayed here.
smtp::Reply queue_run_reply(std::string_view domain, std::optional<std::size_t> entries);

}  // namespace postrider::daemon
