// Any text as a token, and any text as claims under a good signature of nobody: nothing is taken
// that a key of ours has not signed.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "smtp/sasl/jwt.h"
#include "smtp/sasl/token.h"

namespace {

constexpr std::string_view kPem =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n";

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider::smtp::sasl;
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    static const TokenKeys keys = TokenKeys::parse(kPem).value();
    const std::chrono::sys_seconds now{std::chrono::seconds(1'700'000'000)};
    if (identity_of_token(text, keys, {}, now)) std::abort();
    (void)TokenKeys::parse(text);
    if (const auto message = parse_oauthbearer(text)) {
        const auto again = parse_oauthbearer(oauthbearer_text(*message, "host", 587));
        if (again != message) std::abort();
    }
    if (const auto message = parse_xoauth2(text)) {
        if (parse_xoauth2(xoauth2_text(*message)) != message) std::abort();
    }
    return 0;
}
