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
//      by the final dot: the connection is broken off. (BINARYMIME goes by BDAT, as it is.)
//   4. A connection that was kept open and has died meanwhile costs no failure: the job starts anew
//      on a fresh one, if nothing of it was answered yet. So it is with one over which the peer
//      takes no more (421 to MAIL; 452 4.5.3 to MAIL, or to every RCPT, unless the job goes on with
//      a message).
//   5. Nothing of a message goes out in plaintext unless the host's TlsPolicy allows it. Where TLS
//   is
//      opportunistic and a handshake fails, plaintext is tried once over a fresh connection, and
//      the dialogue says so; it also says what was decided, and what TLS came of it.
//   6. Memory per connection: its session, one block while it sends a message from a file (64 KiB),
//      and a bounded dialogue.
//
// Failure: all of it is in the results; nothing is thrown.
// Threads: a connection belongs to one shard and does one thing at a time. It must outlive its
// tasks; after a task was destroyed unfinished it can only be destroyed.
// RFC 5321 §4.5.3.2 (timeouts), §4.5.4.1 (sending strategy); RFC 2033 (LMTP); RFC 3030 (BDAT);
// RFC 6531 §3.2 (a message that needs no UTF-8 goes to a host without SMTPUTF8).

#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "deliver/tls_policy.h"
#include "mail/attempt.h"
#include "mail/content.h"
#include "mail/envelope.h"
#include "smtp/client_session.h"
#include "smtp/sasl/client_exchange.h"
#include "world/clock.h"
#include "world/net.h"
#include "world/random.h"
#include "world/tls.h"
#include "world/worker.h"

namespace postrider::deliver {

// How we prove who we are to a next host.
struct SmtpLogin {
    std::string user;
    std::string password;
    world::Random* random = nullptr;  // for nonces
    world::Worker* worker = nullptr;  // for what costs time
};

// Whether and how a connection is put under TLS.
struct SmtpSecurity {
    TlsPolicy policy;
    std::string name;           // of the host, for SNI; empty = none
    world::Tls* tls = nullptr;  // not null where the policy is not Off
    std::shared_ptr<const world::TlsClientContext> context;
};

// A next host, and how we speak to it.
struct SmtpHost {
    world::Endpoint endpoint;
    std::optional<world::IpAddress> source;  // ours; of the endpoint's family
    std::string name;                        // of the host, for people; empty = the endpoint
    smtp::ClientMode mode = smtp::ClientMode::Smtp;
    std::string hello_name;  // our domain or address literal
    Duration connect_timeout = std::chrono::seconds(60);
    std::size_t recipients_max = kRecipientsMin;  // in one transaction
    SmtpSecurity security;
    std::optional<SmtpLogin> login;  // nothing is sent without it
    // An 8-bit message that is not signed is encoded for a host without 8BITMIME (seven_bit.h).
    bool convert_8bit = false;
};

struct SmtpJob {
    std::shared_ptr<const Envelope> envelope;
    std::shared_ptr<ContentReader> content;
    std::vector<uint32_t> recipients;     // numbers, of one variant; at least one
    uint64_t header_octets = UINT64_MAX;  // of the content; more than there is = unknown
    bool is_continued = false;            // results of the same message are not settled yet
};

struct SmtpAttempt {
    std::vector<RecipientResult> results;
    std::vector<uint32_t> left;  // numbers of those that fit into no more than a next transaction
    // No MAIL was answered: the host could not be reached, refused to talk or broke off. Another
    // host of the same destination may do better (RFC 5321 §5.1); the results hold if there is
    // none.
    bool try_next_host = false;
    // Numbers of those whom this host, or a connection that broke, put off without having taken the
    // message: another host may take it now (RFC 5321 §5.1).
    std::vector<uint32_t> put_off;
    // The outcome of some is unknown: they may be doubled by the next attempt.
    bool may_double = false;
    // Why TLS failed, where plaintext was used instead.
    std::string fell_back;
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

    Task<std::optional<SmtpAttempt>> open(const SmtpJob& job);
    Task<std::optional<smtp::LocalReason>> connect();
    Task<void> shake_hands();
    Task<std::optional<smtp::LocalReason>> shake_hands_first(Deadline deadline);
    Task<std::optional<std::string>> secure(Deadline deadline);
    smtp::ClientSecurity session_security() const;
    Task<SmtpAttempt> attempt(const SmtpJob& job);
    Task<smtp::TransactionRequest> request_for(SmtpJob& job);
    Task<void> fit_body(SmtpJob& job, smtp::TransactionRequest& request);
    Task<void> log_in(smtp::action::Authenticate ask);
    void begin_login();
    // What lies between us and the next host.
    struct Cover {
        bool is_encrypted = false;
        smtp::sasl::ChannelBindings bindings;
    };
    Cover cover() const;
    Task<smtp::Action> run(const SmtpJob* job);
    Task<void> write(std::string_view bytes);
    Task<void> hear(smtp::action::NeedReply need);
    Task<void> stream_content(const SmtpJob& job, bool chunked);
    Task<bool> put(ContentWriter& writer, std::string_view chunk);
    Task<bool> flush(ContentWriter& writer);
    Task<void> broken(world::NetError error);

    Deadline deadline_for(smtp::ClientWait wait) const;
    SmtpAttempt failed(const SmtpJob& job, const smtp::TransactionResult& result);
    SmtpAttempt finished(const SmtpJob& job, std::vector<smtp::TransactionResult> results);

    world::Net& net_;
    world::Clock& clock_;
    SmtpHost host_;
    std::shared_ptr<world::Stream> stream_;
    std::optional<smtp::ClientSession> session_;
    bool plaintext_ = false;    // TLS failed and the policy allows to go on without
    std::string fell_back_;     // why
    smtp::Transcript carried_;  // what was said on the connection before this one
    std::optional<smtp::sasl::ClientExchange> exchange_;
    bool died_unanswered_ = false;  // the last attempt ended before anything was answered
    bool used_up_ = false;          // in the last attempt the peer took no more over the connection
    uint32_t wait_number_ = 0;      // the reply that wait_deadline_ belongs to
    std::optional<Deadline> wait_deadline_;
    std::array<char, 2048> input_;
};

}  // namespace postrider::deliver
