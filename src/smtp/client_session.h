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
//   later         TLS and AUTH: rows of their own between Hello and Ready
//
//   state      sent on entry   owed by the peer           goes on to
//   Greeting   -               the greeting               Hello | Quit (refused) | Closed
//   Hello      EHLO or LHLO    its reply                  Ready | Helo (5yz, SMTP only) | Quit
//   Helo       HELO            its reply                  Ready | Quit
//   Ready      -               nothing                    Envelope (begin) | Quit (quit)
//   Envelope   MAIL RCPT DATA  a reply for each           Content | Void | Ready | Quit
//   Content    the content     nothing                    Final (content_sent) | Closed
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
//         SendContent       stream the content and the final dot, then content_sent();
//                           or content_failed()
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
//   5. Memory is bounded (reply_parser.h, transcript.h, kGroupOctetsMax).
//
// Calling what the state does not allow is our own error: abort. Threads: one at a time.
// RFC 5321 §3.1 to §3.3, §4.1.4, §4.5.3.2 (timeouts), §4.5.3.1.10 (552); RFC 2920; RFC 2033 (LMTP);
// RFC 9422 (LIMITS).

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

struct ClientOptions {
    ClientMode mode = ClientMode::Smtp;
    std::string hello_name;  // argument of EHLO, HELO, LHLO: our domain or an address literal
    std::size_t recipients_max = kRecipientsMin;  // in one transaction (RFC 5321 §4.5.3.1.8)
};

// What the session waits for, and how long it may take.
enum class ClientWait : uint8_t {
    Greeting,
    Hello,
    Mail,
    Rcpt,
    DataInitiation,
    DataBlock,        // while content is written
    DataTermination,  // the answer to the final dot
    Reset,
    Quit,
};
std::string_view text_of(ClientWait wait);
Stage stage_of(ClientWait wait);  // which step a result belongs to that ends this wait

struct ClientTimeout {
    ClientWait wait;
    Duration duration;
};
// RFC 5321 §4.5.3.2.1 to .6; it names none for EHLO (taken as MAIL), RSET and QUIT.
inline constexpr std::array<ClientTimeout, 9> kClientTimeouts = {{
    {ClientWait::Greeting, std::chrono::minutes(5)},
    {ClientWait::Hello, std::chrono::minutes(5)},
    {ClientWait::Mail, std::chrono::minutes(5)},
    {ClientWait::Rcpt, std::chrono::minutes(5)},
    {ClientWait::DataInitiation, std::chrono::minutes(2)},
    {ClientWait::DataBlock, std::chrono::minutes(3)},
    {ClientWait::DataTermination, std::chrono::minutes(10)},
    {ClientWait::Reset, std::chrono::minutes(1)},
    {ClientWait::Quit, std::chrono::seconds(10)},  // no message waits for it
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
struct SendContent {};
struct TransactionDone {
    std::vector<TransactionResult> results;  // in the order of the request's recipients
};
struct Ready {};
struct Closed {
    CloseReason reason;
};

}  // namespace action

using Action = std::variant<action::Send, action::NeedReply, action::SendContent,
                            action::TransactionDone, action::Ready, action::Closed>;

class ClientSession {
public:
    enum class State : uint8_t {
        Greeting,
        Hello,
        Helo,
        Ready,
        Envelope,
        Content,
        Final,
        Void,
        Quit,
        Closed,
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
    // The content and the final dot were written. `octets`: of the content, for the transcript.
    // REQUIRES: state() == Content.
    void content_sent(uint64_t octets);
    // The content cannot be sent to its end; the connection is given up without a final dot.
    // REQUIRES: state() == Content.
    void content_failed(LocalReason reason);

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
        bool mail_refused = false;
        bool too_many = false;  // the peer takes no more recipients
        std::shared_ptr<const Reply> data_reply;
    };

    void enter(State state);
    void send(std::string_view verb, std::string_view argument = {});
    void drop_taken_output();
    void owe(ClientWait to, uint32_t recipient = 0) { owed_.push_back({to, recipient}); }
    bool is_unasked() const;  // a reply that comes now answers nothing

    void on_reply(std::shared_ptr<const Reply> reply);
    void on_greeting(std::shared_ptr<const Reply> reply);
    void on_hello(std::shared_ptr<const Reply> reply);
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
    bool reset_needed_ = false;  // the peer still holds an abandoned transaction
    State state_ = State::Greeting;
    CloseReason reason_;
};

}  // namespace postrider::smtp
