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
//   later         TLS and AUTH, each with a state of its own
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
//         on event::Closed:     write session.take_output() and close
//         on the events marked "answer": decide, then session.accept() or session.answer(reply)
//         on the others:        take note
//     }
//
// Promises
//   1. Any cut of the input into pieces gives the same replies and events, but for where DataChunks
//      are cut. (The one exception is wanted: ServerOptions::refuse_early_data.)
//   2. Only CRLF.CRLF ends a message. Bare CR, bare LF and NUL refuse it (554 5.6.0) unless
//      bare_line_ends says otherwise, and even then none of them ends it.
//   3. What is sent is whole replies, each line closed by CRLF, at most 512 octets long.
//   4. Memory: one partial command line (2 KiB at most, freed when empty) and the replies not yet
//      taken. Content is never copied: DataChunks are views into the input.
//   5. Every command gets exactly one reply, in order (LMTP: one per recipient after the data).
//
// Calling next() while an answer is owed, or answering when none is owed, is our own error: abort.
// Views inside events live until the next call of next() or the end of the input's buffer.
// Threads: one at a time.
// RFC 5321 §3, §4; RFC 2033 (LMTP); RFC 2920 (PIPELINING); RFC 1870 (SIZE); RFC 6152 (8BITMIME);
// RFC 2034 (ENHANCEDSTATUSCODES); RFC 6531 (SMTPUTF8).

#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "base/limits.h"
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
    bool pipelining = true;             // RFC 2920
    bool size = true;                   // RFC 1870; without it the limit below still holds
    bool eight_bit_mime = true;         // RFC 6152
    bool enhanced_status_codes = true;  // RFC 2034; without it no reply bears such a code
    bool smtputf8 = false;              // RFC 6531

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

class ServerSession {
public:
    // REQUIRES: options is not null, its hostname not empty; recipients_max >= 1.
    explicit ServerSession(std::shared_ptr<const ServerOptions> options);

    // What now? Takes from the front of `input` what it used. Whoever wants to catch clients that
    // talk before the greeting reads first and calls next() then; others call it with nothing.
    // REQUIRES: answers_owed() == 0.
    Event next(std::string_view& input);

    // The answer that is owed. accept(): the usual positive reply. answer(): any reply; 2yz (for
    // DataRequested 354 instead) accepts, 4yz and 5yz refuse, 421 closes. REQUIRES:
    // answers_owed() > 0.
    void accept();
    void answer(const Reply& reply);
    std::size_t answers_owed() const { return owed_; }

    // Replies to be written, oldest first. take_output() leaves it empty.
    const std::string& output() const { return output_; }
    std::string take_output() { return std::exchange(output_, {}); }
    void clear_output() { output_.clear(); }  // after output() was written; keeps its memory

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
    bool extended() const { return extended_; }             // EHLO or LHLO was the last hello
    const ServerOptions& options() const { return *options_; }
    std::size_t memory_octets() const { return line_.memory_octets() + output_.capacity(); }

private:
    enum class Owed : uint8_t {
        Nothing,
        Opened,
        Hello,
        MailFrom,
        RcptTo,
        Data,
        DataEnd,
        Verify
    };

    void enter(Transition transition);
    Event owe(Owed kind, Event event, std::size_t count = 1);
    void accept_hello();
    void settle(bool accepted);

    std::optional<Event> command(std::string_view line, bool more_input);
    std::optional<Event> proceed(const Command& command, bool more_input);
    void refuse_out_of_order(Check check, bool is_data, bool more_input);
    void data_refused(bool more_input);
    std::optional<Event> hello(const Command& command);
    std::optional<Event> mail(const Command& command);
    std::optional<Event> rcpt(const Command& command);
    std::optional<Event> data(const Command& command, bool more_input);
    std::optional<Event> reset(const Command& command);
    std::optional<Event> verify(const Command& command);
    std::optional<Event> content(std::string_view& input);
    std::optional<Event> content_ended();
    Event content_broken(ContentRule rule);

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
    State state_ = State::Opening;
    Owed owed_kind_ = Owed::Nothing;
    std::size_t owed_ = 0;
    std::size_t recipients_ = 0;
    std::size_t overshoot_ = 0;  // RCPT beyond recipients_max in this transaction
    bool started_ = false;       // next() was called once
    bool spoke_early_ = false;
    bool early_data_ = false;
    bool more_behind_data_ = false;  // input stood behind the DATA that is being decided
    bool extended_ = false;
    bool hello_extended_ = false;  // the hello that is being decided is EHLO or LHLO
    bool mail_smtputf8_ = false;   // the MAIL accepted or being decided said SMTPUTF8
    bool reset_pending_ = false;   // TransactionReset is to be told
    unsigned errors_ = 0;
    unsigned refusals_ = 0;
    unsigned idle_commands_ = 0;
    event::Reason reason_ = event::Reason::Quit;
};

}  // namespace postrider::smtp
