// world/real/self_signed.h: a certificate that vouches for itself, for trying the server out and
// for measuring. Nobody who checks certificates trusts it.
//
// Threads: a plain function; an RSA key takes up to a second.

#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "world/tls.h"

namespace postrider::world::real {

enum class KeyKind : uint8_t {
    Ecdsa,  // P-256
    Rsa     // 2048 bits
};

// For these DNS names, the first one being its subject; good from now on for so many days.
// REQUIRES: names is not empty.
Result<TlsCertificate> self_signed(const std::vector<std::string>& names, int days,
                                   KeyKind kind = KeyKind::Ecdsa);

}  // namespace postrider::world::real
