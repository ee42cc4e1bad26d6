// world/world.h: the only door out of the process.
//
// Everything a room awaits or does outside comes through here, so that the simulator can replace
// it. What has no door does not exist. A room takes the doors it needs, or the whole World.
//
// An Http client joins with the first room that needs it.

#pragma once

#include "base/log.h"
#include "world/clock.h"
#include "world/disk.h"
#include "world/executor.h"
#include "world/net.h"
#include "world/process.h"
#include "world/random.h"
#include "world/resolver.h"
#include "world/tls.h"
#include "world/worker.h"

namespace postrider::world {

struct World {
    Clock& clock;
    Random& random;
    Net& net;
    Disk& disk;
    Executor& executor;
    Worker& worker;
    Log& log;
    Resolver& resolver;
    Process& process;
    Tls& tls;
};

}  // namespace postrider::world
