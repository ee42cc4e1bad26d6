// mail/dsn.h: the values with which a sender says what reports it wants, in their written forms.
//
// They come with MAIL and RCPT, are kept as they were given, go on to a next host that understands
// them, and stand decoded in reports; so three rooms read and write them, by the rules here.
//
// An original recipient is kept as given: "type;xtext". Of the type "utf-8" there are three forms
// (RFC 6533 §3): with "\x{HEX}" for what is not ASCII (safe everywhere), the same with plain UTF-8
// allowed, and the bare address. What does not follow the forms is passed on unchanged.
//
// Failure: an empty optional, or false: not of the grammar. Threads: pure functions.
// RFC 3461 §4 (xtext, NOTIFY, ORCPT, ENVID), §5.4 (sizes), §6.3 (in reports); RFC 6533 §3.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "mail/envelope.h"
#include "mail/mailbox.h"

namespace postrider {

inline constexpr std::size_t kEnvidOctetsMax = 100;  // RFC 3461 §5.4
inline constexpr std::size_t kOrcptOctetsMax = 500;

// xtext = *( xchar / hexchar ); what it stands for, which may be any octets.
std::optional<std::string> decode_xtext(std::string_view text);
std::string encode_xtext(std::string_view octets);

// "NEVER", or a list of "SUCCESS", "FAILURE", "DELAY" in any case.
std::optional<DsnNotify> parse_notify(std::string_view text);
std::string text(const DsnNotify& notify);

// Whether `text` may stand as ENVID: xtext of printable ASCII, at most kEnvidOctetsMax octets.
bool is_envid(std::string_view text);

// Whether `text` may stand as ORCPT. `form`: Utf8 where SMTPUTF8 is offered.
bool is_orcpt(std::string_view text, AddressForm form);
// An ORCPT that names `mailbox`: "rfc822;" or "utf-8;".
std::string orcpt_of(const Mailbox& mailbox);
// The same ORCPT without octets above 127, for a host that has no SMTPUTF8.
std::string ascii_orcpt(std::string_view orcpt);
// For Original-Recipient in a report: "rfc822; a@b.example". With `form` Ascii nothing above 127
// is in it. Controls may be in it, if somebody encoded them: the caller makes it safe.
std::string report_of_orcpt(std::string_view orcpt, AddressForm form);

}  // namespace postrider
