#include "accounts/kept_users.h"

#include <cstring>

#include "accounts/password.h"

namespace postrider::accounts {

namespace {

using smtp::sasl::Hash;
using smtp::sasl::ScramKeys;

constexpr uint32_t kFalseIterations = 15'000;  // of keys made by `postrider account`

// NAME/LABEL taken apart.
struct Login {
    std::string name;
    std::optional<std::string> label;
};
Login login_of(const std::string& user) {
    const std::size_t slash = user.find('/');
    if (slash == std::string::npos) return {user, std::nullopt};
    return {user.substr(0, slash), user.substr(slash + 1)};
}

struct Tried {
    bool fits = false;
    std::string label;
};

// On a worker. All are tried, whichever fits, so that the time says nothing of which.
Task<Tried> try_all(std::vector<Credential> credentials, std::string password) {
    Tried out;
    for (const Credential& credential : credentials) {
        if (fits(credential.secret, password) && !out.fits) out = {true, credential.label};
    }
    co_return out;
}

}  // namespace

std::string KeptUsers::keyed(std::string_view purpose, std::string_view user) const {
    std::string text(purpose);
    text += '\0';
    text += folded(user);
    return smtp::sasl::hmac(Hash::Sha256, key_, text);
}

ScramKeys KeptUsers::false_keys(std::string_view user, Hash hash, uint32_t iterations) const {
    const std::size_t octets = smtp::sasl::octets_of(hash);
    return {.hash = hash,
            .iterations = iterations,
            .salt = keyed("salt", user).substr(0, 16),
            .stored_key = keyed("stored key", user).substr(0, octets),
            .server_key = keyed("server key", user).substr(0, octets)};
}

Task<Result<std::optional<Proven>, StoreError>> KeptUsers::check_password(std::string user,
                                                                          std::string password) {
    const Login login = login_of(user);
    auto found = co_await fetch(login.name);
    if (!found) co_return std::unexpected(found.error());
    const bool exists = *found && !(*found)->disabled;
    std::optional<User> tried = *found;
    if (!tried) {
        uint64_t number = 0;
        std::memcpy(&number, keyed("decoy", login.name).data(), sizeof number);
        tried = co_await any_user(number);
    }
    std::vector<Credential> credentials = tried ? tried->credentials : std::vector<Credential>();
    if (login.label && exists) {
        std::erase_if(credentials,
                      [&](const Credential& other) { return other.label != *login.label; });
    }
    Tried result = co_await worker_.run(try_all(std::move(credentials), std::move(password)));
    if (!exists || !result.fits) co_return std::optional<Proven>();
    co_return Proven{(*found)->name, std::move(result.label), (*found)->rights};
}

Task<Result<KeysFound, StoreError>> KeptUsers::scram_keys(std::string user, Hash hash) {
    const Login login = login_of(user);
    auto found = co_await fetch(login.name);
    if (!found) co_return std::unexpected(found.error());
    const std::string label = login.label.value_or("");
    if (*found) {
        for (const Credential& credential : (*found)->credentials) {
            auto keys = scram_keys_in(credential.secret);
            if (credential.label != label || !keys || keys->hash != hash) continue;
            std::optional<Proven> whose;
            if (!(*found)->disabled) whose = Proven{(*found)->name, label, (*found)->rights};
            co_return KeysFound{std::move(*keys), std::move(whose)};
        }
    }
    co_return KeysFound{false_keys(user, hash, kFalseIterations), std::nullopt};
}

Task<Result<std::optional<Proven>, StoreError>> KeptUsers::find(std::string user) {
    auto found = co_await fetch(user);
    if (!found) co_return std::unexpected(found.error());
    if (!*found || (*found)->disabled) co_return std::optional<Proven>();
    co_return Proven{(*found)->name, "", (*found)->rights};
}

}  // namespace postrider::accounts
