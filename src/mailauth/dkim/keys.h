// mailauth/dkim/keys.h: public keys that verify and private keys that sign.
//
// The problem: OpenSSL's reader of public keys takes 150 µs and reads far more than DKIM has. Here
// the two forms that a key record may hold are read by hand; what stays is a handle that may be
// copied and used for as many signatures as one likes.
//
// Keys are RSA (PKCS #1 v1.5) and Ed25519; both sign the hash of the header.
//
// Failure: sentences for the operator, or for the reason of a result.
// Threads: values; copies may be used on several threads at once.
// RFC 6376 §3.3; RFC 8017 §A.1.1; RFC 8301 §3; RFC 8463 §3, §4.

#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

#include "base/result.h"
#include "mailauth/dkim/digest.h"

namespace postrider::mailauth::dkim {

enum class KeyType : uint8_t {
    Rsa,
    Ed25519
};

std::string_view name(KeyType type);  // as in k=: "rsa", "ed25519"

// RFC 8301 §3.2: verifiers take 1024 to 4096 bits and may take more; an RSA verification's cost
// grows with the square of the size, so there is an end.
inline constexpr unsigned kRsaBitsMin = 1024;
inline constexpr unsigned kRsaVerifyBitsMax = 8192;
inline constexpr unsigned kRsaSignBitsMax = 4096;

class PublicKey {
public:
    // The octets of p=: SubjectPublicKeyInfo, or RSAPublicKey as RFC 6376 §3.6.1 has it too. Keys
    // shorter than kRsaBitsMin are taken: whether to believe them is the verifier's matter.
    static Result<PublicKey> rsa(std::string_view der);
    // The 32 octets of p= (RFC 8463 §4.2).
    static Result<PublicKey> ed25519(std::string_view octets);

    KeyType type() const { return type_; }
    unsigned bits() const { return bits_; }  // of the modulus; 256 for Ed25519

    // The signature is this key's over `hash`, which has the length of the algorithm.
    bool verifies(HashAlgorithm algorithm, std::string_view hash, std::string_view signature) const;

private:
    PublicKey(std::shared_ptr<EVP_PKEY> key, KeyType type);

    std::shared_ptr<EVP_PKEY> key_;
    // Of an RSA key: ready to verify, and only copied, since making it ready costs a fifth of a
    // verification.
    std::shared_ptr<EVP_PKEY_CTX> ready_;
    KeyType type_;
    unsigned bits_;
};

class PrivateKey {
public:
    // PEM text: PKCS #8 ("PRIVATE KEY"), PKCS #1 ("RSA PRIVATE KEY"). Not encrypted ones.
    static Result<PrivateKey> from_pem(std::string_view pem);
    static Result<PrivateKey> ed25519_from_seed(std::string_view octets);  // 32 of them

    // New keys, from OpenSSL's random source; takes up to seconds for RSA: for the operator's
    // commands, on a worker.
    static Result<PrivateKey> generate_rsa(unsigned bits = 2048);  // 1024 to 4096
    static Result<PrivateKey> generate_ed25519();

    KeyType type() const { return type_; }
    unsigned bits() const { return bits_; }

    // PKCS #8.
    std::string to_pem() const;
    // The octets for p= of the key record.
    std::string public_octets() const;

    // A signature over the SHA-256 `hash`.
    Result<std::string> sign(std::string_view hash) const;

private:
    PrivateKey(std::shared_ptr<EVP_PKEY> key, KeyType type);
    static Result<PrivateKey> adopt(EVP_PKEY* key);

    std::shared_ptr<EVP_PKEY> key_;
    std::shared_ptr<EVP_PKEY_CTX> ready_;  // as in PublicKey, to sign
    KeyType type_;
    unsigned bits_;
};

}  // namespace postrider::mailauth::dkim
