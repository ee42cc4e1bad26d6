// smtp/client_session.h: the sending side of SMTP and LMTP as a value machine.
//
// A sending session must survive everything a stranger's server does: replies cut anywhere,
// malformed, too many, too late, 421 in the middle, the connection gone. Here all of that is pure:
// octets and happenings go in, actions come out, and each recipient of each transaction ends with
// exactly one result. It has no socket and no clock; deadlines are named, not measured.
//
// Which machines there are
//   session       the states below; one function, enter(), changes them
//   envelope      inside Envelope (client_envelope.cc): which command comes next, which replies are
//   still owed. A group
//                 of commands when the peer offers PIPELINING (RFC 2920), else one at a time
//   replies       reply_parser.h
//   content       not here: the driver streams it through data_encoder.h
//   security      STARTTLS between Hello and Ready, after which Hello comes again
//   login         AUTH (client_auth.cc); what is said in it is the driver's business
//
//   state      sent on entry   owed by the peer           goes on to
//   Greeting   -               the greeting               Hello | Quit (refused) | Closed
//   Hello      EHLO or LHLO    its reply                  Ready | Auth | StartTls | Quit |
//                                                         Helo (5yz, SMTP only)
//   Helo       HELO            its reply                  Ready | Auth | Quit
//   StartTls   STARTTLS        its reply                  Handshake | Quit | Ready or Auth
//                                                         (refused, TLS not required)
//   Handshake  -               nothing                    Hello (handle_secured) | Closed
//   Auth       AUTH, responses its reply                  Ready; only where a login is wanted
//   Ready      -               nothing                    Envelope (begin) | Quit (quit)
//   Envelope   MAIL RCPT DATA  a reply for each           Content | Void | Ready | Quit
//   Content    the content     nothing                    Final (content_sent) | Closed
//              (BDAT before it, in place of DATA, where DATA cannot carry it)
//   Final      -               one reply, or one for each accepted recipient (LMTP)  Ready | Quit
//   Void       "." alone       one reply, of no meaning   Ready | Quit
//   Quit       QUIT            its reply                  Closed
//   Closed     -               nothing                    -
//   From every state to Closed: 421, a malformed reply, a reply that nobody asked for, end of
//   stream, timeout, abort.
//
// How it is driven
//   A  facts      capabilities(), transcript(), state()
//   B  happened   handle_bytes(), handle_end_of_stream(), handle_timeout(), content_sent(), ...
//   C  wanted     begin(), quit(), abort()
//   D  what now   next_action()
//
//     for (;;) switch on session.next_action():
//         Send              write the bytes (they live until the next call of B, C or D)
//         NeedReply         read with the deadline of `waiting_for`; it runs anew when `number`
//                           changes, not with each read; then handle_bytes() or what else happened
//         Authenticate      auth_begin(), auth_respond(), or auth_failed()
//         SendContent       stream the content and the final dot (or the octets of the one chunk
//                           that BDAT has announced), then content_sent(); or content_failed()
//         Handshake         begin TLS over the connection, then handle_secured(); or
//                           handshake_failed()
//         TransactionDone   take the results; the connection may live on
//         Ready             begin() the next transaction, quit(), or keep the connection open
//         Closed            close the connection; no more actions
//
// Promises
//   1. Each transaction that begin() took yields exactly one TransactionDone, with one result for
//      each recipient in the order of the request, also when the connection dies.
//   2. Any cut of the peer's octets gives the same actions and results (but for octets that it
//      sends unasked, see 4).
//   3. A result is Accepted only if the peer said so after the whole content was sent.
//   4. A reply that was not asked for ends the connection, so that replies are never taken for the
//      answer to another command.
//   5. Under ClientSecurity::Required no MAIL is sent without TLS, whatever the peer says. What the
//      peer said before the handshake counts no more, and octets of plaintext behind its answer to
//      STARTTLS end the connection.
//   6. Memory is bounded (reply_parser.h, transcript.h, kGroupOctetsMax).
//
// Calling what the state does not allow is our own error: abort. Threads: one at a time.
// RFC 5321 §3.1 to §3.3, §4.1.4, §4.5.3.2 (timeouts), §4.5.3.1.10 (552); RFC 2920; RFC 2033 (LMTP);
// RFC 9422 (LIMITS); RFC 3030 (CHUNKING, BINARYMIME); RFC 3207 (STARTTLS); RFC 4954 (AUTH).

#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/limits.h"
#include "base/time.h"
#include "smtp/capabilities.h"
#include "smtp/reply_parser.h"
#include "smtp/transaction.h"
#include "smtp/transcript.h"

