// daemon/config_check.h: what only the whole configuration can show to be wrong.
//
// Two listeners on one port, aliases that lead nowhere or in circles, two routes for one domain, a
// next host that is ourselves, an expiry before the first retry. Single values were checked when
// they were read.
//
// Threads: plain function.

#pragma once

#include "daemon/config_positions.h"

namespace postrider::daemon {

// `domains_are_whole`: every [[domain]] was read without an error. Otherwise aliases are not
// followed, since their targets may be what is missing.
void check_config(const Config& config, const Positions& positions, bool domains_are_whole,
                  ConfigErrors& errors);

}  // namespace postrider::daemon
