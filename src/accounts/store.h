// accounts/store.h: where accounts are kept, behind one interface.
//
// A store either has the stored secrets (a file, a database), so that they are held against what
// the client says here, or it only says yes or no (another program). What it can verify decides
// which mechanisms are offered.
//
// Promise: about an account that does not exist a store answers as late as about one that does, and
// with the same false salt each time.
// Threads: from any shard. Failure: StoreError is passing (454): the store cannot be asked now.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "accounts/user.h"
#include "base/result.h"
#include "base/task.h"
#include "smtp/sasl/scram.h"

namespace postrider::accounts {

struct StoreError {
    std::string message;  // for the log
};

// What a store can verify.
// Of four octets, so that it can be exchanged in one step.
struct alignas(4) StoreSkills {
    bool passwords = false;
    bool scram_sha1 = false;  // every account has keys of this hash
    bool scram_sha256 = false;
};

// Who it is, and by which of its passwords.
struct Proven {
    std::string account;
    std::string label;  // of an app password; empty = the account's own
    Rights rights;
};

struct KeysFound {
    smtp::sasl::ScramKeys keys;  // false ones where there is no such account
    std::optional<Proven> whose;
};

class Store {
public:
    virtual ~Store() = default;

    virtual StoreSkills skills() const = 0;
    // Nothing: there is no such account, or it is not its password. The user may be written as
    // NAME/LABEL, which means that app password only.
    virtual Task<Result<std::optional<Proven>, StoreError>> check_password(
        std::string user, std::string password) = 0;
    // REQUIRES: skills() say that it can.
    virtual Task<Result<KeysFound, StoreError>> scram_keys(std::string user,
                                                           smtp::sasl::Hash hash) = 0;
    // For who has proved itself otherwise (a certificate, a token). Nothing: no such account.
    virtual Task<Result<std::optional<Proven>, StoreError>> find(std::string user) = 0;
};

}  // namespace postrider::accounts
