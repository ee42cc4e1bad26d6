// smtp/server_event.h: what a receiving session tells its driver.
//
// The driver pulls events with ServerSession::next(). Those marked "Answer" are questions: the
// session goes on when accept() or answer() was called. Views live until the next call of next() or
// the end of the input's buffer.
//
// Threads: values.
// RFC 5321 §3.1 (opening), §4.1.1 (commands), §4.5.3.2 (what is waited for); RFC 2033 §4.2; RFC
// 3207 §4.

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "mail/mailbox.h"
#include "smtp/command.h"
#include "smtp/reply.h"
#include "smtp/told_client.h"

namespace postrider::smtp {

namespace event {

// All input is used. Write the output, then read more.
struct NeedInput {};

// First event: may this client talk? Answer: accept() sends the 220; a 554 keeps the session open
// for QUIT only (RFC 5321 §3.1); a 421 closes.
struct Opened {};

// EHLO, HELO or LHLO. Answer: accept() sends the list of extensions. If it is accepted within a
// transaction, TransactionReset follows.
struct Hello {
    bool extended = false;  // EHLO or LHLO
    std::string_view name;  // domain or address literal, as given
};

// Answer. accept() or a 2yz opens the transaction.
struct MailFrom {
    ReversePath reverse_path;
    MailParameters parameters;
};

// Answer. accept() or a 2yz adds the recipient.
struct RcptTo {
    Mailbox mailbox;  // domain empty for <Postmaster>
    RcptParameters parameters;
};

// DATA, or the first BDAT of a message. Answer: accept() or a 354 and content follows; a refusal
// ends the transaction (after BDAT it is said when the chunk was swallowed).
struct DataRequested {
    bool chunked = false;  // by BDAT
};

// Content: dots removed, CRLF kept. Concatenated, the chunks are the message.
struct DataChunk {
    std::string_view content;
};

// A chunk is over and more are to come. Answer: accept() sends 250; a refusal ends the transaction.
struct ChunkEnded {
    uint64_t octets = 0;  // of content so far
};

// The message is whole. Answer: one reply, for LMTP one per accepted recipient in their order
// (answers_owed() says how many). The transaction is over.
struct DataEnded {
    uint64_t octets = 0;     // of content
    bool eight_bit = false;  // an octet above 127 was seen, whatever BODY said
};

// Content broke a rule: drop what was stored, if something was. The session swallows the rest (of
// the chunk) and gives this reply itself behind it. The transaction is over; no answer is owed.
struct DataSpoiled {
    Reply reply;
};

// RSET, or an accepted EHLO, within a transaction: forget the transaction. Answered already.
struct TransactionReset {};

// STARTTLS, with nothing behind it. Answer: accept() sends 220, and Handshake follows; a 454 says
// that TLS is not to be had now.
struct StartTls {};

// All input is used and nothing more must be read as commands: write the output, shake hands, then
// handle_secured(). If that fails, close the connection (RFC 3207 §4.1: there is no way back).
struct Handshake {};
// AUTH (RFC 4954). Answer: challenge() goes on with the exchange, accept() or a 2yz says that the
// client is who it claims to be, a refusal ends the exchange.
struct AuthBegun {
    std::string_view mechanism;          // one of those offered, as the client wrote it
    std::optional<std::string> initial;  // decoded
};

// What the client answers to a challenge, decoded. Answer: as AuthBegun.
struct AuthResponse {
    std::string octets;
};

// The client gave the exchange up, or its response was no base64, or too long. Answered already.
struct AuthCancelled {};

// VRFY. Answer: accept() sends 252.
struct Verify {
    std::string_view text;
};

// EXPN, of a client that may. Answer: a 250 with what stands behind the name, a 252 or a refusal.
struct Expand {
    std::string_view text;
};

// ETRN, of a client that may: RFC 1985 §5.1. Answer: 250 to 253, or 458 or 459.
struct QueueRun {
    std::string domain;
    bool below = false;  // and all domains below it
};

// XCLIENT: from now on the client is another one. Answer: accept() and the session begins anew with
// Opened, whose answer is the answer to the command; or a refusal.
struct ClientTold {
    ToldClient client;
};

// XFORWARD: who has handed the next message in, for the log. Answer: accept() sends 250.
struct ClientForwarded {
    ToldClient client;
};

enum class Reason : uint8_t {
    Quit,           // the client said QUIT
    NotSmtp,        // the client speaks HTTP
    TooManyErrors,  // errors_max or refusals_max
    TooManyIdle,    // idle_commands_max
    EarlyData,      // refuse_early_data
    EarlyTls,       // plaintext came behind STARTTLS
    EndlessData,    // content that was refused already went on without end
    ShutDown,       // shut_down(), or the driver answered 421
};

// Write the output and close. Every further next() says the same.
struct Closed {
    Reason reason = Reason::Quit;
};

}  // namespace event

using Event = std::variant<event::NeedInput, event::Opened, event::Hello, event::MailFrom,
                           event::RcptTo, event::DataRequested, event::DataChunk, event::DataEnded,
                           event::DataSpoiled, event::TransactionReset, event::AuthBegun,
                           event::AuthResponse, event::AuthCancelled, event::Verify, event::Expand,
                           event::QueueRun, event::ClientTold, event::ClientForwarded,
                           event::ChunkEnded, event::StartTls, event::Handshake, event::Closed>;

std::string_view text_of(event::Reason reason);

// Why the session waits: picks the deadline, and is said in the 421 when it passes.
enum class WaitingFor : uint8_t {
    Nothing,    // closed
    Decision,   // an answer is owed by the driver
    Command,    // the client's next command (RFC 5321 §4.5.3.2.7: at least 5 minutes)
    DataBlock,  // more content, or its end (the same 5 minutes)
    Handshake,  // the client's side of TLS
};
std::string_view text_of(WaitingFor waiting);

}  // namespace postrider::smtp
