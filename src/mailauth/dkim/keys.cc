#include "mailauth/dkim/keys.h"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

namespace postrider::mailauth::dkim {
namespace {

template <auto free_function>
struct FreeBy {
    template <typename T>
    void operator()(T* thing) const {
        free_function(thing);
    }
};
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, FreeBy<EVP_PKEY_CTX_free>>;
using DigestContext = std::unique_ptr<EVP_MD_CTX, FreeBy<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, FreeBy<BIO_free_all>>;

constexpr std::size_t kEd25519Octets = 32;
constexpr std::size_t kRsaOctetsMax = kRsaVerifyBitsMax / 8;
constexpr std::size_t kExponentOctetsMax = 8;

const unsigned char* octets_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

std::shared_ptr<EVP_PKEY> owned(EVP_PKEY* key) { return {key, EVP_PKEY_free}; }

// What went wrong last in OpenSSL, which is then forgotten.
std::string openssl_reason() {
    const unsigned long code = ERR_peek_last_error();
    const char* text = code ? ERR_reason_error_string(code) : nullptr;
    std::string reason = text ? text : "unknown reason";
    ERR_clear_error();
    return reason;
}

// One DER element at the front of `der`: takes it away and returns its content. Only short and
// definite lengths up to 65535 octets, which every key has.
std::optional<std::string_view> take(std::string_view& der, uint8_t tag) {
    if (der.size() < 2 || static_cast<uint8_t>(der[0]) != tag) return std::nullopt;
    std::size_t length = static_cast<uint8_t>(der[1]);
    std::size_t header = 2;
    if (length >= 0x80) {
        const std::size_t count = length & 0x7F;
        if (count == 0 || count > 2 || der.size() < 2 + count) return std::nullopt;
        length = 0;
        for (std::size_t i = 0; i < count; i++) {
            length = length << 8 | static_cast<uint8_t>(der[2 + i]);
        }
        header += count;
    }
    if (der.size() - header < length) return std::nullopt;
    const std::string_view content = der.substr(header, length);
    der.remove_prefix(header + length);
    return content;
}

constexpr uint8_t kSequence = 0x30, kInteger = 0x02, kBitString = 0x03, kObjectId = 0x06;
constexpr std::string_view kRsaEncryption = "\x2A\x86\x48\x86\xF7\x0D\x01\x01\x01";

struct RsaNumbers {
    std::string_view modulus, exponent;  // big-endian, without leading zeros
};

// A positive INTEGER without its leading zeros.
std::optional<std::string_view> take_number(std::string_view& der) {
    auto number = take(der, kInteger);
    if (!number || number->empty() || (number->front() & 0x80) != 0) return std::nullopt;
    number->remove_prefix(std::min(number->find_first_not_of('\0'), number->size()));
    if (number->empty()) return std::nullopt;
    return number;
}

// RFC 8017 §A.1.1: RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }
std::optional<RsaNumbers> read_numbers(std::string_view der) {
    auto content = take(der, kSequence);
    if (!content || !der.empty()) return std::nullopt;
    const auto modulus = take_number(*content);
    if (!modulus) return std::nullopt;
    const auto exponent = take_number(*content);
    if (!exponent || !content->empty()) return std::nullopt;
    return RsaNumbers{*modulus, *exponent};
}

// RFC 5280 §4.1: SubjectPublicKeyInfo; or what it holds, alone.
std::optional<RsaNumbers> read_rsa(std::string_view der) {
    if (const auto bare = read_numbers(der)) return bare;
    auto content = take(der, kSequence);
    if (!content || !der.empty()) return std::nullopt;
    auto algorithm = take(*content, kSequence);
    auto key = take(*content, kBitString);
    if (!algorithm || !key || !content->empty()) return std::nullopt;
    if (take(*algorithm, kObjectId) != kRsaEncryption) return std::nullopt;
    if (key->empty() || key->front() != 0) return std::nullopt;  // no unused bits
    return read_numbers(key->substr(1));
}

EVP_PKEY* make_rsa(const RsaNumbers& numbers) {
    // OpenSSL takes numbers in the machine's order, least significant octet first here.
    std::array<unsigned char, kRsaOctetsMax> modulus;
    std::array<unsigned char, kExponentOctetsMax> exponent;
    std::ranges::reverse_copy(numbers.modulus, modulus.begin());
    std::ranges::reverse_copy(numbers.exponent, exponent.begin());
    static_assert(std::endian::native == std::endian::little);
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_N, modulus.data(), numbers.modulus.size()),
        OSSL_PARAM_construct_BN(OSSL_PKEY_PARAM_RSA_E, exponent.data(), numbers.exponent.size()),
        OSSL_PARAM_construct_end()};
    const KeyContext context(EVP_PKEY_CTX_new_from_name(nullptr, "RSA", nullptr));
    EVP_PKEY* key = nullptr;
    if (!context || EVP_PKEY_fromdata_init(context.get()) != 1) return nullptr;
    if (EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_PUBLIC_KEY,
                          const_cast<OSSL_PARAM*>(parameters)) != 1) {
        return nullptr;
    }
    return key;
}

