// accounts/user.h: who may send, how they prove it, and what they may do.
//
// Threads: values.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::accounts {

// One password, as it is stored: never in the clear (password.h).
struct Credential {
    std::string label;   // of an app password; empty = the account's own
    std::string secret;  // "SCRAM-SHA-256$...", "$argon2id$...", "$y$..." and other crypt(3) forms
    friend bool operator==(const Credential&, const Credential&) = default;
};

// What an account may do; what is not set is as the configuration says.
struct Rights {
    // "user@example.org", "@example.org" for a whole domain, "*" for anything. Empty: the account's
    // own name, if it is an address.
    std::vector<std::string> send_as;
    std::optional<uint64_t> message_octets_max;
    std::optional<uint64_t> recipients_max;
    std::optional<uint64_t> messages_per_hour;

    bool may_send_as(std::string_view account, std::string_view address) const;
    friend bool operator==(const Rights&, const Rights&) = default;
};

struct User {
    std::string name;
    std::vector<Credential> credentials;
    Rights rights;
    bool disabled = false;
    friend bool operator==(const User&, const User&) = default;
};

// Names and addresses are one in any case of ASCII letters.
std::string folded(std::string_view name);

}  // namespace postrider::accounts
