// mailauth/dkim/digest.h: a running hash, fed in pieces, that can be copied at any point.
//
// Promise: the result depends on the octets alone, not on how they were cut.
// Failure: none; OpenSSL's default provider without SHA-1 and SHA-256, or without memory, is a
//   broken installation and ends the program.
// Threads: a value; one thread at a time.
// RFC 6376 §3.3, RFC 8301 §3.1.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

namespace postrider::mailauth::dkim {

enum class HashAlgorithm : uint8_t {
    Sha1,  // RFC 8301 §3.1: neither signed nor verified with, but for old vectors
    Sha256
};

std::size_t digest_octets(HashAlgorithm algorithm);  // 20 or 32
std::string_view name(HashAlgorithm algorithm);      // "sha1", "sha256"

// The algorithm as OpenSSL knows it, fetched once.
const EVP_MD* evp_md(HashAlgorithm algorithm);

class Digest {
public:
    explicit Digest(HashAlgorithm algorithm);
    Digest(const Digest& other);
    Digest(Digest&&) noexcept = default;
    Digest& operator=(const Digest&) = delete;
    Digest& operator=(Digest&&) noexcept = default;
    ~Digest() = default;

    void update(std::string_view octets);

    // The hash of all octets so far. Afterwards the digest may only be destroyed or assigned to.
    std::string finish();

private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const;
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
    HashAlgorithm algorithm_;
};

}  // namespace postrider::mailauth::dkim
