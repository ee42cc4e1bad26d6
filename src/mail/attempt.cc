#include "mail/attempt.h"

#include <array>

namespace postrider {

std::string_view name(FailureKind kind) {
    static constexpr std::array<std::string_view, kFailureKindCount> kNames = {
        "Other",      "Connection", "Greeting", "Tls",   "Dns", "Mail4yz", "TooManyRecipients",
        "Greylisted", "Mailbox",    "Full",     "Policy"};
    return kNames[static_cast<std::size_t>(kind)];
}

}  // namespace postrider
