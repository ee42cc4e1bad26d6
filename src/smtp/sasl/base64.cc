#include "smtp/sasl/base64.h"

#include <array>
#include <cstdint>

namespace postrider::smtp::sasl {
namespace {

constexpr std::string_view kLetters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> values_of(char plus, char slash) {
    std::array<int8_t, 256> values{};
    values.fill(-1);
    for (std::size_t i = 0; i < 62; i++) {
        values[static_cast<unsigned char>(kLetters[i])] = static_cast<int8_t>(i);
    }
    values[static_cast<unsigned char>(plus)] = 62;
    values[static_cast<unsigned char>(slash)] = 63;
    return values;
}

constexpr auto kPlain = values_of('+', '/');
constexpr auto kForUrls = values_of('-', '_');

// `text` without padding.
std::optional<std::string> decode(std::string_view text, const std::array<int8_t, 256>& values) {
    if (text.size() % 4 == 1) return std::nullopt;
    std::string out;
    out.reserve(text.size() / 4 * 3 + 2);
    uint32_t bits = 0;
    unsigned held = 0;
    for (const char c : text) {
        const int8_t value = values[static_cast<unsigned char>(c)];
        if (value < 0) return std::nullopt;
        bits = (bits << 6) | static_cast<uint32_t>(value);
        held += 6;
        if (held < 8) continue;
        held -= 8;
        out += static_cast<char>((bits >> held) & 0xff);
    }
    if ((bits & ((1U << held) - 1)) != 0) return std::nullopt;
    return out;
}

}  // namespace

std::string encode_base64(std::string_view octets) {
    std::string out;
    out.reserve((octets.size() + 2) / 3 * 4);
    for (std::size_t i = 0; i < octets.size(); i += 3) {
        const std::string_view group = octets.substr(i, 3);
        uint32_t bits = 0;
        for (std::size_t k = 0; k < 3; k++) {
            bits = bits << 8 | (k < group.size() ? static_cast<unsigned char>(group[k]) : 0U);
        }
        for (std::size_t k = 0; k < 4; k++) {
            out += k <= group.size() ? kLetters[(bits >> (18 - 6 * k)) & 63] : '=';
        }
    }
    return out;
}

std::optional<std::string> decode_base64(std::string_view text) {
    if (text.size() % 4 != 0) return std::nullopt;
    for (int i = 0; i < 2 && text.ends_with('='); i++) text.remove_suffix(1);
    return decode(text, kPlain);
}

std::optional<std::string> decode_base64url(std::string_view text) {
    return decode(text, kForUrls);
}

}  // namespace postrider::smtp::sasl
