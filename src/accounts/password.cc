#include "accounts/password.h"

#include <argon2.h>
#include <crypt.h>

#include <algorithm>
#include <memory>

#include "smtp/sasl/digest.h"

namespace postrider::accounts {

namespace {

using smtp::sasl::Hash;
using smtp::sasl::ScramKeys;

constexpr std::size_t kSecretTextMax = 1024;
// What a login may cost the server: some 10 ms for SCRAM, some 50 ms and 64 MiB for argon2id.
constexpr uint32_t kScramIterations = 15'000;
constexpr uint32_t kArgonPasses = 3, kArgonKiB = 64 * 1024, kArgonLanes = 1;
// Beyond this a stored hash would be a way to bring the server down.
constexpr uint32_t kArgonKiBTakenMax = 1024 * 1024;

std::string_view without_scheme(std::string_view secret) {
    if (!secret.starts_with('{')) return secret;
    const std::size_t end = secret.find('}');
    return end == std::string_view::npos ? secret : secret.substr(end + 1);
}

bool is_argon2(std::string_view secret) { return secret.starts_with("$argon2"); }

// "m=65536" of "$argon2id$v=19$m=65536,t=3,p=1$..."
bool is_bearable_argon2(const std::string& secret) {
    const std::size_t at = secret.find("$m=");
    return at != std::string::npos &&
           std::strtoul(secret.c_str() + at + 3, nullptr, 10) <= kArgonKiBTakenMax;
}

// Empty where the form is unknown.
std::string crypted(const std::string& password, const std::string& setting) {
    auto data = std::make_unique<crypt_data>();
    const char* out = crypt_r(password.c_str(), setting.c_str(), data.get());
    if (out == nullptr || out[0] == '*') return {};
    return out;
}

Result<std::string> crypt_hash(const char* prefix, std::string_view password,
                               std::string_view salt) {
    char setting[CRYPT_GENSALT_OUTPUT_SIZE] = {};
    if (crypt_gensalt_rn(prefix, 0, salt.data(), static_cast<int>(salt.size()), setting,
                         sizeof setting) == nullptr) {
        return fail("the system's crypt does not know this scheme");
    }
    std::string out = crypted(std::string(password), setting);
    if (out.empty()) return fail("the system's crypt failed");
    return out;
}

}  // namespace

std::optional<Scheme> scheme_named(std::string_view name) {
    if (name == "scram-sha-256") return Scheme::ScramSha256;
    if (name == "scram-sha-1") return Scheme::ScramSha1;
    if (name == "argon2id") return Scheme::Argon2id;
    if (name == "yescrypt") return Scheme::Yescrypt;
    if (name == "sha512-crypt") return Scheme::Sha512Crypt;
    return std::nullopt;
}

bool is_secret(std::string_view text) {
    if (text.size() > kSecretTextMax) return false;
    const std::string secret(without_scheme(text));
    if (secret.starts_with("SCRAM-")) return ScramKeys::parse(secret).has_value();
    if (is_argon2(secret)) return is_bearable_argon2(secret);
    // DES and other forms without "$" are too weak to be taken up.
    const int state =
        secret.starts_with('$') ? crypt_checksalt(secret.c_str()) : CRYPT_SALT_INVALID;
    return secret.size() > 12 && (state == CRYPT_SALT_OK || state == CRYPT_SALT_METHOD_LEGACY);
}

std::optional<ScramKeys> scram_keys_in(std::string_view secret) {
    return ScramKeys::parse(without_scheme(secret));
}

bool fits(std::string_view text, std::string_view password) {
    const std::string secret(without_scheme(text));
    if (auto keys = ScramKeys::parse(secret)) return keys->knows(password);
    if (is_argon2(secret)) {
        if (!is_bearable_argon2(secret)) return false;
        const argon2_type type = secret.starts_with("$argon2id$")  ? Argon2_id
                                 : secret.starts_with("$argon2i$") ? Argon2_i
                                                                   : Argon2_d;
        return argon2_verify(secret.c_str(), password.data(), password.size(), type) == ARGON2_OK;
    }
    const std::string out = crypted(std::string(password), secret);
    return !out.empty() && smtp::sasl::equal_secrets(out, secret);
}

Result<std::string> hash(Scheme scheme, std::string_view password, std::string_view salt) {
    switch (scheme) {
        case Scheme::ScramSha256:
            return ScramKeys::from_password(Hash::Sha256, password, salt, kScramIterations).text();
        case Scheme::ScramSha1:
            return ScramKeys::from_password(Hash::Sha1, password, salt, kScramIterations).text();
        case Scheme::Argon2id: {
            std::string out(256, '\0');
            const int error = argon2id_hash_encoded(kArgonPasses, kArgonKiB, kArgonLanes,
                                                    password.data(), password.size(), salt.data(),
                                                    salt.size(), 32, out.data(), out.size());
            if (error != ARGON2_OK) return fail(argon2_error_message(error));
            out.resize(out.find('\0'));
            return out;
        }
        case Scheme::Yescrypt:
            return crypt_hash("$y$", password, salt);
        case Scheme::Sha512Crypt:
            return crypt_hash("$6$", password, salt);
    }
    return fail("no such scheme");
}

}  // namespace postrider::accounts
