// mailauth/spf/macro.h: macro strings of SPF: whether they are well formed, and what they become.
//
// A macro string stays a view into its record. It is checked once, when the record is read;
// expand() of what was checked cannot meet a syntax error.
//
// Invariants
//   1. Every part of an expansion comes from the record or from MacroValues; nothing is escaped but
//      by upper-case letters, so whoever uses the text decides what may stand in it.
//   2. A local-part that is not ASCII never becomes text: the term does not match (RFC 8616 §4).
//   3. Expansions are bounded by kExpansionOctetsMax.
//
// RFC 7208 §7. Threads: values and views.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "mailauth/ip_address.h"

namespace postrider::mailauth::spf {

inline constexpr std::size_t kExpansionOctetsMax = 4096;

enum class MacroPlace : uint8_t {
    DomainSpec,   // of a mechanism, "redirect" and "exp": must end like a domain
    MacroString,  // of an unknown modifier
    Explanation,  // the text behind "exp": spaces, and the letters c, r, t
};

// The error is half a sentence about `text`.
Status<> check_macros(std::string_view text, MacroPlace place);

// The letter occurs in a macro of checked text, in any case.
bool uses_letter(std::string_view checked, char letter);

struct MacroValues {
    std::string_view local_part;      // l, s; "postmaster" when the sender has none
    std::string_view sender_domain;   // o, s
    std::string_view domain;          // d: whose record is being evaluated
    std::string_view helo;            // h
    std::string_view receiver;        // r
    std::string_view validated_name;  // p: a validated name of the client, or "unknown"
    IpAddress client;                 // i, c, v
    int64_t unix_seconds = 0;         // t
};

// Nothing when the text uses a local-part that is not ASCII, or becomes too long.
// REQUIRES: check_macros() found no error in it.
std::optional<std::string> expand(std::string_view checked, const MacroValues& values);

}  // namespace postrider::mailauth::spf
