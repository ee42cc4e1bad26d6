// mail/domain.h: the part behind the "@": a domain name, or an address literal.
//
// Domain = sub-domain *("." sub-domain): letters, digits and inner hyphens, labels of at most 63
// octets, at most 255 in all, no final dot. Literals are IPv4 and IPv6; a General-address-literal
// is refused, since no such tag was ever registered.
//
// RFC 5321 §4.1.2, §4.1.3, §4.5.3.1.2; RFC 6531 §3.3 (U-labels: any UTF-8 above ASCII).
// Threads: pure functions.

#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mail/mailbox.h"

namespace postrider {

// The whole text must be a Domain. Result: in lower case (ASCII only; U-labels as given).
Result<std::string> parse_domain(std::string_view text, AddressForm form = AddressForm::Ascii);

// The whole text must be a literal with its brackets. Result: "[192.0.2.1]" or
// "[IPv6:2001:db8::1]", hexadecimal digits in lower case.
Result<std::string> parse_address_literal(std::string_view text);

// RFC 5321 §4.1.3: Snum 3("." Snum), and IPv6-addr. The whole text, without brackets and tag.
bool is_ipv4_address(std::string_view text);
bool is_ipv6_address(std::string_view text);

// A name with its U-labels as A-labels, as the DNS has it; ASCII and literals as they are. Nothing
// when a label is none of RFC 5890.
std::optional<std::string> ascii_domain(std::string_view domain);

// RFC 3629 §4: well-formed UTF-8, without surrogates and overlong forms.
bool is_utf8(std::string_view text);

}  // namespace postrider
