// verdict/evidence.h: what SPF, DKIM and DMARC found about one message.
//
// Threads: values.
// RFC 7208, RFC 6376, RFC 9989; RFC 8601 §2.7 for the words.

#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mail/mailbox.h"
#include "mailauth/dkim/verifier.h"
#include "mailauth/dmarc/evaluation.h"
#include "mailauth/dmarc/report_row.h"
#include "mailauth/spf/evaluation.h"

namespace postrider::verdict {

struct Evidence {
    // Of MAIL FROM; nothing for a null reverse-path, for which HELO stands (RFC 7208 §2.4).
    std::optional<mailauth::spf::Finding> mail_from;
    mailauth::spf::Finding helo;
    mailauth::dkim::Report dkim;
    mailauth::dmarc::Finding dmarc;  // of the author that counts (RFC 9989 §11.5)
    mailauth::dmarc::Input dmarc_input;
    std::size_t questions = 0;  // asked for this message

    const mailauth::spf::Finding& spf() const { return mail_from ? *mail_from : helo; }
    bool has_signature() const { return !dkim.signatures.empty() || dkim.skipped > 0; }
};

// The Authentication-Results field: first of the trace (RFC 8601 §4). `applied`: what is done with
// this copy of the message because of DMARC.
std::string results_field(const Evidence& evidence, std::string_view authserv_id, AddressForm form,
                          mailauth::dmarc::Policy applied);

// "pass example.org" for each signature, at most a few; "none" without any. For logs.
std::string dkim_summary(const Evidence& evidence);

}  // namespace postrider::verdict
