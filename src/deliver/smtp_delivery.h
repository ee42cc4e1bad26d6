// deliver/smtp_delivery.h: gives a message to one next host over SMTP or LMTP.
//
// The driver of smtp/client_session.h: it connects, writes, reads and streams the content, with the
// RFC's deadline on every wait, and hands back what became of each recipient and what was said.
// Which host, how many connections and when to try again are decided by others.
//
// Promise
//   1. Every recipient of the job gets one result, or stands in `left` to be tried at once in a
//      next transaction; never both, never none.
//   2. A deadline belongs to one reply and is not moved by octets that trickle in.
//   3. A message that cannot be read to its end, or holds a bare CR, bare LF or NUL, is never ended
//      by the final dot: the connection is broken off.
//   4. A connection that was kept open and has died meanwhile costs no failure: the job starts anew
//      on a fresh one, if nothing of it was answered yet. So it is with one over which the peer
//      takes no more messages (421, or 452 4.5.3, to MAIL).
//   5. Memory per connection: its session, one block while it sends a message from a file (64 KiB),
//      and a bounded dialogue.
//
// Failure: all of it is in the results; nothing is thrown.
// Threads: a connection belongs to one shard and does one thing at a time. It must outlive its
// tasks; after a task was destroyed unfinished it can only be destroyed.
// RFC 5321 §4.5.3.2 (timeouts), §4.5.4.1 (sending strategy); RFC 2033 (LMTP).

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "mail/attempt.h"
#include "mail/content.h"
#include "mail/envelope.h"
#include "smtp/client_session.h"
#include "world/clock.h"
#include "world/net.h"

namespace postrider::deliver {

// A next host, and how we speak to it.
struct SmtpHost {
    world::Endpoint endpoint;
    std::optional<world::IpAddress> source;  // ours; of the endpoint's family
    std::string name;                        // of the host, for people; empty = the endpoint
    smtp::ClientMode mode = smtp::ClientMode::Smtp;
    std::string hello_name;  // our domain or address literal
    Duration connect_timeout = std::chrono::seconds(60);
    std::size_t recipients_max = kRecipientsMin;  // in one transaction
};

struct SmtpJob {
    std::shared_ptr<const Envelope> envelope;
    std::shared_ptr<ContentReader> content;
    std::vector<uint32_t> recipients;  // numbers, of one variant; at least one
};

struct SmtpAttempt {
    std::vector<RecipientResult> results;
    std::vector<uint32_t> left;  // numbers of those that fit into no more than a next transaction
    // No MAIL was answered: the host could not be reached, refused to talk or broke off. Another
    // host of the same destination may do better (RFC 5321 §5.1); the results hold if there is
    // none.
    bool try_next_host = false;
    // The outcome of some is unknown: they may be doubled by the next attempt.
    bool may_double = false;
    smtp::Transcript dialogue;  // with times; since the last attempt on this connection
};

class SmtpConnection {
public:
    // REQUIRES: net and clock outlive the connection.
    SmtpConnection(world::Net& net, world::Clock& clock, SmtpHost host);
    ~SmtpConnection();
    SmtpConnection(const SmtpConnection&) = delete;
    SmtpConnection& operator=(const SmtpConnection&) = delete;

    // One transaction; connects first if need be. Afterwards the connection is kept open, unless
    // it broke or the peer's limits are used up.
    Task<SmtpAttempt> send(SmtpJob job);

    // Says QUIT if the connection is open, waits shortly for the answer and closes.
    Task<void> close();

    // A next send() would use the connection that is there.
    bool is_open() const;

    const SmtpHost& host() const { return host_; }
    // Of the host, after a connection was made; null before.
    const smtp::Capabilities* capabilities() const;
    uint32_t transactions() const;  // on the connection that is there

private:
    struct ContentWriter;

    Task<std::optional<smtp::LocalReason>> connect();
    Task<SmtpAttempt> attempt(const SmtpJob& job);
    Task<smtp::TransactionRequest> request_for(const SmtpJob& job) const;
    Task<smtp::Action> run(const SmtpJob* job);
    Task<void> write(std::string_view bytes);
    Task<void> hear(smtp::action::NeedReply need);
    Task<void> stream_content(const SmtpJob& job);
    Task<bool> put(ContentWriter& writer, std::string_view chunk);
    Task<bool> flush(ContentWriter& writer);
    Task<void> broken(world::NetError error);

    Deadline deadline_for(smtp::ClientWait wait) const;
    SmtpAttempt failed(const SmtpJob& job, const smtp::TransactionResult& result);
    SmtpAttempt finished(const SmtpJob& job, std::vector<smtp::TransactionResult> results);

    world::Net& net_;
    world::Clock& clock_;
    SmtpHost host_;
    std::unique_ptr<world::Stream> stream_;
    std::optional<smtp::ClientSession> session_;
    bool died_unanswered_ = false;  // the last attempt ended before anything was answered
    bool used_up_ = false;          // in the last attempt the peer took no more over the connection
    uint32_t wait_number_ = 0;      // the reply that wait_deadline_ belongs to
    std::optional<Deadline> wait_deadline_;
    std::array<char, 2048> input_;
};

}  // namespace postrider::deliver
