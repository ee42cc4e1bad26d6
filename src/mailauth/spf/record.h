// mailauth/spf/record.h: the text of an SPF record as directives and modifiers.
//
// Promise: a Record is right in every term, as the record's own evaluation demands: one error
// anywhere in the text and there is no Record (RFC 7208 §4.6).
//
// A Record holds views: the text must outlive it and stay where it is.
//
// Failure: the error is half a sentence about the record that names the term and what to do.
// RFC 7208 §4.5, §4.6, §5, §6, §12. Threads: values and views.

#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mailauth/result_code.h"

namespace postrider::mailauth::spf {

enum class Mechanism : uint8_t {
    All,
    Include,
    A,
    Mx,
    Ptr,
    Ip4,
    Ip6,
    Exists,
};

struct Directive {
    Mechanism mechanism = Mechanism::All;
    ResultCode result = ResultCode::Pass;  // of a match: the qualifier
    uint8_t cidr4 = 32;                    // prefix lengths in bits
    uint8_t cidr6 = 128;
    std::array<uint8_t, 16> network{};  // of Ip4 (four octets) and Ip6
    std::string_view domain_spec;       // checked; empty: the domain of the record
    std::string_view text;              // the whole term, as written
};

struct Record {
    std::vector<Directive> directives;  // up to and with the first "all"; the rest is never reached
    bool has_all = false;               // then "redirect" means nothing (§5.1)
    std::optional<std::string_view> redirect;     // checked domain-specs
    std::optional<std::string_view> explanation;  // "exp"

    // REQUIRES: is_spf_record(text).
    static Result<Record> parse(std::string_view text);
};

// RFC 7208 §4.5: begins with the version, which a space or the end of the text ends.
bool is_spf_record(std::string_view text);

// The mechanism does look-ups, which are limited.
bool asks_dns(Mechanism mechanism);

}  // namespace postrider::mailauth::spf
