// world/real/real_world.h: the world as it is: shards on threads, sockets, files, the system's
// clocks and random octets, and signals.
//
// How main uses it
//   RealWorld real({...}, log);      no thread is made: a sandbox can still be entered
//   real.on_signal(SIGTERM, ...);
//   real.executor().post_to(0, ...); the first thing that runs
//   real.run();                      shard 0 on this thread, the others on theirs; until stop()
//
// Shutdown: drain first (the rooms' matter), then stop(). run() then
//   1. lets each shard finish the call it is in and each worker the step it is in,
//   2. joins all threads,
//   3. destroys the tasks that have not ended, shard by shard, on the calling thread,
//   4. returns. Rooms are destroyed after that, and the RealWorld after them.
//
// SIGPIPE and SIGXFSZ are ignored from the constructor on: both come back as errors of the call.
//
// Threads: stop() from anywhere; on_signal() before run() or on shard 0; all else by the owner.
// run() is called once.

#pragma once

#include <memory>
#include <thread>
#include <vector>

#include "world/real/real_disk.h"
#include "world/real/real_net.h"
#include "world/real/real_process.h"
#include "world/real/real_random.h"
#include "world/real/real_resolver.h"
#include "world/real/real_tls.h"
#include "world/real/shards.h"
#include "world/real/worker_pool.h"
#include "world/world.h"

namespace postrider::world::real {

struct RealOptions {
    int shards = 1;     // event loops; one per core
    int workers = 8;    // threads for disk and heavy work; they wait for syncs, so more than cores
    bool rings = true;  // io_uring, where the system allows it (socket_call.h)
    ResolverOptions resolver;
};

class RealWorld {
public:
    RealWorld(RealOptions options, Log& log);
    ~RealWorld();
    RealWorld(const RealWorld&) = delete;
    RealWorld& operator=(const RealWorld&) = delete;

    World world();
    void run();
    void stop();

    // Calls `callback` on shard 0 each time the signal comes; never inside a signal handler.
    // Fails for a signal that cannot be caught.
    Status<Error> on_signal(int signo, std::move_only_function<void()> callback);

    // See RealNet::adopt_listener.
    Result<std::unique_ptr<Listener>, NetError> adopt_listener(int fd) {
        return net_.adopt_listener(fd);
    }

    Executor& executor() { return executor_; }

    // See RealResolver::prepare.
    const Status<Error>& prepare_resolver() { return resolver_.prepare(); }

    // Makes the small process that starts programs; without it world::Process answers NotStarted.
    // REQUIRES: this process has one thread; the user has been switched already.
    Status<Error> fork_spawner() { return process_.fork_spawner(); }
    const RealProcess& process() const { return process_; }

private:
    struct SignalWatch;

    const RealOptions options_;
    Log& log_;
    RealExecutor executor_;
    RealClock clock_;
    RealRandom random_;
    RealNet net_;
    WorkerPool workers_{executor_};
    RealDisk disk_{workers_, executor_};
    RealProcess process_{executor_, clock_};
    RealTls tls_{executor_, clock_};
    RealResolver resolver_;                              // uses shard 0's loop
    std::vector<std::unique_ptr<SignalWatch>> signals_;  // they use shard 0's loop
    std::vector<std::thread> threads_;
};

}  // namespace postrider::world::real
