#include "daemon/account_commands.h"

#include <algorithm>
#include <array>

#include "accounts/password.h"
#include "daemon/river.h"
#include "smtp/sasl/prepare.h"

namespace postrider::daemon {

namespace {

using accounts::Credential;
using accounts::User;
using accounts::UsersFile;
using admin::Json;

std::string word(const Json& args, const char* key) {
    auto found = args.find(key);
    return found != args.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::optional<uint64_t> count(const Json& args, const char* key) {
    auto found = args.find(key);
    if (found == args.end() || !found->is_number_unsigned()) return std::nullopt;
    return found->get<uint64_t>();
}

Result<std::shared_ptr<accounts::FileStore>> store_of(River& river) {
    auto store = river.accounts().file_store();
    if (!store) return fail("the accounts are not kept in a users file");
    return store;
}

Task<Result<std::string>> hash_on_worker(accounts::Scheme scheme, std::string password,
                                         std::string salt) {
    co_return accounts::hash(scheme, password, salt);
}

// The secret to store for the password in the arguments.
Task<Result<std::string>> secret_in(River& river, Json args) {
    const std::string name = args.value("scheme", "scram-sha-256");
    const auto scheme = accounts::scheme_named(name);
    if (!scheme) {
        co_return fail("\"" + name +
                       "\" is no scheme: scram-sha-256, scram-sha-1, argon2id, yescrypt or "
                       "sha512-crypt");
    }
    auto password = smtp::sasl::prepare(word(args, "password"));
    if (!password) co_return fail("the password is empty, too long, or not text");
    std::array<std::byte, 16> salt{};
    river.world().random.fill(salt);
    co_return co_await river.world().worker.run(hash_on_worker(
        *scheme, std::move(*password), {reinterpret_cast<const char*>(salt.data()), salt.size()}));
}

void log_change(River& river, const std::string& account, std::string_view command,
                const std::string& label) {
    river.world().log.write(Event::AccountChanged,
                            {{"account", account}, {"command", command}, {"label", label}});
}

Task<Result<Json>> account_add(River& river, Json args) {
    auto store = store_of(river);
    if (!store) co_return std::unexpected(store.error());
    auto secret = co_await secret_in(river, args);
    if (!secret) co_return std::unexpected(secret.error());
    User user{.name = word(args, "name"), .credentials = {{"", std::move(*secret)}}};
    for (const Json& pattern : args.value("send_as", Json::array())) {
        if (pattern.is_string()) user.rights.send_as.push_back(pattern.get<std::string>());
    }
    user.rights.recipients_max = count(args, "recipients_max");
    user.rights.messages_per_hour = count(args, "messages_per_hour");
    user.rights.message_octets_max = count(args, "message_octets_max");
    auto done = co_await (*store)->change([&](UsersFile& file) -> Status<Error> {
        if (file.find(user.name)) return fail(user.name + " is there already");
        return file.put(user);
    });
    if (!done) co_return std::unexpected(done.error());
    log_change(river, user.name, "add", "");
    co_return Json{{"account", user.name}};
}

// Sets, replaces or takes away one password of an account.
Status<Error> set_password(UsersFile& file, const std::string& name, const std::string& label,
                           const std::optional<std::string>& secret) {
    const User* found = file.find(name);
    if (!found) return fail("there is no account " + name);
    User user = *found;
    auto place = std::ranges::find(user.credentials, label, &Credential::label);
    if (!secret) {
        if (place == user.credentials.end()) return fail("there is no app password " + label);
        user.credentials.erase(place);
    } else if (place != user.credentials.end()) {
        place->secret = *secret;
    } else {
        user.credentials.push_back({label, *secret});
    }
    return file.put(user);
}

Task<Result<Json>> account_password(River& river, Json args) {
    auto store = store_of(river);
    if (!store) co_return std::unexpected(store.error());
    const std::string name = word(args, "name"), label = word(args, "app");
    const bool remove = args.value("remove", false);
    if (remove && label.empty()) co_return fail("say which app password: --app LABEL");
    std::optional<std::string> secret;
    if (!remove) {
        auto made = co_await secret_in(river, args);
        if (!made) co_return std::unexpected(made.error());
        secret = std::move(*made);
    }
    auto done = co_await (*store)->change(
        [&](UsersFile& file) { return set_password(file, name, label, secret); });
    if (!done) co_return std::unexpected(done.error());
    log_change(river, name, remove ? "password removed" : "password", label);
    co_return Json{{"account", name}, {"label", label}};
}

Task<Result<Json>> account_remove(River& river, Json args) {
    auto store = store_of(river);
    if (!store) co_return std::unexpected(store.error());
    const std::string name = word(args, "name");
    auto done = co_await (*store)->change([&](UsersFile& file) -> Status<Error> {
        if (!file.remove(name)) return fail("there is no account " + name);
        return {};
    });
    if (!done) co_return std::unexpected(done.error());
    log_change(river, name, "remove", "");
    co_return Json{{"account", name}};
}

std::string scheme_of(const std::string& secret) {
    if (auto keys = accounts::scram_keys_in(secret)) {
        return keys->hash == smtp::sasl::Hash::Sha1 ? "scram-sha-1" : "scram-sha-256";
    }
    const std::size_t begin = secret.find('$');
    return begin == std::string::npos
               ? "crypt"
               : secret.substr(begin + 1, secret.find('$', begin + 1) - begin - 1);
}

Task<Result<Json>> account_list(River& river, admin::Rows& rows) {
    auto store = store_of(river);
    if (!store) co_return std::unexpected(store.error());
    if (auto loaded = co_await (*store)->load(); !loaded) {
        co_return std::unexpected(loaded.error());
    }
    const auto users = (*store)->users();
    for (const auto& [key, user] : users->users()) {
        Json passwords = Json::array();
        for (const Credential& credential : user.credentials) {
            passwords.push_back(
                {{"label", credential.label},
                 {"scheme", scheme_of(credential.secret)},
                 {"last_use", river.accounts().last_use().of(user.name, credential.label)}});
        }
        Json row{{"account", user.name},
                 {"passwords", std::move(passwords)},
                 {"send_as", user.rights.send_as},
                 {"disabled", user.disabled}};
        if (auto written = co_await rows.write(std::move(row)); !written) {
            co_return std::unexpected(written.error());
        }
    }
    const accounts::StoreSkills skills = (*store)->skills();
    co_return Json{{"accounts", users->users().size()},
                   {"scram_sha_256", skills.scram_sha256},
                   {"scram_sha_1", skills.scram_sha1}};
}

}  // namespace

void add_account_commands(admin::Commands& commands, River& river) {
    commands["account add"] = [&river](Json args, admin::Rows&) {
        return account_add(river, std::move(args));
    };
    commands["account password"] = [&river](Json args, admin::Rows&) {
        return account_password(river, std::move(args));
    };
    commands["account remove"] = [&river](Json args, admin::Rows&) {
        return account_remove(river, std::move(args));
    };
    commands["account list"] = [&river](const Json&, admin::Rows& rows) {
        return account_list(river, rows);
    };
}

}  // namespace postrider::daemon
