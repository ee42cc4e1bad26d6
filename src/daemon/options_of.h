// daemon/options_of.h: what the configuration means for each room.
//
// Rooms have options of their own and know no configuration file; here one becomes the other.
//
// Threads: pure.

#pragma once

#include <memory>

#include "daemon/attempt_log.h"
#include "daemon/certificates.h"
#include "daemon/config.h"
#include "daemon/dmarc_rows.h"
#include "daemon/settings.h"
#include "daemon/suppression_list.h"
#include "queue/options.h"
#include "receive/drop.h"
#include "receive/session.h"
#include "spool/spool.h"

namespace postrider::daemon {

spool::SpoolOptions spool_options(const Config& config);
AttemptLogOptions attempt_log_options(const Config& config);
SuppressionOptions suppression_options(const Config& config);
DmarcRowsOptions dmarc_rows_options(const Config& config);
receive::DropOptions drop_options(const Config& config);
queue::Options queue_options(const Config& config);
std::shared_ptr<const receive::SessionSettings> session_settings(const Config& config,
                                                                 const ListenerConfig& listener,
                                                                 const TlsContexts& tls);
// REQUIRES: config came from load(), so that its table has no problems.
// `own_addresses`: of this machine.
std::shared_ptr<const Settings> settings_of(const Config& config,
                                            const std::vector<world::IpAddress>& own_addresses,
                                            const TlsContexts& tls);

}  // namespace postrider::daemon
