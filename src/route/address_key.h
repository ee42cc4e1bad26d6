// route/address_key.h: the form in which addresses are compared.
//
// The problem: John.Doe@Example.ORG and john.doe@example.org are one mailbox here, and so are the
// two spellings of an internationalised domain. Both parts are folded into a key before they are
// looked up.
//
// Domain: without case; a U-label becomes its A-label (RFC 5890 §2.3.2.1), an address literal
// stays. Local-part: RFC 5321 §2.4 leaves its case to us. Without ASCII case by default; octets
// above 127 are compared as they are. "postmaster" never has case (RFC 5321 §4.5.1).
//
// Threads: plain functions.

#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>

#include "base/limits.h"

namespace postrider::route {

enum class LocalPartCase : uint8_t {
    Folded,
    Kept
};

// The key of a local-part, on the stack. Longer than RFC 5321 allows: too_long() is true and
// nothing matches it.
class LocalKey {
public:
    LocalKey(std::string_view local_part, LocalPartCase mode);

    std::string_view view() const { return {octets_.data(), size_}; }
    bool too_long() const { return too_long_; }

private:
    std::array<char, kLocalPartOctetsMax> octets_;
    std::size_t size_ = 0;
    bool too_long_ = false;
};

bool is_ascii(std::string_view text);
std::string ascii_lower(std::string_view text);

// The key of a domain; nothing when it is no domain of RFC 5890 (only U-labels can fail).
std::optional<std::string> domain_key(std::string_view domain);

}  // namespace postrider::route
