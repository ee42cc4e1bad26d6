// world/real/real_process.h: programs, started by the spawner (spawner.h) and watched from a shard.
//
// For each program: a pipe to its standard input, a pipe from its standard output and error, and a
// status socket on which the spawner says how it ended. All three are waited for on the shard that
// called run(); nothing is shared between shards but the spawner's socket, to which a request is
// one packet.
//
// When the spawner itself dies (somebody killed it), every run() answers Lost or NotStarted until
// the server is started again: with threads there is no way to make another.
//
// Threads: run() from a shard's thread.

#pragma once

#include <optional>

#include "world/process.h"
#include "world/real/shards.h"
#include "world/real/spawner.h"

namespace postrider::world::real {

class RealProcess : public Process {
public:
    // Without a spawner, run() answers NotStarted.
    RealProcess(RealExecutor& executor, Clock& clock) : executor_(executor), clock_(clock) {}

    // REQUIRES: this process has one thread.
    Status<Error> fork_spawner();

    Task<ProcessEnd> run(ProcessRequest request, ProcessInput input) override;

    // Of the spawner; 0 without one. For tests.
    pid_t spawner_pid() const { return spawner_ ? spawner_->pid() : 0; }

private:
    RealExecutor& executor_;
    Clock& clock_;
    std::optional<Spawner> spawner_;
};

}  // namespace postrider::world::real
