#include "accounts/user.h"

#include <algorithm>

namespace postrider::accounts {

std::string folded(std::string_view name) {
    std::string out(name);
    std::ranges::transform(out, out.begin(), [](char c) {
        return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
    });
    return out;
}

bool Rights::may_send_as(std::string_view account, std::string_view address) const {
    const std::string wanted = folded(address);
    if (send_as.empty()) return wanted == folded(account);
    return std::ranges::any_of(send_as, [&](const std::string& pattern) {
        if (pattern == "*") return true;
        const std::string known = folded(pattern);
        if (!known.starts_with('@')) return wanted == known;
        const std::size_t at = wanted.rfind('@');
        return at != std::string::npos && wanted.substr(at) == known;
    });
}

}  // namespace postrider::accounts
