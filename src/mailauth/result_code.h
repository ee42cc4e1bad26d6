// mailauth/result_code.h: the words in which every method of authentication says what it found.
//
// SPF, DKIM, DMARC, ARC and the others of RFC 8601 share one vocabulary; which words a method may
// use is the method's matter.
//
// RFC 8601 §2.7. Threads: values.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace postrider::mailauth {

enum class ResultCode : uint8_t {
    None,       // nothing to check: no record, no signature
    Pass,       // true
    Fail,       // false, and the domain says so itself
    SoftFail,   // SPF: probably false
    Neutral,    // nothing is claimed; DKIM: could not be processed
    Policy,     // true, but not acceptable here
    TempError,  // not known for now
    PermError,  // the domain's records or the message cannot be understood
};

// As RFC 8601 writes it: "softfail", "temperror".
std::string_view name(ResultCode code);

// The code of that name; case does not matter.
std::optional<ResultCode> result_code(std::string_view name);

}  // namespace postrider::mailauth
