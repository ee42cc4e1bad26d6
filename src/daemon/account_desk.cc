#include "daemon/account_desk.h"

#include <algorithm>
#include <array>

#include "accounts/dovecot_store.h"
#include "accounts/sql_store.h"

namespace postrider::daemon {

namespace {

constexpr std::size_t kSaltKeyOctets = 32;
constexpr uint64_t kKeysFileOctetsMax = 1024 * 1024;

}  // namespace

AccountDesk::AccountDesk(world::World& world, const Config& config, world::Sql* sql)
    : world_(world),
      sql_(sql),
      key_path_(config.data_directory + "/accounts.key"),
      gate_(std::make_shared<const accounts::Gate>()),
      last_use_(world, config.data_directory + "/accounts.used") {}

void AccountDesk::complain(const std::string& path, const std::string& reason) {
    world_.log.write(Event::AccountsUnusable, {{"path", path}, {"reason", reason}});
}

Task<Result<std::string>> AccountDesk::read(std::string path) {
    auto file = co_await world_.disk.open(path, world::OpenMode::Read);
    if (!file) co_return fail(file.error().message);
    auto size = co_await (*file)->size();
    if (!size) co_return fail(size.error().message);
    if (*size > kKeysFileOctetsMax) co_return fail("the file is too large");
    std::string text(*size, '\0');
    auto got = co_await (*file)->read_at(0, text);
    if (!got) co_return fail(got.error().message);
    text.resize(*got);
    co_return text;
}

// Without a disk that takes it, a key of this run: false salts change with the next start then.
Task<std::string> AccountDesk::salt_key() {
    auto kept = co_await read(key_path_);
    if (kept && kept->size() == kSaltKeyOctets) co_return std::move(*kept);
    std::string key(kSaltKeyOctets, '\0');
    world_.random.fill(std::as_writable_bytes(std::span(key)));
    auto file = co_await world_.disk.open(key_path_, world::OpenMode::Create);
    if (file) {
        std::array<std::string_view, 1> pieces{key};
        auto written = co_await (*file)->write_at(0, pieces);
        if (!written) complain(key_path_, written.error().message);
    } else {
        complain(key_path_, file.error().message);
    }
    co_return key;
}

std::shared_ptr<accounts::Store> AccountDesk::database_store(const AccountsConfig& wanted) {
    auto database = sql_
                        ? sql_->open(wanted.database)
                        : Result<std::shared_ptr<world::SqlDatabase>>(fail("there is no database"));
    if (!database) {
        complain(wanted.database.substr(0, wanted.database.find(':')), database.error().message);
        return nullptr;
    }
    const accounts::StoreSkills skills{.passwords = true, .scram_sha256 = wanted.database_scram};
    return std::make_shared<accounts::SqlStore>(world_, key_, std::move(*database),
                                                wanted.database_query, skills);
}

Task<void> AccountDesk::load(std::shared_ptr<const Config> config) {
    const AccountsConfig& wanted = config->accounts;
    const bool is_asked = std::ranges::any_of(config->listeners, [](const ListenerConfig& one) {
        return one.kind == ListenerConfig::Kind::Submission;
    });
    if (!is_asked) {
        // Nobody can log in; the operator may make accounts all the same.
        file_store_ = std::make_shared<accounts::FileStore>(world_, wanted.users_file, "");
        co_return;
    }
    if (key_.empty()) {
        key_ = co_await salt_key();
        co_await last_use_.load();
    }
    auto gate = std::make_shared<accounts::Gate>();
    if (!wanted.dovecot_socket.empty()) {
        file_store_.reset();
        gate->store = std::make_shared<accounts::DovecotStore>(world_, wanted.dovecot_socket);
    } else if (!wanted.database.empty()) {
        file_store_.reset();
        gate->store = database_store(wanted);
    } else {
        if (!file_store_ || users_path_ != wanted.users_file) {
            users_path_ = wanted.users_file;
            file_store_ = std::make_shared<accounts::FileStore>(world_, users_path_, key_);
        }
        auto store = file_store_;
        if (auto loaded = co_await store->load(); !loaded) {
            complain(wanted.users_file, loaded.error().message);
        }
        gate->store = std::move(store);
    }
    if (!wanted.token_keys_file.empty()) {
        auto pem = co_await read(wanted.token_keys_file);
        auto keys = pem ? smtp::sasl::TokenKeys::parse(*pem)
                        : Result<smtp::sasl::TokenKeys>(std::unexpected(pem.error()));
        if (keys) {
            gate->token_keys = std::move(*keys);
        } else {
            complain(wanted.token_keys_file, keys.error().message);
            gate->token_keys = gate_.load()->token_keys;
        }
    }
    gate->token_rules = {.issuer = wanted.token_issuer,
                         .audience = wanted.token_audience,
                         .identity_claim = wanted.token_claim};
    gate->failures.failures_max = static_cast<unsigned>(wanted.failures_max);
    gate->failures.shut_out = wanted.shut_out;
    gate->open_networks = wanted.open_networks;
    gate_.store(std::move(gate));
}

}  // namespace postrider::daemon
