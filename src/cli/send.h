// cli/send.h: sends one message and shows the dialogue, to try a server out.
//
// Exit code: kExitOk when every recipient was accepted, kExitFailed when one was not,
// kExitUnavailable when there was no dialogue.
// Threads: the calling shard.

#pragma once

#include <string>
#include <vector>

#include "base/task.h"
#include "cli/console.h"
#include "world/world.h"

namespace postrider::cli {

struct SendOptions {
    world::Endpoint server;
    std::string hello_name = "localhost";
    std::string from;             // empty = the null reverse-path
    std::vector<std::string> to;  // at least one
    std::string subject = "A test from postrider send";
    std::string body = "It works.\n";
    std::string message;  // a whole message (header and body) instead of subject and body
    bool lmtp = false;
};

Task<int> send(world::World& world, SendOptions options, Console console);

}  // namespace postrider::cli
