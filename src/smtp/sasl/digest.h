// smtp/sasl/digest.h: the hashes of SCRAM, as plain functions over OpenSSL.
//
// Threads: pure functions. Failure: none; a library without these hashes stops the program.
// RFC 5802 §2.2; RFC 2104 (HMAC); RFC 8018 §5.2 (PBKDF2, which is Hi).

#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace postrider::smtp::sasl {

enum class Hash : uint8_t {
    Sha1,
    Sha256
};
std::size_t octets_of(Hash hash);

std::string digest(Hash hash, std::string_view octets);
std::string hmac(Hash hash, std::string_view key, std::string_view octets);
// Costs `iterations` times two HMACs. REQUIRES: iterations >= 1.
std::string pbkdf2(Hash hash, std::string_view password, std::string_view salt,
                   uint32_t iterations);
// Takes the same time wherever they differ.
bool equal_secrets(std::string_view a, std::string_view b);

}  // namespace postrider::smtp::sasl
