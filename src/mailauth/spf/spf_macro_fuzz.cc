// Any octets as a macro string with any values: what is taken is expanded within its bound, a
// string without macros stands for itself, and expanding in two halves at a border of pieces is the
// same.
//
// Input: local-part, domain and HELO, each up to a line end; then the string.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mailauth/domain.h"
#include "mailauth/spf/macro.h"

namespace {

using namespace postrider::mailauth;
using namespace postrider::mailauth::spf;

void require(bool holds) {
    if (!holds) std::abort();
}

std::string_view line_of(std::string_view& rest) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    return line;
}

void expand_both(std::string_view text, const MacroValues& values) {
    const auto whole = expand(text, values);
    require(!whole || whole->size() <= kExpansionOctetsMax);
    if (whole && text.find('%') == std::string_view::npos) require(*whole == text);
    // RFC 8616 §4.
    if (whole && !is_ascii(values.local_part)) {
        require(!uses_letter(text, 'l') && !uses_letter(text, 's'));
    }
    // Letters do not look at what stands around them. A "%" that begins a piece is behind an even
    // number of others, so a border is where both halves are right by themselves.
    const std::size_t middle = text.find('%', text.size() / 2);
    if (middle == std::string_view::npos || !whole) return;
    const std::string_view first = text.substr(0, middle), second = text.substr(middle);
    if (!check_macros(first, MacroPlace::Explanation) ||
        !check_macros(second, MacroPlace::Explanation)) {
        return;
    }
    const auto left = expand(first, values), right = expand(second, values);
    require(left && right && *left + *right == *whole);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    std::string_view rest(reinterpret_cast<const char*>(data), size);
    MacroValues values;
    values.local_part = line_of(rest);
    values.sender_domain = values.domain = line_of(rest);
    values.helo = line_of(rest);
    values.receiver = "mx.example.org";
    values.validated_name = "unknown";
    for (const char* const client : {"192.0.2.3", "2001:db8::cb01"}) {
        values.client = IpAddress::parse(client).value();
        for (const MacroPlace place :
             {MacroPlace::DomainSpec, MacroPlace::MacroString, MacroPlace::Explanation}) {
            const auto checked = check_macros(rest, place);
            if (checked) {
                expand_both(rest, values);
            } else {
                for (const char c : checked.error().message) require(c >= ' ' && c <= '~');
            }
        }
    }
    // A domain-spec is a macro-string, and that is an explanation (RFC 7208 §7.1).
    if (check_macros(rest, MacroPlace::DomainSpec)) {
        require(check_macros(rest, MacroPlace::MacroString).has_value());
    }
    if (check_macros(rest, MacroPlace::MacroString)) {
        require(check_macros(rest, MacroPlace::Explanation).has_value());
    }
    return 0;
}
