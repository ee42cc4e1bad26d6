// mailauth/identifier.h: what SPF and DKIM found, in the form in which DMARC and reports need it.
//
// RFC 9989 §3.2.1, §5.3.3: per check the result, why, and the domain; for DKIM the selector too.
// Threads: values.

#pragma once

#include <string>

#include "mailauth/result_code.h"

namespace postrider::mailauth {

// Of the MAIL FROM identity, which for a null reverse-path is postmaster@HELO (RFC 9989 §3.2.4).
struct SpfIdentifier {
    ResultCode result = ResultCode::None;
    std::string domain;
    std::string reason;
};

// Of one signature.
struct DkimIdentifier {
    ResultCode result = ResultCode::None;
    std::string domain;    // d=
    std::string selector;  // s=
    std::string reason;
};

}  // namespace postrider::mailauth
