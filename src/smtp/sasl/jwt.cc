#include "smtp/sasl/jwt.h"

#include <algorithm>
#include <optional>

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <nlohmann/json.hpp>

#include "smtp/sasl/base64.h"
#include "smtp/sasl/token.h"

namespace postrider::smtp::sasl {

namespace {

using Json = nlohmann::json;

constexpr std::size_t kKeysMax = 32;

template <typename T, auto kFree>
struct Free {
    void operator()(T* pointer) const { kFree(pointer); }
};
using Bio = std::unique_ptr<BIO, Free<BIO, BIO_free_all>>;
using Context = std::unique_ptr<EVP_MD_CTX, Free<EVP_MD_CTX, EVP_MD_CTX_free>>;
using EcSignature = std::unique_ptr<ECDSA_SIG, Free<ECDSA_SIG, ECDSA_SIG_free>>;

const unsigned char* octets(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

bool is_p256(EVP_PKEY* key) {
    char group[32] = {};
    std::size_t size = 0;
    return EVP_PKEY_base_id(key) == EVP_PKEY_EC &&
           EVP_PKEY_get_group_name(key, group, sizeof group, &size) == 1 &&
           std::string_view(group, size) == "prime256v1";
}

bool is_usable(EVP_PKEY* key) {
    if (EVP_PKEY_base_id(key) == EVP_PKEY_RSA) return EVP_PKEY_bits(key) >= 2048;
    return is_p256(key) || EVP_PKEY_base_id(key) == EVP_PKEY_ED25519;
}

// RFC 8725 §3.1: the algorithm must be the one of the key, whatever the token says.
std::string_view algorithm_of(EVP_PKEY* key) {
    switch (EVP_PKEY_base_id(key)) {
        case EVP_PKEY_RSA:
            return "RS256";
        case EVP_PKEY_EC:
            return "ES256";
        default:
            return "EdDSA";
    }
}

// RFC 7518 §3.4: r and s, 32 octets each, which OpenSSL wants as DER.
std::optional<std::string> as_der(std::string_view signature) {
    if (signature.size() != 64) return std::nullopt;
    const EcSignature pair(ECDSA_SIG_new());
    BIGNUM* r = BN_bin2bn(octets(signature), 32, nullptr);
    BIGNUM* s = BN_bin2bn(octets(signature) + 32, 32, nullptr);
    if (!pair || !r || !s || ECDSA_SIG_set0(pair.get(), r, s) != 1) {
        BN_free(r);
        BN_free(s);
        return std::nullopt;
    }
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(pair.get(), &der);
    if (size <= 0) return std::nullopt;
    std::string out(reinterpret_cast<char*>(der), static_cast<std::size_t>(size));
    OPENSSL_free(der);
    return out;
}

bool verify(EVP_PKEY* key, std::string_view signed_text, std::string_view signature) {
    std::string der;
    if (EVP_PKEY_base_id(key) == EVP_PKEY_EC) {
        auto converted = as_der(signature);
        if (!converted) return false;
        der = std::move(*converted);
        signature = der;
    }
    const EVP_MD* md = EVP_PKEY_base_id(key) == EVP_PKEY_ED25519 ? nullptr : EVP_sha256();
    const Context context(EVP_MD_CTX_new());
    const bool good = context &&
                      EVP_DigestVerifyInit(context.get(), nullptr, md, nullptr, key) == 1 &&
                      EVP_DigestVerify(context.get(), octets(signature), signature.size(),
                                       octets(signed_text), signed_text.size()) == 1;
    ERR_clear_error();
    return good;
}

std::optional<Json> parse_object(const std::optional<std::string>& text) {
    if (!text) return std::nullopt;
    Json json = Json::parse(*text, nullptr, false);
    if (!json.is_object()) return std::nullopt;
    return json;
}

// RFC 7519 §2: NumericDate, which may have a fraction.
std::optional<double> date(const Json& claims, const char* name) {
    const auto found = claims.find(name);
    if (found == claims.end() || !found->is_number()) return std::nullopt;
    return found->get<double>();
}

std::string text_claim(const Json& claims, const std::string& name) {
    const auto found = claims.find(name);
    return found != claims.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool has_audience(const Json& claims, const std::string& wanted) {
    const auto found = claims.find("aud");
    if (found == claims.end()) return false;
    if (found->is_array()) return std::ranges::find(*found, Json(wanted)) != found->end();
    return *found == Json(wanted);
}

Result<std::string> check_claims(const Json& claims, const TokenRules& rules,
                                 std::chrono::sys_seconds now) {
    const auto time = static_cast<double>(now.time_since_epoch().count());
    const auto leeway = static_cast<double>(rules.leeway.count());
    const auto expires = date(claims, "exp");
    if (!expires) return fail("the token does not say when it expires");
    if (time >= *expires + leeway) return fail("the token has expired");
    if (claims.contains("nbf") && time + leeway < date(claims, "nbf").value_or(1e18)) {
        return fail("the token is not valid yet");
    }
    if (!rules.issuer.empty() && text_claim(claims, "iss") != rules.issuer) {
        return fail("the token comes from another issuer");
    }
    if (!rules.audience.empty() && !has_audience(claims, rules.audience)) {
        return fail("the token is meant for another audience");
    }
    std::string identity = text_claim(claims, rules.identity_claim);
    if (identity.empty()) return fail("the token names no account");
    return identity;
}

// The next "PUBLIC KEY" of a PEM text, as DER; nothing at its end or where it is broken.
std::optional<std::string> next_block(BIO* bio) {
    char* name = nullptr;
    char* header = nullptr;
    unsigned char* data = nullptr;
    long size = 0;
    if (PEM_read_bio(bio, &name, &header, &data, &size) != 1) return std::nullopt;
    std::string out;
    if (std::string_view(name) == "PUBLIC KEY") {
        out.assign(reinterpret_cast<char*>(data), static_cast<std::size_t>(size));
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
    return out;
}

}  // namespace

class JwtReader {
public:
    static bool is_signed(std::string_view algorithm, std::string_view signed_text,
                          std::string_view signature, const TokenKeys& keys) {
        return std::ranges::any_of(keys.keys_, [&](const TokenKeys::Key& key) {
            return algorithm_of(key.get()) == algorithm &&
                   verify(key.get(), signed_text, signature);
        });
    }
};

Result<TokenKeys> TokenKeys::parse(std::string_view pem) {
    TokenKeys keys;
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    bool at_end = false;
    while (bio && !at_end) {
        auto block = next_block(bio.get());
        if (!block) {
            at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
            ERR_clear_error();
            break;
        }
        const unsigned char* at = octets(*block);
        EVP_PKEY* key = d2i_PUBKEY(nullptr, &at, static_cast<long>(block->size()));
        ERR_clear_error();
        if (key == nullptr) return fail("a block is not a public key");
        keys.keys_.emplace_back(key, EVP_PKEY_free);
        if (!is_usable(key)) {
            return fail("a key is neither RSA of 2048 bits or more, nor P-256, nor Ed25519");
        }
        if (keys.keys_.size() > kKeysMax) return fail("more than 32 keys");
    }
    if (keys.keys_.empty() || !at_end) return fail("not public keys in PEM");
    return keys;
}

Result<std::string> identity_of_token(std::string_view token, const TokenKeys& keys,
                                      const TokenRules& rules, std::chrono::sys_seconds now) {
    const std::size_t first = token.find('.');
    const std::size_t second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (token.size() > kTokenOctetsMax || second == std::string_view::npos ||
        token.find('.', second + 1) != std::string_view::npos) {
        return fail("not a signed JSON Web Token");
    }
    const auto header = parse_object(decode_base64url(token.substr(0, first)));
    const auto signature = decode_base64url(token.substr(second + 1));
    if (!header || !signature) return fail("not a signed JSON Web Token");
    // RFC 7515 §4.1.11: extensions that must be understood, and none is.
    if (header->contains("crit")) return fail("the token asks for an extension");
    if (!JwtReader::is_signed(text_claim(*header, "alg"), token.substr(0, second), *signature,
                              keys)) {
        return fail("no key made the token's signature");
    }
    const auto claims = parse_object(decode_base64url(token.substr(first + 1, second - first - 1)));
    if (!claims) return fail("the token's claims are not a JSON object");
    return check_claims(*claims, rules, now);
}

}  // namespace postrider::smtp::sasl
