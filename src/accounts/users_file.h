// accounts/users_file.h: accounts in a text file, one line for each password.
//
//     # a comment
//     alice@example.org secret=SCRAM-SHA-256$15000:...  send_as=alice@example.org,@example.net
//     alice@example.org app=phone secret=$argon2id$v=19$...
//     printer@example.org secret=$y$j9T$... messages_per_hour=50 disabled
//
// Words are separated by blanks. The first is the account's name; the others are key=value, in any
// order. What an account may do (send_as, message_octets_max, recipients_max, messages_per_hour,
// disabled) stands on the line of its own password; a line with app= is an app password.
//
// Promise: lines of accounts that are not changed, and comments, stay as they are.
// Threads: values. Failure: Error with the number of the line. docs/accounts.md.

#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "accounts/user.h"
#include "base/result.h"

namespace postrider::accounts {

inline constexpr std::size_t kUsersFileOctetsMax = 64 * 1024 * 1024;
inline constexpr std::size_t kAppPasswordsMax = 50;  // of one account

class UsersFile {
public:
    static Result<UsersFile> parse(std::string_view text);
    std::string text() const;

    const User* find(std::string_view name) const;
    const std::map<std::string, User>& users() const { return users_; }  // by folded name

    // Replaces the account of that name, or adds it at the end.
    Status<Error> put(const User& user);
    bool remove(std::string_view name);

private:
    struct Line {
        std::string text;
        std::string key;  // folded name; empty: a comment
    };
    std::vector<Line> lines_;
    std::map<std::string, User> users_;
};

// Lines of one account, each with its LF.
std::string lines_of(const User& user);

}  // namespace postrider::accounts
