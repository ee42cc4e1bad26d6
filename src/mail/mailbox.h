// mail/mailbox.h: an address of SMTP: Local-part "@" ( Domain / address-literal ).
//
// Parsed, never validated: who holds a Mailbox holds a correct one. The local-part is kept decoded
// (without quotes and quoted-pairs), so that "john"@a.example and john@a.example are equal; text()
// quotes again where the grammar asks for it.
//
// RFC 5321 §4.1.2, §4.1.3 (grammar), §4.5.3.1 (lengths: local-part 64, domain 255 octets, path
// 256); RFC 6531 §3.3 (UTF-8 in both parts when allowed). Threads: values.

#pragma once

#include <compare>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"

namespace postrider {

enum class AddressForm {
    Ascii,
    Utf8
};  // Utf8: RFC 6531 is in force for this transaction

struct Mailbox {
    std::string local_part;  // decoded; case kept
    std::string domain;  // lower case ASCII, U-labels kept as given; a literal keeps its brackets;
                         // empty only for a bare "postmaster" (RFC 5321 §4.1.1.3)

    // The whole text must be a Mailbox. The error is a sentence for a human.
    static Result<Mailbox> parse(std::string_view text, AddressForm form = AddressForm::Ascii);

    std::string text() const;  // local-part quoted if it must be
    bool is_ascii() const;
    bool is_postmaster() const;  // local-part "postmaster" in any case (RFC 5321 §4.5.1)

    friend auto operator<=>(const Mailbox&, const Mailbox&) = default;
};

// The reverse-path: a mailbox, or null (<>), as bounces have it.
struct ReversePath {
    std::optional<Mailbox> mailbox;

    bool is_null() const { return !mailbox; }
    std::string text() const { return mailbox ? mailbox->text() : std::string(); }  // no brackets
    friend auto operator<=>(const ReversePath&, const ReversePath&) = default;
};

}  // namespace postrider
