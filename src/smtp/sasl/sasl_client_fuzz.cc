// Any server against our client: it ends after a few messages, and a server that does not know the
// password never proves that it does.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "smtp/sasl/client_exchange.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider::smtp::sasl;
    if (size < 1) return 0;
    std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Mechanism mechanism = kMechanisms[data[0] % kMechanisms.size()];
    ClientExchange client(mechanism, {.user = "alice", .password = "pencil", .token = "abc"}, "x",
                          {{"tls-exporter", "binding"}}, true);
    (void)client.initial_response();
    for (int i = 0; i < 10; i++) {
        const std::size_t end = input.find('\xfe');
        const std::string_view challenge = input.substr(0, end);
        // More iterations than a run has time for are another test's.
        if (const auto first = parse_server_first(challenge); first && first->iterations > 5000) {
            return 0;
        }
        const auto response = client.respond(challenge);
        if (!response) return 0;
        if (i >= 4) std::abort();
        if (is_scram(mechanism) && client.server_proved()) std::abort();
        if (end == std::string_view::npos) return 0;
        input.remove_prefix(end + 1);
    }
    return 0;
}
