// daemon/trial.h: the first five minutes: `postrider serve --try` says what to type next and shows
// each message when it arrives in the mailbox.
//
// Threads: shard 0's. Failure: a message that cannot be shown is still delivered; its path is said.

#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "daemon/config.h"
#include "daemon/dispatcher.h"
#include "world/world.h"

namespace postrider::daemon {

using Say = std::function<void(std::string_view)>;

// What to type next. `program`: how this program was called.
std::string trial_welcome(const Config& config, std::string_view program);

// Shows what is delivered into a Maildir. REQUIRES: world outlives the observer.
DeliveryObserver trial_observer(world::World& world, std::string hostname, Say say);

}  // namespace postrider::daemon
