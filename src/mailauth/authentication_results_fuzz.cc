// Any octets as a field of others, and as values of ours: what is read is written again as the
// same, what is written is one field, and it claims its id.

#include <cstdint>
#include <cstdlib>

#include "mail/header.h"
#include "mailauth/authentication_results.h"

namespace {

using namespace postrider;
using namespace postrider::mailauth;

void require(bool holds) {
    if (!holds) std::abort();
}

void require_one_field(const std::string& field) {
    HeaderReader reader(field);
    const auto read = reader.next();
    require(read && read->whole.size() == field.size());
    require(field.ends_with("\r\n") && field.find('\0') == std::string::npos);
    for (std::size_t at = 0; at < field.size();) {
        const std::size_t end = field.find("\r\n", at);
        require(end != std::string::npos && end - at <= 998);
        require(field.find('\r', at) == end && field.find('\n', at) == end + 1);
        at = end + 2;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const std::string ids[] = {"example.org"};
    if (const auto read = AuthenticationResults::parse(text)) {
        const std::string own[] = {read->authserv_id};
        require(claims(text, own));
        require_one_field(
            authentication_results_field(read->authserv_id, read->results, AddressForm::Utf8));
    }
    (void)claims(text, ids);

    const std::size_t third = size / 3;
    const MethodResult result{"spf",
                              "pass",
                              std::string(text.substr(0, third)),
                              std::string(text.substr(third, third)),
                              {{"smtp", "mailfrom", std::string(text.substr(2 * third))}}};
    for (const AddressForm form : {AddressForm::Ascii, AddressForm::Utf8}) {
        const std::string field = authentication_results_field("example.org", {&result, 1}, form);
        require_one_field(field);
        const std::string_view value = std::string_view(field).substr(field.find(':') + 1);
        require(claims(value, ids));
        const auto again = AuthenticationResults::parse(value);
        require(again && again->results.size() == 1 && again->results[0].properties.size() == 1);
    }
    (void)claiming_fields(text, ids);
    return 0;
}