unsigned bits_of(EVP_PKEY* key, KeyType type) {
    return type == KeyType::Ed25519 ? 256 : static_cast<unsigned>(EVP_PKEY_get_bits(key));
}

// A context in which an RSA key is ready to verify or sign with SHA-256; null when it cannot be.
std::shared_ptr<EVP_PKEY_CTX> ready_rsa(EVP_PKEY* key, int (*begin)(EVP_PKEY_CTX*)) {
    KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, key, nullptr));
    if (!context || begin(context.get()) != 1 ||
        EVP_PKEY_CTX_set_rsa_padding(context.get(), RSA_PKCS1_PADDING) != 1 ||
        EVP_PKEY_CTX_set_signature_md(context.get(), evp_md(HashAlgorithm::Sha256)) != 1) {
        return nullptr;
    }
    return context;
}

// Of its own for each use: a context is for one thread, while copying one only reads it.
KeyContext copy_of(const std::shared_ptr<EVP_PKEY_CTX>& ready) {
    return KeyContext(ready ? EVP_PKEY_CTX_dup(ready.get()) : nullptr);
}

// Nobody is asked for a password.
int no_password(char*, int, int, void* asked) {
    *static_cast<bool*>(asked) = true;
    return -1;
}

}  // namespace

std::string_view name(KeyType type) { return type == KeyType::Rsa ? "rsa" : "ed25519"; }

PublicKey::PublicKey(std::shared_ptr<EVP_PKEY> key, KeyType type)
    : key_(std::move(key)),
      ready_(type == KeyType::Rsa ? ready_rsa(key_.get(), EVP_PKEY_verify_init) : nullptr),
      type_(type),
      bits_(bits_of(key_.get(), type)) {}

Result<PublicKey> PublicKey::rsa(std::string_view der) {
    const auto numbers = read_rsa(der);
    if (!numbers) return fail("p= is not an RSA public key");
    if (numbers->modulus.size() > kRsaOctetsMax) {
        return fail(fmt::format("the RSA key has more than {} bits", kRsaVerifyBitsMax));
    }
    // A verification takes as many steps as the exponent has bits: 65537 has 17.
    if (numbers->exponent.size() > kExponentOctetsMax) {
        return fail("the exponent of the RSA key has more than 64 bits");
    }
    EVP_PKEY* key = make_rsa(*numbers);
    if (!key) return fail("p= is not an RSA public key: " + openssl_reason());
    return PublicKey(owned(key), KeyType::Rsa);
}

Result<PublicKey> PublicKey::ed25519(std::string_view octets) {
    if (octets.size() != kEd25519Octets) {
        return fail(
            fmt::format("p= has {} octets, and an Ed25519 public key has 32", octets.size()));
    }
    EVP_PKEY* key =
        EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, octets_of(octets), octets.size());
    if (!key) return fail("p= is not an Ed25519 public key: " + openssl_reason());
    return PublicKey(owned(key), KeyType::Ed25519);
}

bool PublicKey::verifies(HashAlgorithm algorithm, std::string_view hash,
                         std::string_view signature) const {
    int verdict = 0;
    if (type_ == KeyType::Ed25519) {
        const DigestContext context(EVP_MD_CTX_new());
        verdict = context && EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr,
                                                  key_.get()) == 1
                      ? EVP_DigestVerify(context.get(), octets_of(signature), signature.size(),
                                         octets_of(hash), hash.size())
                      : 0;
    } else {
        const KeyContext context = copy_of(ready_);
        if (context && (algorithm == HashAlgorithm::Sha256 ||
                        EVP_PKEY_CTX_set_signature_md(context.get(), evp_md(algorithm)) == 1)) {
            verdict = EVP_PKEY_verify(context.get(), octets_of(signature), signature.size(),
                                      octets_of(hash), hash.size());
        }
    }
    if (verdict != 1) ERR_clear_error();
    return verdict == 1;
}

PrivateKey::PrivateKey(std::shared_ptr<EVP_PKEY> key, KeyType type)
    : key_(std::move(key)),
      ready_(type == KeyType::Rsa ? ready_rsa(key_.get(), EVP_PKEY_sign_init) : nullptr),
      type_(type),
      bits_(bits_of(key_.get(), type)) {}

