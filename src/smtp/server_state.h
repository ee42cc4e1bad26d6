// smtp/server_state.h: the states of a receiving session, and which command is taken in which
// state.
//
// Everything about the order of a session is in this file: the states, the one transition table,
// the one table of commands. server_session.cc asks next_state() and check() and knows no other
// rule of order. Three machines hide in the one list of states:
//
//   session       Opening, Rejected, Idle, Greeted, Closed
//   transaction   Mail and Rcpt, within a greeted session
//   data phase    Data and Spoiled, within a transaction; their octets are no commands
//
// Later: TLS adds a state in which a handshake is awaited, AUTH one in which an exchange goes on.
//
// Threads: constants and pure functions.
// RFC 5321 §3.1 (opening), §3.3 (transaction), §4.1.4 (order of commands); RFC 2033 §4.2 (LMTP).

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "smtp/command.h"

namespace postrider::smtp {

enum class State : uint8_t {
    Opening,   // connected; the driver has not said yet whether this client may talk
    Rejected,  // greeted with a 5yz: only QUIT is taken (RFC 5321 §3.1)
    Idle,      // greeted with 220, no hello yet
    Greeted,   // hello accepted, no transaction
    Mail,      // MAIL accepted, no recipient yet
    Rcpt,      // at least one recipient accepted
    Data,      // 354 given, content comes
    Spoiled,   // content that was refused already is swallowed up to its end
    Closed,
};
inline constexpr std::size_t kStateCount = 9;
std::string_view text_of(State state);

enum class Transition : uint8_t {
    OpeningAccepted,
    OpeningRejected,
    HelloAccepted,
    MailAccepted,
    RcptAccepted,
    DataAccepted,
    DataRefused,
    ContentBroken,       // it broke a rule
    ContentEnded,        // its end was seen, kept or swallowed
    TransactionDropped,  // RSET
    Ended,
};
inline constexpr std::size_t kTransitionCount = 11;

// The state after the transition; nothing where it cannot happen.
std::optional<State> next_state(State from, Transition transition);

// What a state says to a command before anybody looks at its argument.
enum class Check : uint8_t {
    Proceed,
    RejectedSession,  // 503: only QUIT, the opening was a refusal
    NeedHello,        // 503: MAIL, RCPT, DATA before EHLO
    NestedMail,       // 503: a transaction is open already
    NeedMail,         // 503: RCPT or DATA without MAIL
    NeedRecipient,    // 554 (LMTP: 503): DATA without an accepted recipient
};

// REQUIRES: a state in which commands are read (Rejected, Idle, Greeted, Mail, Rcpt).
Check check(State state, Verb verb);

}  // namespace postrider::smtp
