// Any text as a users file: what is taken can be written and read back as the same accounts.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "accounts/users_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    using namespace postrider::accounts;
    const auto file = UsersFile::parse({reinterpret_cast<const char*>(data), size});
    if (!file) {
        if (file.error().message.empty()) std::abort();
        return 0;
    }
    const auto again = UsersFile::parse(file->text());
    if (!again || again->users() != file->users()) std::abort();
    UsersFile other;
    for (const auto& [key, user] : file->users()) {
        // An account with app passwords only has no line for its rights.
        if (!user.credentials.front().label.empty()) continue;
        if (!other.put(user) || *other.find(user.name) != user) std::abort();
    }
    return 0;
}
