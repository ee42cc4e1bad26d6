// smtp/server_session.h: the receiving side of SMTP and LMTP as a value machine.
//
// A receiving session always swells, since protocol, policy and storage meet in it. Here is the
// protocol alone: octets go in, events come out, replies collect in a string. It has no socket and
// no clock, and it decides nothing that the grammar and the sequence rules do not decide.
//
// Which machines there are (states and transitions: server_state.h)
//   session       Opening -> Idle -> Greeted -> ... -> Closed: who may say what when
//   transaction   within Greeted: nothing -> MAIL accepted -> one RCPT accepted or more
//   data phase    data_decoder.h: lines, dots, what may not stand in a message
//   queries       VRFY, EXPN, ETRN (server_queries.cc); proxies: XCLIENT, XFORWARD
//   (server_proxied.cc) chunks        instead of the data phase: BDAT, whose octets are counted;
//   refused ones are
//                 swallowed before they are answered, in whatever state the session is
//   security      server_tls.cc: STARTTLS hands the connection to the driver and forgets what was
//                 said before
//   AUTH          lines that are responses, no commands; what they mean is the driver's business
//
// How it is driven
//
//     ServerSession session(options);
//     std::string_view input;              // what was read and not used yet
//     for (;;) {
//         Event event = session.next(input);
//         on event::NeedInput:  write session.take_output(), then read more; the deadline is chosen
//                               by session.waiting_for(); when it passes:
//                               session.shut_down(session.timeout_reply())
//         on event::Handshake:  write session.take_output(), shake hands, session.handle_secured()
//         on event::Closed:     write session.take_output() and close
//         on the events marked "answer": decide, then session.accept() or session.answer(reply)
//         on the others:        take note
//     }
//
// Promises
//   1. Any cut of the input into pieces gives the same replies and events, but for where DataChunks
//      are cut. (Two exceptions are wanted: ServerOptions::refuse_early_data, and octets that came
//      together with STARTTLS.)
//   2. Only CRLF.CRLF ends a message. Bare CR, bare LF and NUL refuse it (554 5.6.0) unless
//      bare_line_ends says otherwise, and even then none of them ends it.
//   3. What is sent is whole replies, each line closed by CRLF, at most 512 octets long.
//   4. Memory: one partial command line (2 KiB, in an AUTH exchange 12 KiB; freed when empty) and
//   the replies not yet
//      taken. Content is never copied: DataChunks are views into the input.
//   5. Nothing that came in plaintext is taken for a command after STARTTLS was accepted, and what
//      was said before it counts no more.
//   6. Every command gets exactly one reply, in order (LMTP: one per recipient after the data).
//
// Calling next() while an answer is owed, or answering when none is owed, is our own error: abort.
// Views inside events live until the next call of next() or the end of the input's buffer.
// Threads: one at a time.
// RFC 5321 §3, §4; RFC 2033 (LMTP); RFC 2920 (PIPELINING); RFC 1870 (SIZE); RFC 6152 (8BITMIME);
// RFC 2034 (ENHANCEDSTATUSCODES); RFC 3030 (CHUNKING, BINARYMIME); RFC 3461 (DSN); RFC 6531
// (SMTPUTF8); RFC 9422 (LIMITS); RFC 3207 (STARTTLS); RFC 4954 (AUTH); RFC 6710 (MT-PRIORITY); RFC
// 2852 (DELIVERBY); RFC 4865 (FUTURERELEASE); RFC 1985 (ETRN); RFC 7504 (521); XCLIENT and XFORWARD
// (told_client.h).

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "smtp/command.h"
#include "smtp/data_decoder.h"
#include "smtp/line_reader.h"
#include "smtp/reply.h"
#include "smtp/server_event.h"
#include "smtp/server_state.h"

namespace postrider::smtp {

enum class Protocol : uint8_t {
    Smtp,
    Lmtp
};  // RFC 2033: LHLO, a reply per recipient

// Shared by many sessions; a session keeps the pointer.
struct ServerOptions {
    std::string hostname;  // in greeting, EHLO answer, 221 and 421; never empty
    std::string greeting;  // behind the hostname in the 220; empty: "ESMTP", "LMTP"
    Protocol protocol = Protocol::Smtp;

    // Extensions: offered in the answer to EHLO, and taken only if offered.
    bool pipelining = true;                   // RFC 2920
    bool size = true;                         // RFC 1870; without it the limit below still holds
    bool eight_bit_mime = true;               // RFC 6152
    bool enhanced_status_codes = true;        // RFC 2034; without it no reply bears such a code
    bool chunking = false;                    // RFC 3030
    bool binary_mime = false;                 // RFC 3030; only with chunking and eight_bit_mime
    bool dsn = false;                         // RFC 3461
    bool smtputf8 = false;                    // RFC 6531; only with eight_bit_mime
    bool limits = false;                      // RFC 9422: RCPTMAX, from recipients_max
    bool mt_priority = false;                 // RFC 6710, of the profile MIXER
    bool auth = false;                        // RFC 4954; which mechanisms: offer_auth()
    bool starttls = false;                    // RFC 3207; not offered again under TLS
    bool deliver_by = false;                  // RFC 2852
    uint32_t deliver_by_seconds_min = 0;      // the smallest by-time of BY=..;R; 0 = none is told
    uint32_t future_release_seconds_max = 0;  // RFC 4865; 0 = not offered. For submission only
    bool requiretls = false;                  // RFC 8689; offered under TLS only (§2)
    bool etrn = false;                        // RFC 1985; for clients that may (ServerRights)

