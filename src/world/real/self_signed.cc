#include "world/real/self_signed.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <array>

#include "world/real/openssl_words.h"

namespace postrider::world::real {

namespace {

std::string text_of(BIO* bio) {
    char* text = nullptr;
    long length = BIO_get_mem_data(bio, &text);
    return {text, static_cast<std::size_t>(std::max(length, 0L))};
}

// A number that no other certificate of this subject has (RFC 5280 §4.1.2.2).
void draw_serial(X509* certificate) {
    std::array<unsigned char, 8> octets{};
    RAND_bytes(octets.data(), octets.size());
    uint64_t number = 0;
    for (unsigned char octet : octets) number = number << 8U | octet;
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), number >> 1U);
}

}  // namespace

Result<TlsCertificate> self_signed(const std::vector<std::string>& names, int days, KeyKind kind) {
    constexpr long kDaySeconds = 24L * 60 * 60;
    KeyRef key(kind == KeyKind::Rsa ? EVP_RSA_gen(2048) : EVP_EC_gen("P-256"));
    X509Ref certificate(X509_new());
    if (!key || !certificate) return fail("no key can be made: " + openssl_words());
    X509_set_version(certificate.get(), X509_VERSION_3);
    draw_serial(certificate.get());
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), kDaySeconds * days);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* subject = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(names.front().c_str()), -1,
                               -1, 0);
    X509_set_issuer_name(certificate.get(), subject);
    std::string list = fmt::format("DNS:{}", fmt::join(names, ",DNS:"));
    X509_EXTENSION* extension =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, list.c_str());
    if (!extension) return fail("no certificate can be made: " + openssl_words());
    X509_add_ext(certificate.get(), extension, -1);
    X509_EXTENSION_free(extension);
    if (X509_sign(certificate.get(), key.get(), EVP_sha256()) == 0) {
        return fail("no certificate can be made: " + openssl_words());
    }
    BioRef chain_pem(BIO_new(BIO_s_mem()));
    BioRef key_pem(BIO_new(BIO_s_mem()));
    PEM_write_bio_X509(chain_pem.get(), certificate.get());
    PEM_write_bio_PrivateKey(key_pem.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return TlsCertificate{"self-signed", text_of(chain_pem.get()), text_of(key_pem.get())};
}

}  // namespace postrider::world::real
