#include "accounts/file_store.h"

#include <algorithm>
#include <array>

#include "accounts/password.h"

namespace postrider::accounts {

namespace {

// SCRAM is offered only if it serves everybody: a program that sees it uses it, and an account
// without keys could not come in any more.
StoreSkills skills_of(const UsersFile& file) {
    auto all_have = [&](smtp::sasl::Hash hash) {
        return !file.users().empty() && std::ranges::all_of(file.users(), [&](const auto& entry) {
            return std::ranges::any_of(entry.second.credentials, [&](const Credential& credential) {
                auto keys = scram_keys_in(credential.secret);
                return keys && keys->hash == hash;
            });
        });
    };
    return {.passwords = true,
            .scram_sha1 = all_have(smtp::sasl::Hash::Sha1),
            .scram_sha256 = all_have(smtp::sasl::Hash::Sha256)};
}

}  // namespace

FileStore::FileStore(world::World& world, std::string path, std::string key)
    : KeptUsers(world.worker, std::move(key)),
      world_(world),
      path_(std::move(path)),
      users_(std::make_shared<const UsersFile>()),
      skills_(StoreSkills{.passwords = true}) {}

StoreSkills FileStore::skills() const { return skills_.load(); }

Task<Result<UsersFile>> FileStore::read() {
    auto file = co_await world_.disk.open(path_, world::OpenMode::Read);
    if (!file) {
        if (file.error().kind == world::DiskError::Kind::NotFound) co_return UsersFile();
        co_return fail(file.error().message);
    }
    auto size = co_await (*file)->size();
    if (!size) co_return fail(size.error().message);
    if (*size > kUsersFileOctetsMax) co_return fail(path_ + " is too large");
    std::string text(*size, '\0');
    auto got = co_await (*file)->read_at(0, text);
    if (!got) co_return fail(got.error().message);
    text.resize(*got);
    auto parsed = UsersFile::parse(text);
    if (!parsed) co_return fail(path_ + ": " + parsed.error().message);
    co_return parsed;
}

Task<Status<Error>> FileStore::load() {
    auto file = co_await read();
    if (!file) co_return std::unexpected(file.error());
    skills_.store(skills_of(*file));
    users_.store(std::make_shared<const UsersFile>(std::move(*file)));
    co_return Status<Error>{};
}

Task<Status<Error>> FileStore::write(std::string text) {
    const std::string fresh = path_ + ".new";
    auto removed = co_await world_.disk.remove(fresh);
    if (!removed && removed.error().kind != world::DiskError::Kind::NotFound) {
        co_return fail(removed.error().message);
    }
    auto file = co_await world_.disk.open(fresh, world::OpenMode::CreateNew);
    if (!file) co_return fail(file.error().message);
    std::array<std::string_view, 1> pieces{text};
    auto done = co_await (*file)->write_at(0, pieces);
    if (done) done = co_await (*file)->sync();
    if (done) done = co_await world_.disk.rename(fresh, path_);
    const std::size_t slash = path_.rfind('/');
    if (done)
        done =
            co_await world_.disk.sync_directory(path_.substr(0, std::max<std::size_t>(slash, 1)));
    if (!done) co_return fail(done.error().message);
    co_return Status<Error>{};
}

Task<Status<Error>> FileStore::change(std::function<Status<Error>(UsersFile&)> edit) {
    if (changing_) co_return fail("another change of the accounts is going on");
    changing_ = true;
    auto file = co_await read();
    Status<Error> done;
    if (!file) done = std::unexpected(file.error());
    if (done) done = edit(*file);
    if (done) done = co_await write(file->text());
    if (done) {
        skills_.store(skills_of(*file));
        users_.store(std::make_shared<const UsersFile>(std::move(*file)));
    }
    changing_ = false;
    co_return done;
}

Task<Result<std::optional<User>, StoreError>> FileStore::fetch(std::string name) {
    const auto users = users_.load();
    const User* user = users->find(name);
    co_return user ? std::optional<User>(*user) : std::nullopt;
}

Task<std::optional<User>> FileStore::any_user(uint64_t number) {
    const auto users = users_.load();
    if (users->users().empty()) co_return std::nullopt;
    auto at = users->users().begin();
    std::advance(at, static_cast<std::ptrdiff_t>(number % users->users().size()));
    co_return at->second;
}

}  // namespace postrider::accounts