namespace postrider::smtp {

enum class ClientMode : uint8_t {
    Smtp,
    Lmtp
};

enum class ClientSecurity : uint8_t {
    None,           // STARTTLS is not said; also where TLS came first
    Opportunistic,  // said where it is offered
    Required,       // without it nothing is sent
};

struct ClientOptions {
    ClientMode mode = ClientMode::Smtp;
    std::string hello_name;  // argument of EHLO, HELO, LHLO: our domain or an address literal
    std::size_t recipients_max = kRecipientsMin;  // in one transaction (RFC 5321 §4.5.3.1.8)
    ClientSecurity security = ClientSecurity::None;
    bool authenticate = false;  // no MAIL before an AUTH that was accepted
};

// What the session waits for, and how long it may take.
enum class ClientWait : uint8_t {
    Greeting,
    Hello,
    StartTls,
    Handshake,
    Mail,
    Rcpt,
    DataInitiation,
    DataBlock,        // while content is written
    DataTermination,  // the answer to the final dot
    Reset,
    Quit,
    Auth,
};
std::string_view text_of(ClientWait wait);
Stage stage_of(ClientWait wait);  // which step a result belongs to that ends this wait

struct ClientTimeout {
    ClientWait wait;
    Duration duration;
};
// RFC 5321 §4.5.3.2.1 to .6; it names none for EHLO (taken as MAIL), TLS, RSET, QUIT and AUTH.
inline constexpr std::array<ClientTimeout, 12> kClientTimeouts = {{
    {ClientWait::Greeting, std::chrono::minutes(5)},
    {ClientWait::Hello, std::chrono::minutes(5)},
    {ClientWait::StartTls, std::chrono::minutes(2)},
    {ClientWait::Handshake, std::chrono::minutes(1)},
    {ClientWait::Mail, std::chrono::minutes(5)},
    {ClientWait::Rcpt, std::chrono::minutes(5)},
    {ClientWait::DataInitiation, std::chrono::minutes(2)},
    {ClientWait::DataBlock, std::chrono::minutes(3)},
    {ClientWait::DataTermination, std::chrono::minutes(10)},
    {ClientWait::Reset, std::chrono::minutes(1)},
    {ClientWait::Quit, std::chrono::seconds(10)},  // no message waits for it
    {ClientWait::Auth, std::chrono::minutes(5)},
}};
constexpr Duration timeout_of(ClientWait wait) {
    return kClientTimeouts[static_cast<std::size_t>(wait)].duration;
}

// Why the connection ends.
struct CloseReason {
    enum class Kind : uint8_t {
        Quit,            // by our wish, or because of the peer's LIMITS MAILMAX
        Refused,         // the greeting or the answer to EHLO, HELO or LHLO was 4yz or 5yz
        ServiceClosing,  // 421
        EndOfStream,     // the peer went away, or the connection broke
        TimedOut,
        BadReply,       // malformed, of no use as an answer to its command, or not asked for
        Insecure,       // required TLS was not to be had, or a handshake failed
        NotLoggedIn,    // AUTH failed, or could not be said
        ContentFailed,  // our content could not be read or must not be sent on
        Aborted,        // by our wish, at once
    };
    Kind kind = Kind::Quit;
    Stage stage = Stage::Greeting;       // where it happened
    std::shared_ptr<const Reply> reply;  // for Refused and ServiceClosing
    LocalReason local;                   // for the others; without meaning for Quit

    // "EHLO: 550 5.7.1 go away", one line.
    std::string text() const;
};

// For recipients that never got so far as a transaction, since the connection ended before.
TransactionResult result_of(const CloseReason& reason);

namespace action {

struct Send {
    std::string_view bytes;
};
struct NeedReply {
    ClientWait waiting_for = ClientWait::Greeting;
    uint32_t number = 0;  // changes with each reply that is waited for
};
struct SendContent {
    bool chunked = false;  // content_octets of the request, as they are, and no final dot
};
struct Handshake {};
// AUTH has to begin (no challenge), or to go on.
struct Authenticate {
    std::optional<std::string> challenge;  // decoded
};
struct TransactionDone {
    std::vector<TransactionResult> results;  // in the order of the request's recipients
};
struct Ready {};
struct Closed {
    CloseReason reason;
};

}  // namespace action

using Action =
    std::variant<action::Send, action::NeedReply, action::Authenticate, action::SendContent,
                 action::TransactionDone, action::Handshake, action::Ready, action::Closed>;

class ClientSession {
public:
    enum class State : uint8_t {
        Greeting,
        Hello,
        Helo,
        StartTls,
        Handshake,
        Ready,
        Envelope,
        Content,
        Final,
        Void,
        Quit,
        Closed,
        Auth,
    };

    // Commands sent without waiting for replies, so that neither side's buffers fill up while
    // nobody reads (RFC 2920 §3.1).
    static constexpr std::size_t kGroupOctetsMax = 16 * 1024;

    // REQUIRES: hello_name is a domain or address literal; recipients_max > 0.
    explicit ClientSession(ClientOptions options);

    // D
    Action next_action();

