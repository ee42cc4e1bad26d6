// receive/visit.h: what a session asks about its client, and where it pours a message.
//
// The problem: the receiving session swells in every mail server, because policy, look-ups and
// storage grow into it. Ours asks these questions and knows nothing of how they are answered.
// The daemon answers them by route, seal and spool; a test by a table.
//
// A refusal is the smtp::Reply that the client gets. Each question has one answer within the
// deadline that the answerer sets for itself; the session waits.
//
// Threads: a Visit and its Sink live on the session's shard.

#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/task.h"
#include "mail/envelope.h"
#include "smtp/reply.h"
#include "smtp/server_session.h"
#include "world/tls.h"

namespace postrider::receive {

// What the session learnt about the content while it flowed.
struct ContentFacts {
    uint64_t octets = 0;
    uint32_t header_octets = 0;  // with the empty line that ends it
    bool has_8bit = false;
};

// One message on its way in. Destroyed before finish() has accepted it, it leaves nothing behind.
class Sink {
public:
    virtual ~Sink() = default;

    virtual MessageId id() const = 0;

    // The header block has `header_octets`, the body begins at `body_begin` (mail/header.h), both
    // counted from the first octet of the content. Comes once, before the append() whose piece
    // holds the end, or before finish() when the content ends with it.
    virtual void header_ended(uint64_t header_octets, uint64_t body_begin) {
        (void)header_octets;
        (void)body_begin;
    }

    // Takes the next piece of content, header block first, in any cut. An error ends the message;
    // its reply is given after the final dot.
    virtual Task<Status<smtp::Reply>> append(std::string_view piece) = 0;

    // The final dot. When this accepts, the message is on stable storage: the COMMIT POINT lies
    // inside. One reply for all recipients; for LMTP one per recipient, in their order.
    virtual Task<std::vector<smtp::Reply>> finish(ContentFacts facts) = 0;
};

// How an AUTH exchange goes on.
struct AuthChallenge {
    std::string octets;
};
struct AuthDone {
    std::string account;  // whose it is from here on
};
using AuthStep = std::variant<AuthChallenge, AuthDone, smtp::Reply>;

// One client's session, as the house sees it. In the order in which the calls come:
// [secured], greet, (hello, [secured], (auth_begin, auth_respond...)..., (mail, rcpt..., data,
// reset)...)...
class Visit {
public:
    virtual ~Visit() = default;

    // May this client talk at all? A refusal (421, 554) is said in place of the greeting.
    virtual Task<Status<smtp::Reply>> greet() = 0;

    // The connection is under TLS now; what the client said before counts no more (RFC 3207 §4.2).
    // `tls` lives as long as the session: its facts, and channel bindings for whoever checks a
    // password by them. Comes before greet() where TLS comes first.
    virtual void secured(const world::TlsStream& tls) { (void)tls; }

    // The client named itself; `protocol` is the RFC 3848 keyword in force from here on.
    virtual void hello(std::string_view name, std::string_view protocol) = 0;

    // What the client may prove itself by; asked with each hello.
    virtual smtp::AuthOffer auth_offer() { return {}; }
    // RFC 4954. A reply refuses; a 421 ends the session. auth_cancelled() says that there will be
    // no response.
    virtual Task<AuthStep> auth_begin(std::string mechanism, std::optional<std::string> initial) {
        (void)mechanism;
        (void)initial;
        co_return AuthStep{smtp::Reply{504, EnhancedStatus{5, 5, 4}, "Not offered"}};
    }
    virtual Task<AuthStep> auth_respond(std::string response) {
        (void)response;
        co_return AuthStep{smtp::Reply{503, EnhancedStatus{5, 5, 1}, "No exchange goes on"}};
    }
    virtual void auth_cancelled() {}

    virtual Task<Status<smtp::Reply>> mail(smtp::event::MailFrom mail) = 0;
    virtual Task<Status<smtp::Reply>> rcpt(smtp::event::RcptTo rcpt) = 0;

    // The content of the transaction begins.
    virtual Task<Result<std::unique_ptr<Sink>, smtp::Reply>> data() = 0;

    // The transaction is over or abandoned: forget sender and recipients.
    virtual void reset() = 0;

    // A proxy has told that its client is another one (XCLIENT): greet() comes again.
    virtual void client_told(const ClientFacts& client) { (void)client; }
    // A filter has told who handed the next message in (XFORWARD), for the log.
    virtual void forwarded(std::string_view origin) { (void)origin; }

    // What a listed client asks. VRFY: 250 with the address, 252 or a refusal.
    virtual Task<smtp::Reply> verify(std::string text) {
        (void)text;
        co_return smtp::Reply{252, EnhancedStatus{2, 0, 0}, "cannot verify"};
    }
    // EXPN: 250 with a line for each address, 252 or a refusal.
    virtual Task<smtp::Reply> expand(std::string text) {
        (void)text;
        co_return smtp::Reply{252, EnhancedStatus{2, 0, 0}, "cannot expand"};
    }
    // ETRN: RFC 1985 §5.1. `below`: all domains below it too.
    virtual Task<smtp::Reply> run_queue(std::string domain, bool below) {
        (void)domain, (void)below;
        co_return smtp::Reply{458, EnhancedStatus{4, 3, 0}, "no queue is kept here"};
    }
};

// Opens a visit for each client of one listener.
class Host {
public:
    virtual ~Host() = default;
    virtual std::unique_ptr<Visit> visit(ClientFacts client) = 0;
};

}  // namespace postrider::receive
