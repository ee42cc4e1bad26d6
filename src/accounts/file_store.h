// accounts/file_store.h: accounts in the users file.
//
// The file is read as a whole and held in memory; load() reads it again. change() writes a new file
// beside the old one, syncs it, and puts it in its place, so that no crash leaves half of it.
//
// Threads: load() and change() from shard 0, the rest from any.

#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "accounts/kept_users.h"
#include "accounts/users_file.h"

namespace postrider::accounts {

class FileStore : public KeptUsers {
public:
    FileStore(world::World& world, std::string path, std::string key);

    // A file that is not there holds no accounts. After an error the accounts are as before.
    Task<Status<Error>> load();
    // Reads the file, lets `edit` change it, writes it. Nothing is written when `edit` fails.
    Task<Status<Error>> change(std::function<Status<Error>(UsersFile&)> edit);

    std::shared_ptr<const UsersFile> users() const { return users_.load(); }
    StoreSkills skills() const override;

protected:
    Task<Result<std::optional<User>, StoreError>> fetch(std::string name) override;
    Task<std::optional<User>> any_user(uint64_t number) override;

private:
    Task<Result<UsersFile>> read();
    Task<Status<Error>> write(std::string text);

    world::World& world_;
    std::string path_;
    std::atomic<std::shared_ptr<const UsersFile>> users_;
    std::atomic<StoreSkills> skills_;
    bool changing_ = false;
};

}  // namespace postrider::accounts