    // B
    void handle_bytes(std::string_view bytes);
    // The peer ended its side, or reading or writing failed; `why` is told to the operator.
    void handle_end_of_stream(std::string_view why = "the connection was closed by the next host");
    // The deadline of the step that next_action() named (NeedReply, Send, SendContent) passed.
    void handle_timeout();
    // Says AUTH, or gives a response. `proved`: a positive reply may be believed from now on.
    // Neither stands in the transcript. REQUIRES: next_action() said Authenticate.
    void auth_begin(std::string_view mechanism, const std::optional<std::string>& initial,
                    bool proved);
    void auth_respond(std::string_view response, bool proved);
    // The peer offers nothing of use, or is not the one it claims to be; the mail waits.
    void auth_failed(std::string_view why);
    // The content and the final dot were written. `octets`: of the content, for the transcript.
    // REQUIRES: state() == Content; by BDAT: as many as were announced.
    void content_sent(uint64_t octets);
    // The content cannot be sent to its end; the connection is given up without a final dot.
    // REQUIRES: state() == Content.
    void content_failed(LocalReason reason);

    // The connection is under TLS. REQUIRES: state() == Handshake.
    void handle_secured();
    // It cannot be; the connection is of no use any more. REQUIRES: state() == Handshake.
    void handshake_failed(std::string_view why);

    // C
    // REQUIRES: next_action() said Ready; the request has recipients.
    void begin(TransactionRequest request);
    // REQUIRES: next_action() said Ready.
    void quit();
    // Ends at once, without QUIT.
    void abort(std::string_view why);

    // A
    State state() const { return state_; }
    ClientWait waiting_for() const;  // REQUIRES: state() is neither Ready nor Closed
    const Capabilities& capabilities() const { return capabilities_; }
    const ClientOptions& options() const { return options_; }
    bool secured() const { return secured_; }                // STARTTLS was done
    const Reply& greeting() const { return greeting_; }      // code 0 before it came
    uint32_t transactions() const { return transactions_; }  // MAIL commands sent
    Transcript& transcript() { return transcript_; }
    // The dialogue since the last take.
    Transcript take_transcript() { return std::exchange(transcript_, Transcript()); }

private:
    // A reply owed by the peer.
    struct Owed {
        ClientWait to = ClientWait::Greeting;
        uint32_t recipient = 0;  // for Rcpt, and for DataTermination in LMTP
    };

    // The state of one transaction.
    struct Transaction {
        explicit Transaction(TransactionRequest wanted)
            : request(std::move(wanted)), results(request.recipients.size()) {}

        TransactionRequest request;
        std::vector<std::optional<TransactionResult>> results;
        std::vector<uint32_t> tried;     // recipients for which RCPT is sent, in order
        std::vector<uint32_t> accepted;  // by RCPT, in order
        std::size_t sent = 0;            // of the commands MAIL, RCPT for each tried, DATA
        bool chunked = false;            // BDAT in place of DATA, not part of a group
        bool mail_refused = false;
        bool too_many = false;  // the peer takes no more recipients
        std::shared_ptr<const Reply> data_reply;
    };

    void enter(State state);
    void send(std::string_view verb, std::string_view argument = {});
    void drop_taken_output();
    void owe(ClientWait to, uint32_t recipient = 0) { owed_.push_back({to, recipient}); }
    bool wants_tls() const;
    bool is_unasked() const;  // a reply that comes now answers nothing

    void on_reply(std::shared_ptr<const Reply> reply);
    void on_greeting(std::shared_ptr<const Reply> reply);
    void on_hello(std::shared_ptr<const Reply> reply);
    void on_start_tls(const Reply& reply);
    void greeted();
    void insecure(EnhancedStatus status, std::string text);
    void on_auth(const Reply& reply);
    void send_hidden(std::string line, std::string_view shown);
    void on_envelope(Owed owed, std::shared_ptr<const Reply> reply);
    void on_mail(std::shared_ptr<const Reply> reply);
    void on_rcpt(uint32_t recipient, std::shared_ptr<const Reply> reply);
    void on_content(std::shared_ptr<const Reply> reply);
    void on_final(Owed owed, std::shared_ptr<const Reply> reply);

    void choose_recipients();
    bool fits_domain_limit(const std::string& domain);
    void send_commands();
    void send_next_command();
    void group_answered();
    void data_answered();
    void finish_transaction();
    void resolve_rest(const TransactionResult& result);

    Stage stage() const;
    void refuse(std::shared_ptr<const Reply> reply);
    void bad_reply(const Reply& reply, Stage stage, std::string_view why);
    void close(CloseReason reason);

    ClientOptions options_;
    Capabilities capabilities_;
    Reply greeting_;
    ReplyParser parser_;
    Transcript transcript_;
    std::string output_;         // commands not yet handed out by Send
    bool output_taken_ = false;  // output_ was handed out and can go
    std::vector<Owed> owed_;     // from next_owed_ on: replies that must come, in order
    std::size_t next_owed_ = 0;
    uint32_t replies_ = 0;
    std::optional<Transaction> transaction_;
    std::optional<std::vector<TransactionResult>> done_;
    std::vector<std::string> domains_;  // of RCPT commands, under RCPTDOMAINMAX only
    uint32_t transactions_ = 0;
    bool secured_ = false;  // under TLS
    std::optional<std::string> challenge_;
    bool proved_ = false;        // the peer, to the driver
    bool reset_needed_ = false;  // the peer still holds an abandoned transaction
    State state_ = State::Greeting;
    CloseReason reason_;
};

}  // namespace postrider::smtp
