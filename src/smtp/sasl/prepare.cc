#include "smtp/sasl/prepare.h"

#include <algorithm>
#include <cstdlib>
#include <memory>

#include <stringprep.h>

#include "mail/domain.h"

namespace postrider::smtp::sasl {

std::optional<std::string> prepare(std::string_view text) {
    if (text.empty() || text.size() > kSecretOctetsMax || text.contains('\0')) return std::nullopt;
    const bool plain = std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
    if (plain) return std::string(text);
    if (!is_utf8(text)) return std::nullopt;
    char* out = nullptr;
    const int error = stringprep_profile(std::string(text).c_str(), &out, "SASLprep",
                                         static_cast<Stringprep_profile_flags>(0));
    const std::unique_ptr<char, decltype(&std::free)> holder(out, &std::free);
    if (error != STRINGPREP_OK || out == nullptr || *out == '\0') return std::nullopt;
    return std::string(out);
}

}  // namespace postrider::smtp::sasl
