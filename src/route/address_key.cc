#include "route/address_key.h"

#include <idn2.h>

#include <algorithm>

namespace postrider::route {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

bool is_postmaster(std::string_view local_part) {
    return std::ranges::equal(local_part, std::string_view("postmaster"), {}, lower);
}

}  // namespace

LocalKey::LocalKey(std::string_view local_part, LocalPartCase mode) {
    if (local_part.size() > octets_.size()) {
        too_long_ = true;
        return;
    }
    size_ = local_part.size();
    if (mode == LocalPartCase::Folded || is_postmaster(local_part)) {
        std::ranges::transform(local_part, octets_.begin(), lower);
    } else {
        std::ranges::copy(local_part, octets_.begin());
    }
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](unsigned char c) { return c < 0x80; });
}

std::string ascii_lower(std::string_view text) {
    std::string out(text);
    std::ranges::transform(out, out.begin(), lower);
    return out;
}

std::optional<std::string> domain_key(std::string_view domain) {
    if (is_ascii(domain)) return ascii_lower(domain);
    std::string terminated(domain);
    if (terminated.find('\0') != std::string::npos) return std::nullopt;
    char* ascii = nullptr;
    // RFC 5891 §5: lookup of the A-label, non-transitional as browsers and registries do today.
    int status =
        idn2_to_ascii_8z(terminated.c_str(), &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (status != IDN2_OK) return std::nullopt;
    std::string key = ascii_lower(ascii);
    idn2_free(ascii);
    return key;
}

}  // namespace postrider::route
