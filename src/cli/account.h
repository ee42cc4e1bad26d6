// cli/account.h: the commands about accounts: who may send, and their passwords.
//
// The running server does the work (daemon/account_commands.h): the users file is its own.
//
// Exit code: kExitOk; kExitUnavailable with the reason on err. Threads: the calling shard.

#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/task.h"
#include "cli/console.h"
#include "cli/operator.h"
#include "world/world.h"

namespace postrider::cli {

struct AccountRequest {
    std::string name;
    std::string password;
    std::string scheme = "scram-sha-256";
    std::vector<std::string> send_as;
    uint64_t recipients_max = 0;  // 0 = as the configuration says
    uint64_t messages_per_hour = 0;
    uint64_t message_octets_max = 0;
    std::string app;      // label of an app password
    bool remove = false;  // that app password is taken away
};

Task<int> account_list(world::World& world, OperatorOptions options, Console console);
Task<int> account_add(world::World& world, OperatorOptions options, AccountRequest request,
                      Console console);
Task<int> account_password(world::World& world, OperatorOptions options, AccountRequest request,
                           Console console);
Task<int> account_remove(world::World& world, OperatorOptions options, AccountRequest request,
                         Console console);

}  // namespace postrider::cli