    // Without TLS nothing but hellos, NOOP, STARTTLS and QUIT is taken: 530 (RFC 3207 §4).
    bool tls_required = false;

    uint64_t size_octets_max = 50 * 1024 * 1024;  // content, CRLF counted, stuffed dots not
    std::size_t recipients_max = 1000;            // accepted in one transaction; then 452
    std::size_t text_line_octets_max = kTextLineOctetsMax;  // with CRLF
    BareLineEnds bare_line_ends = BareLineEnds::Refuse;     // in content
    // Octets that came together with DATA, before the 354, while DATA is refused, would be read as
    // commands: the session is closed instead (RFC 2920 §3.1: DATA is the last of a group).
    bool refuse_early_data = true;

    // Against guessing and idling; past each of them 421 and the session ends.
    unsigned errors_max = 20;          // syntax and sequence errors in one session
    unsigned refusals_max = 100;       // MAIL and RCPT refused by the driver in one session
    unsigned idle_commands_max = 100;  // NOOP, RSET, HELP, VRFY, EHLO... between two messages
};

// What a client may prove itself by, here and now.
struct AuthOffer {
    std::vector<std::string> mechanisms;  // said in the answer to EHLO
    std::vector<std::string> after_tls;   // those that would be taken on an encrypted connection
};

// What this client may, besides what ServerOptions offers to all. The driver decides it by the
// client's address.
struct ServerRights {
    bool etrn = false;
    bool expn = false;  // others are told 252 (RFC 5321 §7.3)
    bool xclient = false;
    bool xforward = false;
};

class ServerSession {
public:
    // REQUIRES: options is not null, its hostname not empty; recipients_max >= 1.
    explicit ServerSession(std::shared_ptr<const ServerOptions> options);

    // What now? Takes from the front of `input` what it used. Whoever wants to catch clients that
    // talk before the greeting reads first and calls next() then; others call it with nothing.
    // REQUIRES: answers_owed() == 0.
    Event next(std::string_view& input);

    // Whether next() would answer NeedInput; told for less than the making of an event. False:
    // perhaps not.
    bool wants_input(std::string_view input);

    // The answer that is owed. accept(): the usual positive reply. answer(): any reply; 2yz (for
    // DataRequested 354 instead) accepts, 4yz and 5yz refuse, 421 closes. REQUIRES:
    // answers_owed() > 0.
    void accept();
    void answer(const Reply& reply);
    // Goes on with an AUTH exchange: 334. REQUIRES: AuthBegun or AuthResponse waits for an answer.
    void challenge(std::string_view octets);
    std::size_t answers_owed() const { return owed_; }

    // In force from the next accepted EHLO on; call it before accept(). REQUIRES: options().auth.
    void offer_auth(AuthOffer offer) { auth_offer_ = std::move(offer); }

    // Replies to be written, oldest first. take_output() leaves it empty.
    const std::string& output() const { return output_; }
    std::string take_output() { return std::exchange(output_, {}); }
    void clear_output() { output_.clear(); }  // after output() was written; keeps its memory

    // TLS is there: after event::Handshake, or before the first next() where it comes first (RFC
    // 8314 §3.3). The client has to say hello anew.
    void handle_secured();

    // From now on. Nothing is allowed before.
    void set_rights(ServerRights rights) { rights_ = rights; }
    // What FUTURERELEASE is counted from; to be told before each hello and each MAIL.
    void set_time(Wall now) { now_ = now; }

    WaitingFor waiting_for() const;
    Reply timeout_reply() const;  // 421 4.4.2 that says what was waited for
    // Ends the session from the driver's side; any answer owed is void. The reply (usually a 421)
    // is sent, next() says Closed.
    void shut_down(const Reply& reply);

    // Facts.
    State state() const { return state_; }
    bool spoke_early() const { return spoke_early_; }       // input before the greeting
    bool sent_early_data() const { return early_data_; }    // input behind DATA, before the 354
    bool in_transaction() const;                            // MAIL accepted, not ended yet
    std::size_t recipients() const { return recipients_; }  // accepted in this transaction
    bool authenticated() const { return authenticated_; }   // by an AUTH that was accepted
    bool extended() const { return extended_; }             // EHLO or LHLO was the last hello
    bool secured() const { return secured_; }               // under TLS
    const ServerOptions& options() const { return *options_; }
    std::size_t memory_octets() const { return line_.memory_octets() + output_.capacity(); }

private:
    // What may still be swallowed of a message refused in its middle, beyond the limit of its size.
    static constexpr uint64_t kSwallowedBeyondSizeMax = 16 * 1024 * 1024;

