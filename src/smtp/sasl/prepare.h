// smtp/sasl/prepare.h: one spelling for user names and passwords.
//
// The same password typed on two keyboards may come as different octets; SASLprep maps both to one
// form before anything is compared or hashed.
//
// Threads: pure functions. RFC 4013 (SASLprep), RFC 3454 (stringprep), done by libidn.

#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace postrider::smtp::sasl {

inline constexpr std::size_t kSecretOctetsMax = 1024;  // of a user name or a password

// Nothing: not UTF-8, a character that may not be there, longer than the limit, or nothing left.
// Code points that Unicode 3.2 did not know are taken as they are (a query, RFC 3454 §7).
std::optional<std::string> prepare(std::string_view text);

}  // namespace postrider::smtp::sasl
