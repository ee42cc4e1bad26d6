// smtp/sasl/jwt.h: a JSON Web Token, held against the keys of its issuer.
//
// A bearer token of this kind proves itself: whoever holds the issuer's public key can tell whom it
// names and until when, without asking anybody.
//
// Promise: a token is taken only if its signature was made by one of the keys, by an algorithm that
// fits that key (never "none", never a shared secret), it has not expired, has begun, and its
// issuer and audience are those of the rules. Threads: values; one TokenKeys may be read by many.
// Failure: Error, whose sentence is for the log and names no part of the token.
// RFC 7515 (JWS compact form), RFC 7518 §3.3 (RS256), §3.4 (ES256), RFC 8037 (EdDSA), RFC 7519 §4.1
// (claims), RFC 8725 (practices).

#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

struct evp_pkey_st;

namespace postrider::smtp::sasl {

class TokenKeys {
public:
    // One public key or more in PEM ("BEGIN PUBLIC KEY"): RSA of 2048 bits and more, P-256,
    // Ed25519.
    static Result<TokenKeys> parse(std::string_view pem);

    std::size_t size() const { return keys_.size(); }

private:
    friend class JwtReader;
    using Key = std::shared_ptr<evp_pkey_st>;
    std::vector<Key> keys_;
};

struct TokenRules {
    std::string issuer;    // "iss" must be this; empty = any
    std::string audience;  // "aud" must be or hold this; empty = any
    std::string identity_claim = "email";
    std::chrono::seconds leeway{60};  // for clocks that differ
};

// Gives the claim that names the account.
Result<std::string> identity_of_token(std::string_view token, const TokenKeys& keys,
                                      const TokenRules& rules, std::chrono::sys_seconds now);

}  // namespace postrider::smtp::sasl
