#include "mailauth/dkim/header_data.h"

namespace postrider::mailauth::dkim {

void append_field(Canonicalization form, const HeaderField& field, std::string& data) {
    if (form == Canonicalization::Relaxed) {
        append_relaxed_field(field.name, field.value, data);
        data += "\r\n";
        return;
    }
    data += field.whole;
    if (!field.whole.ends_with('\n')) data += "\r\n";  // a block cut short
}

void append_signature_field(Canonicalization form, const HeaderField& field, std::size_t b_begin,
                            std::size_t b_end, std::string& data) {
    std::string value(field.value.substr(0, b_begin));
    value += field.value.substr(b_end);
    if (form == Canonicalization::Relaxed) {
        append_relaxed_field(field.name, value, data);
        return;
    }
    // With white space before the colon, as written.
    const auto before_value = static_cast<std::size_t>(field.value.data() - field.whole.data());
    data += field.whole.substr(0, before_value);
    data += value;
}

}  // namespace postrider::mailauth::dkim
