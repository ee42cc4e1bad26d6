#include "smtp/sasl/digest.h"

#include <cstdlib>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace postrider::smtp::sasl {
namespace {

// Always on, in every build.
void require(bool holds) {
    if (!holds) std::abort();
}

const EVP_MD* evp(Hash hash) { return hash == Hash::Sha1 ? EVP_sha1() : EVP_sha256(); }

unsigned char* octets(std::string& text) { return reinterpret_cast<unsigned char*>(text.data()); }
const unsigned char* octets(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

std::size_t octets_of(Hash hash) { return hash == Hash::Sha1 ? 20 : 32; }

std::string digest(Hash hash, std::string_view text) {
    std::string out(octets_of(hash), '\0');
    require(EVP_Digest(text.data(), text.size(), octets(out), nullptr, evp(hash), nullptr) == 1);
    return out;
}

std::string hmac(Hash hash, std::string_view key, std::string_view text) {
    std::string out(octets_of(hash), '\0');
    unsigned size = 0;
    require(HMAC(evp(hash), key.data(), static_cast<int>(key.size()), octets(text), text.size(),
                 octets(out), &size) != nullptr &&
            size == out.size());
    return out;
}

std::string pbkdf2(Hash hash, std::string_view password, std::string_view salt,
                   uint32_t iterations) {
    std::string out(octets_of(hash), '\0');
    require(PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), octets(salt),
                              static_cast<int>(salt.size()), static_cast<int>(iterations),
                              evp(hash), static_cast<int>(out.size()), octets(out)) == 1);
    return out;
}

bool equal_secrets(std::string_view a, std::string_view b) {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace postrider::smtp::sasl
