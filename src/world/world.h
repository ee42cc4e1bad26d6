// world/world.h: the only door out of the process.
//
// Everything a room awaits or does outside comes through here, so that the simulator can replace
// it. What has no door does not exist. A room takes the doors it needs, or the whole World.
//
// Tls and an Http client join with the first room that needs them.

#pragma once

#include "base/log.h"
#include "world/clock.h"
#include "world/disk.h"
#include "world/executor.h"
#include "world/net.h"
#include "world/process.h"
#include "world/random.h"
#include "world/resolver.h"
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
};

}  // namespace postrider::world
