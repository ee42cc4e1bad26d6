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
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/result.h"
#include "base/task.h"
#include "mail/envelope.h"
#include "smtp/reply.h"
#include "smtp/server_session.h"

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

    // Takes the next piece of content, header block first, in any cut. An error ends the message;
    // its reply is given after the final dot.
    virtual Task<Status<smtp::Reply>> append(std::string_view piece) = 0;

    // The final dot. When this accepts, the message is on stable storage: the COMMIT POINT lies
    // inside. One reply for all recipients; for LMTP one per recipient, in their order.
    virtual Task<std::vector<smtp::Reply>> finish(ContentFacts facts) = 0;
};

// One client's session, as the house sees it. In the order in which the calls come:
// greet, (hello, (mail, rcpt..., data, reset)...)...
class Visit {
public:
    virtual ~Visit() = default;

    // May this client talk at all? A refusal (421, 554) is said in place of the greeting.
    virtual Task<Status<smtp::Reply>> greet() = 0;

    // The client named itself; `protocol` is the RFC 3848 keyword in force from here on.
    virtual void hello(std::string_view name, std::string_view protocol) = 0;

    virtual Task<Status<smtp::Reply>> mail(smtp::event::MailFrom mail) = 0;
    virtual Task<Status<smtp::Reply>> rcpt(smtp::event::RcptTo rcpt) = 0;

    // The content of the transaction begins.
    virtual Task<Result<std::unique_ptr<Sink>, smtp::Reply>> data() = 0;

    // The transaction is over or abandoned: forget sender and recipients.
    virtual void reset() = 0;
};

// Opens a visit for each client of one listener.
class Host {
public:
    virtual ~Host() = default;
    virtual std::unique_ptr<Visit> visit(ClientFacts client) = 0;
};

}  // namespace postrider::receive
