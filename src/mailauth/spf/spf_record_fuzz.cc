// Any octets as a record and as a macro string: what is taken can be expanded, within its bound,
// and every view of it lies inside the text.

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "mailauth/spf/macro.h"
#include "mailauth/spf/record.h"

namespace {

using namespace postrider::mailauth;
using namespace postrider::mailauth::spf;

void require(bool holds) {
    if (!holds) std::abort();
}

void require_inside(std::string_view text, std::string_view part) {
    if (part.empty()) return;
    require(part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    MacroValues values;
    values.local_part = "strong-bad";
    values.sender_domain = values.domain = "email.example.com";
    values.helo = "mx.example.org";
    values.validated_name = "unknown";
    for (const MacroPlace place :
         {MacroPlace::DomainSpec, MacroPlace::MacroString, MacroPlace::Explanation}) {
        if (!check_macros(text, place)) continue;
        const auto expanded = expand(text, values);
        require(!expanded || expanded->size() <= kExpansionOctetsMax);
        (void)uses_letter(text, 'p');
    }
    if (!is_spf_record(text)) return 0;
    const auto record = Record::parse(text);
    if (!record) {
        for (const char c : record.error().message) require(c >= ' ' && c <= '~');
        return 0;
    }
    for (const Directive& directive : record->directives) {
        require_inside(text, directive.text);
        require_inside(directive.text, directive.domain_spec);
        require(directive.cidr4 <= 32 && directive.cidr6 <= 128);
        (void)expand(directive.domain_spec, values);
    }
    require(!record->has_all || record->directives.back().mechanism == Mechanism::All);
    if (record->redirect) (void)expand(*record->redirect, values);
    if (record->explanation) (void)expand(*record->explanation, values);
    return 0;
}