    enum class Owed : uint8_t {
        Nothing,
        Opened,
        Hello,
        MailFrom,
        RcptTo,
        Data,
        ChunkEnd,
        DataEnd,
        Auth,
        Verify,
        StartTls,
        Expand,
        QueueRun,
        ClientTold,
        ClientForwarded
    };

    // What came together with a command, behind it.
    enum class Behind : uint8_t {
        Nothing,
        Quit,
        Content  // anything else
    };

    // A chunk that was refused: answered when its octets were swallowed (RFC 3030 §2).
    struct RefusedChunk {
        uint64_t octets_left = 0;
        Reply reply;
        std::size_t replies = 1;
    };

    void enter(Transition transition);
    Event owe(Owed kind, Event event, std::size_t count = 1);
    void accept_hello();
    void settle(bool accepted);

    std::optional<Event> command(std::string_view line);
    std::optional<Event> proceed(const Command& command);
    void refuse_out_of_order(Check check, const Command& command);
    void data_refused();
    static Behind behind(std::string_view input);
    std::optional<Event> hello(const Command& command);
    std::optional<Event> mail(const Command& command);
    std::optional<Event> rcpt(const Command& command);
    std::optional<Event> data(const Command& command);
    std::optional<Event> bdat(const Command& command);
    void bdat_out_of_order(const Reply& reply, const Command& command);
    std::optional<Event> chunk(std::string_view& input);
    std::optional<Event> chunk_over();
    Event spoil_chunk(const Reply& reply);
    void refuse_chunk(uint64_t octets, Reply reply, std::size_t replies);
    void swallow_chunk(std::string_view& input);
    void say_refused_chunk();
    void client_replaced();
    void begin_content(ContentForm form);
    std::optional<Event> reset(const Command& command);
    std::optional<Event> verify(const Command& command);
    std::optional<Event> start_tls(const Command& command);
    bool must_secure_first(Verb verb) const;
    std::optional<Event> auth(const Command& command);
    std::optional<Event> auth_response(const LineReader::Line& line);
    Event cancel_auth(const Reply& reply);
    std::optional<Event> line(const LineReader::Line& line);
    std::string auth_keywords() const;
    std::optional<Event> expand(const Command& command);
    std::optional<Event> queue_run(const Command& command);
    std::optional<Event> told_client(const Command& command);
    std::optional<Reply> moment_refused(const MailParameters& parameters) const;
    std::string help() const;
    std::string extensions() const;
    std::optional<Event> content(std::string_view& input);
    std::optional<Event> content_ended();
    Event content_broken(ContentRule rule);
    static Reply reply_to(ContentRule rule);

    void say(uint16_t code, std::optional<EnhancedStatus> status, std::string_view text);
    void say_error(uint16_t code, EnhancedStatus status, std::string_view text);
    void say_error(const Reply& reply);
    void say_idle(uint16_t code, EnhancedStatus status, std::string_view text);
    void count_error();
    void count_refusal();
    void count_idle();
    void close(event::Reason reason);
    void close_with_421(event::Reason reason, EnhancedStatus status, std::string_view why);
    bool is_lmtp() const { return options_->protocol == Protocol::Lmtp; }
    Offered offered() const;

    std::shared_ptr<const ServerOptions> options_;
    std::string output_;
    LineReader line_;
    DataDecoder decoder_;
    std::optional<Reply> spoiled_;  // the refusal to give when the data ends
    uint64_t swallowed_ = 0;        // octets since then
    uint64_t chunk_left_ = 0;       // octets of the chunk that is coming in
    bool chunked_ = false;          // the message comes by BDAT
    bool chunk_last_ = false;
    bool chunk_failed_ = false;  // more may be on their way, and are no errors
    std::optional<RefusedChunk> refused_chunk_;
    State state_ = State::Opening;
    Owed owed_kind_ = Owed::Nothing;
    std::size_t owed_ = 0;
    std::size_t recipients_ = 0;
    std::size_t overshoot_ = 0;  // RCPT beyond recipients_max in this transaction
    ServerRights rights_;
    Wall now_;
    bool takes_no_mail_ = false;  // the opening was refused with 521
    bool started_ = false;        // next() was called once
    bool spoke_early_ = false;
    bool early_data_ = false;
    Behind behind_ = Behind::Nothing;  // of the command that is being decided
    bool extended_ = false;
    bool hello_extended_ = false;  // the hello that is being decided is EHLO or LHLO
    bool mail_smtputf8_ = false;
    bool mail_binary_ =
        false;  // BODY=BINARYMIME   // the MAIL accepted or being decided said SMTPUTF8
    AuthOffer auth_offer_;
    bool authenticated_ = false;
    bool reset_pending_ = false;  // TransactionReset is to be told
    bool secured_ = false;        // under TLS
    unsigned errors_ = 0;
    unsigned refusals_ = 0;
    unsigned idle_commands_ = 0;
    event::Reason reason_ = event::Reason::Quit;
};

}  // namespace postrider::smtp
