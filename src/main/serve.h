// main/serve.h: `postrider serve`: the server over the real world.
//
// Order: configuration, user, limits, log; then the world, still without a thread (a sandbox can be
// entered here); then threads, the spool, the listeners. SIGTERM and SIGINT drain and stop, a
// second one stops at once; SIGHUP reloads and reopens the log; SIGUSR1 reopens the log.
//
// Threads: main's.

#pragma once

#include <string>

namespace postrider {

struct ServeOptions {
    std::string config_path;
    std::string try_directory;  // not empty: the embedded default for trying out, below this folder
    std::string program;        // how we were called, for hints
};

// Returns the exit code.
int serve(const ServeOptions& options);

}  // namespace postrider
