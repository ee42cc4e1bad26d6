#include "mailauth/dkim/digest.h"

#include <cstdlib>

#include <openssl/evp.h>

namespace postrider::mailauth::dkim {
namespace {

// Always on, in every build.
void require(bool holds) {
    if (!holds) std::abort();
}

const EVP_MD* fetch(const char* algorithm) {
    // Never freed: fetching costs a look-up under a lock, and the program needs it to its end.
    const EVP_MD* md = EVP_MD_fetch(nullptr, algorithm, nullptr);
    require(md != nullptr);
    return md;
}

}  // namespace

std::size_t digest_octets(HashAlgorithm algorithm) {
    return algorithm == HashAlgorithm::Sha1 ? 20 : 32;
}

std::string_view name(HashAlgorithm algorithm) {
    return algorithm == HashAlgorithm::Sha1 ? "sha1" : "sha256";
}

const EVP_MD* evp_md(HashAlgorithm algorithm) {
    static const EVP_MD* const sha1 = fetch("SHA1");
    static const EVP_MD* const sha256 = fetch("SHA256");
    return algorithm == HashAlgorithm::Sha1 ? sha1 : sha256;
}

void Digest::Free::operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }

Digest::Digest(HashAlgorithm algorithm) : context_(EVP_MD_CTX_new()), algorithm_(algorithm) {
    require(context_ && EVP_DigestInit_ex(context_.get(), evp_md(algorithm), nullptr) == 1);
}

Digest::Digest(const Digest& other) : context_(EVP_MD_CTX_new()), algorithm_(other.algorithm_) {
    require(context_ && EVP_MD_CTX_copy_ex(context_.get(), other.context_.get()) == 1);
}

void Digest::update(std::string_view octets) {
    require(EVP_DigestUpdate(context_.get(), octets.data(), octets.size()) == 1);
}

std::string Digest::finish() {
    std::string hash(digest_octets(algorithm_), '\0');
    unsigned size = 0;
    require(EVP_DigestFinal_ex(context_.get(), reinterpret_cast<unsigned char*>(hash.data()),
                               &size) == 1 &&
            size == hash.size());
    return hash;
}

}  // namespace postrider::mailauth::dkim