Result<PrivateKey> PrivateKey::adopt(EVP_PKEY* key) {
    std::shared_ptr<EVP_PKEY> holder = owned(key);
    if (EVP_PKEY_is_a(key, "ED25519") == 1) return PrivateKey(holder, KeyType::Ed25519);
    if (EVP_PKEY_is_a(key, "RSA") != 1) {
        const char* kind = EVP_PKEY_get0_type_name(key);
        return fail(fmt::format("DKIM signs with RSA or Ed25519 keys; this one is {}",
                                kind ? kind : "of another kind"));
    }
    PrivateKey rsa(holder, KeyType::Rsa);
    // RFC 8301 §3.2
    if (rsa.bits() < kRsaBitsMin) {
        return fail(
            fmt::format("the RSA key has {} bits; receivers refuse less than 1024 and 2048 "
                        "is good practice",
                        rsa.bits()));
    }
    if (rsa.bits() > kRsaSignBitsMax) {
        return fail(fmt::format("the RSA key has {} bits; receivers need not take more than 4096",
                                rsa.bits()));
    }
    return rsa;
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
    constexpr std::size_t kPemOctetsMax = 64 * 1024;
    if (pem.size() > kPemOctetsMax) return fail("the file is too long for a private key");
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    bool password_asked = false;
    EVP_PKEY* key =
        bio ? PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, &password_asked) : nullptr;
    if (key) return adopt(key);
    if (password_asked) {
        ERR_clear_error();
        return fail("the private key is encrypted with a password; store it without one");
    }
    if (pem.find("-----BEGIN ") == std::string_view::npos) {
        ERR_clear_error();
        return fail("there is no PEM text (\"-----BEGIN PRIVATE KEY-----\")");
    }
    return fail("the PEM text holds no private key: " + openssl_reason());
}

Result<PrivateKey> PrivateKey::ed25519_from_seed(std::string_view octets) {
    if (octets.size() != kEd25519Octets) {
        return fail(fmt::format("an Ed25519 key has 32 octets, not {}", octets.size()));
    }
    EVP_PKEY* key =
        EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, octets_of(octets), octets.size());
    if (!key) return fail("not an Ed25519 key: " + openssl_reason());
    return adopt(key);
}

Result<PrivateKey> PrivateKey::generate_rsa(unsigned bits) {
    if (bits < kRsaBitsMin || bits > kRsaSignBitsMax) {
        return fail("an RSA key for DKIM has 1024 to 4096 bits");
    }
    EVP_PKEY* key = EVP_RSA_gen(bits);
    if (!key) return fail("no RSA key could be made: " + openssl_reason());
    return adopt(key);
}

Result<PrivateKey> PrivateKey::generate_ed25519() {
    EVP_PKEY* key = EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
    if (!key) return fail("no Ed25519 key could be made: " + openssl_reason());
    return adopt(key);
}

std::string PrivateKey::to_pem() const {
    const Bio bio(BIO_new(BIO_s_mem()));
    if (!bio || PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr,
                                              nullptr) != 1) {
        std::abort();  // a key that we hold can be written
    }
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return {text, static_cast<std::size_t>(size)};
}

std::string PrivateKey::public_octets() const {
    if (type_ == KeyType::Ed25519) {
        std::string octets(kEd25519Octets, '\0');
        std::size_t size = octets.size();
        if (EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(octets.data()),
                                        &size) != 1) {
            std::abort();
        }
        return octets;
    }
    unsigned char* der = nullptr;
    const int size = i2d_PUBKEY(key_.get(), &der);
    if (size <= 0) std::abort();
    std::string octets(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return octets;
}

Result<std::string> PrivateKey::sign(std::string_view hash) const {
    std::string signature(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())), '\0');
    auto* out = reinterpret_cast<unsigned char*>(signature.data());
    std::size_t size = signature.size();
    bool signed_it = false;
    if (type_ == KeyType::Ed25519) {
        const DigestContext context(EVP_MD_CTX_new());
        signed_it = context &&
                    EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
                    EVP_DigestSign(context.get(), out, &size, octets_of(hash), hash.size()) == 1;
    } else {
        const KeyContext context = copy_of(ready_);
        signed_it =
            context && EVP_PKEY_sign(context.get(), out, &size, octets_of(hash), hash.size()) == 1;
    }
    if (!signed_it) return fail("signing failed: " + openssl_reason());
    signature.resize(size);
    return signature;
}

}  // namespace postrider::mailauth::dkim
