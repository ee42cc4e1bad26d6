// Any client against the server's side of every mechanism: the exchange ends, in Success only where
// the driver said yes, and nothing that was read is believed beyond that.

#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>
#include <vector>

#include "smtp/sasl/base64.h"
#include "smtp/sasl/mechanism.h"
#include "smtp/sasl/prepare.h"
#include "smtp/sasl/server_exchange.h"

namespace {

using namespace postrider::smtp::sasl;

void require(bool holds) {
    if (!holds) std::abort();
}

// The messages are separated by an octet that base64 does not have and SASL seldom.
std::vector<std::string_view> split(std::string_view text) {
    std::vector<std::string_view> parts;
    while (true) {
        const std::size_t end = text.find('\xfe');
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) return parts;
        text.remove_prefix(end + 1);
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size < 1) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const Mechanism mechanism = kMechanisms[data[0] % kMechanisms.size()];
    const bool exists = (data[0] & 0x40) != 0;
    const bool initial = (data[0] & 0x80) != 0;
    if (const auto octets = decode_base64(input)) require(encode_base64(*octets) == input);
    require(decode_base64(encode_base64(input)) == input);
    (void)prepare(input);

    static const ScramKeys sha1 = ScramKeys::from_password(Hash::Sha1, "pencil", "salt", 4096);
    static const ScramKeys sha256 = ScramKeys::from_password(Hash::Sha256, "pencil", "salt", 4096);
    const auto messages = split(input);
    ServerExchange exchange(
        mechanism,
        {.nonce = "nonce", .bindings = {{"tls-exporter", "binding"}}, .plus_offered = true});
    std::size_t at = 0;
    bool told_yes = false;
    Step step = initial ? exchange.begin(messages[at++]) : exchange.begin(std::nullopt);
    for (;;) {
        if (std::get_if<step::Challenge>(&step)) {
            if (at >= messages.size()) return 0;
            step = exchange.respond(messages[at++]);
        } else if (auto* password = std::get_if<step::AskPassword>(&step)) {
            require(!password->user.empty() && !password->password.empty());
            told_yes = exists;
            step = exchange.tell(exists);
        } else if (auto* keys = std::get_if<step::AskScramKeys>(&step)) {
            told_yes = exists;
            step = exchange.tell(keys->hash == Hash::Sha1 ? sha1 : sha256, exists);
        } else if (std::get_if<step::AskToken>(&step)) {
            told_yes = exists;
            step = exchange.tell(exists ? std::optional<std::string>("alice") : std::nullopt);
        } else {
            require(told_yes || std::get_if<step::Success>(&step) == nullptr);
            return 0;
        }
    }
}
