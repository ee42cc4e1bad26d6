// smtp/sasl/base64.h: the dress in which SASL travels over a line.
//
// Strict, since what two readers take for the same octets must be the same text: the alphabet of
// RFC 4648 §4, whole groups of four, padding only at the end, and no bits set that are thrown away.
//
// Threads: pure functions. RFC 4648 §4 (base64), §5 (the alphabet for URLs, which JWT uses without
// padding).

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postrider::smtp::sasl {

std::string encode_base64(std::string_view octets);
std::optional<std::string> decode_base64(std::string_view text);

// RFC 7515 §2: without padding.
std::optional<std::string> decode_base64url(std::string_view text);

}  // namespace postrider::smtp::sasl
