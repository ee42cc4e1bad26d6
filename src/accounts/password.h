// accounts/password.h: passwords as they are stored, and whether one fits.
//
// Forms: SCRAM keys of RFC 5803 ("SCRAM-SHA-256$4096:salt$StoredKey:ServerKey"), argon2 in its
// usual form ("$argon2id$v=19$m=...,t=...,p=...$salt$hash"), and everything that crypt(3) knows
// ("$y$", "$2b$", "$6$"...). A scheme in braces as other programs write it ({ARGON2ID},
// {BLF-CRYPT}, {SHA512-CRYPT}, {CRYPT}) is passed over. Never a password itself.
//
// fits() and hash() cost what the form was made to cost: call them in a Worker.
// Threads: pure functions; crypt_r keeps its memory on the caller's heap.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "smtp/sasl/scram.h"

namespace postrider::accounts {

enum class Scheme : uint8_t {
    ScramSha256,
    ScramSha1,
    Argon2id,
    Yescrypt,
    Sha512Crypt
};
std::optional<Scheme> scheme_named(std::string_view name);  // "scram-sha-256", "argon2id"...

bool is_secret(std::string_view text);
std::optional<smtp::sasl::ScramKeys> scram_keys_in(std::string_view secret);
bool fits(std::string_view secret, std::string_view password);

// `salt`: 16 fresh random octets or more. `password` as sasl::prepare() gives it.
Result<std::string> hash(Scheme scheme, std::string_view password, std::string_view salt);

}  // namespace postrider::accounts
