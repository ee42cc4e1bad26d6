// smtp/transaction.h: one message to be sent to some recipients, and what became of each.
//
// The nouns between the pure client session and whoever drives it: what is wanted, what the peer
// cannot take (decided before anything is sent), and one result per recipient.
//
// Promise: a result says which command it answers and either bears the peer's reply or our own
// status and reason, never neither.
//
// Threads: values; replies are shared between results and never change.
// RFC 5321 §3.3, §4.1.1.2 to 4; RFC 1870 (SIZE), RFC 6152 (8BITMIME), RFC 6531 (SMTPUTF8),
// RFC 3030 (BINARYMIME), RFC 3461 §5.2.1 (DSN), RFC 2852 §4.1.4 (DELIVERBY), RFC 8689 §4.2.1;
// RFC 2033 §4.2 (LMTP); RFC 3463 (status codes).

#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mail/envelope.h"
#include "mail/mailbox.h"
#include "mail/outcome.h"
#include "smtp/capabilities.h"
#include "smtp/command.h"
#include "smtp/reply.h"

namespace postrider::smtp {

struct TransactionRequest {
    ReversePath reverse_path;
    std::vector<Recipient> recipients;    // at least one
    uint64_t content_octets = 0;          // as stored: CRLF counted, stuffed dots not
    BodyType body = BodyType::SevenBit;   // what the content is, whatever its client declared
    bool smtputf8 = false;                // content or addresses need it
    std::optional<DsnReturn> dsn_return;  // RFC 3461 §4.3; empty = not given
    std::string dsn_envid;                // RFC 3461 §4.4, as given
    int8_t priority = 0;                  // RFC 6710
    std::optional<DeliverBy> by;          // RFC 2852: what is left of it
    bool requiretls = false;              // RFC 8689
    // To a mailbox (LMTP), not to a further host: what only hosts on the way must know is no
    // obstacle.
    bool is_final_delivery = false;
};

// Which step a result belongs to.
enum class Stage : uint8_t {
    Connect,  // before the greeting; the session itself never says this
    Greeting,
    Hello,    // EHLO, LHLO, HELO
    Tls,      // STARTTLS and the handshake
    NotSent,  // decided by us before MAIL
    Mail,
    Rcpt,
    Data,     // the command, and the 354
    Content,  // while content was sent: it cannot have been accepted
    Final,    // the answer to the final dot
};
std::string_view text_of(Stage stage);

struct TransactionResult {
    enum class State : uint8_t {
        Accepted,  // the peer is responsible now
        Temporary,
        Permanent,
        NotTried,  // fits into no more than the next transaction: ask again, at once
    };
    State state = State::Temporary;
    Stage stage = Stage::NotSent;
    std::shared_ptr<const Reply> reply;  // what the peer said; null when it said nothing
    EnhancedStatus status;               // the peer's, or X.0.0 of its class, or ours
    std::string reason;                  // ours, when there is no reply
    // The final dot was sent and no answer came: the peer may have taken the message, so that
    // trying again may double it (RFC 5321 §4.5.3.2.6, RFC 1047).
    bool outcome_unknown = false;

    // "552 5.3.4 too big", or the reason; one line.
    std::string text() const;
};

// A reason of our own, in place of a reply.
struct LocalReason {
    EnhancedStatus status;  // klass 4 or 5 says whether trying again may help
    std::string text;

    friend bool operator==(const LocalReason&, const LocalReason&) = default;
};

// What of `request` the peer cannot take; empty = nothing. Sending it anyway would be refused or
// would break the message; what becomes of it is the caller's decision (the house bounces it).
std::optional<LocalReason> obstacle(const TransactionRequest& request, const Capabilities& peer);

// Appends "MAIL FROM:<...>" with the parameters that the peer offers and this message needs, CRLF.
void append_mail_command(std::string& out, const TransactionRequest& request,
                         const Capabilities& peer);
void append_rcpt_command(std::string& out, const Recipient& recipient,
                         const TransactionRequest& request, const Capabilities& peer);

// Whether the content goes by BDAT: only what DATA cannot carry does. REQUIRES: no obstacle().
inline bool goes_in_chunks(const TransactionRequest& request) {
    return request.body == BodyType::BinaryMime;
}

TransactionResult result_of(std::shared_ptr<const Reply> reply, Stage stage);  // 2yz, 4yz or 5yz
TransactionResult result_of(const LocalReason& reason, Stage stage);

}  // namespace postrider::smtp
