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
//   chunks        Chunk (its octets are no commands) and Chunks (between two of them), instead of
//                 the data phase
//
//   security      Handshake: STARTTLS was answered, and no octet is a command until TLS is there
//   login         Auth: the next line is a response, no command
//
// Threads: constants and pure functions.
// RFC 5321 §3.1 (opening), §3.3 (transaction), §4.1.4 (order of commands); RFC 2033 §4.2 (LMTP);
// RFC 3030 §2 (chunks); RFC 3207 §4 (STARTTLS); RFC 4954 §4 (AUTH).

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "smtp/command.h"

namespace postrider::smtp {

enum class State : uint8_t {
    Opening,    // connected; the driver has not said yet whether this client may talk
    Rejected,   // greeted with a 5yz: only QUIT is taken (RFC 5321 §3.1)
    Idle,       // greeted with 220, no hello yet
    Greeted,    // hello accepted, no transaction
    Auth,       // within an AUTH exchange: the next line is a response
    Mail,       // MAIL accepted, no recipient yet
    Rcpt,       // at least one recipient accepted
    Data,       // 354 given, content comes
    Spoiled,    // content that was refused already is swallowed up to its end
    Chunk,      // BDAT accepted, the octets of its chunk come
    Chunks,     // between two chunks of a message
    Handshake,  // 220 to STARTTLS given; TLS begins
    Closed,
};
inline constexpr std::size_t kStateCount = 13;
std::string_view text_of(State state);

enum class Transition : uint8_t {
    OpeningAccepted,
    OpeningRejected,
    HelloAccepted,
    AuthChallenged,  // and its response is awaited
    AuthEnded,       // however
    MailAccepted,
    RcptAccepted,
    DataAccepted,
    DataRefused,         // or BDAT
    ChunkBegun,          // BDAT accepted
    ChunkEnded,          // and more are to come
    ContentBroken,       // it broke a rule
    ContentEnded,        // its end was seen, kept or swallowed
    TransactionDropped,  // RSET
    HandshakeBegun,      // STARTTLS accepted
    HandshakeEnded,      // TLS is there: all that was said before is forgotten
    ClientReplaced,      // XCLIENT: the session begins anew
    Ended,
};
inline constexpr std::size_t kTransitionCount = 18;

// The state after the transition; nothing where it cannot happen.
std::optional<State> next_state(State from, Transition transition);

// What a state says to a command before anybody looks at its argument.
enum class Check : uint8_t {
    Proceed,
    RejectedSession,  // 503: only QUIT, the opening was a refusal
    NeedHello,        // 503: MAIL, RCPT, DATA before EHLO
    NestedMail,       // 503: a transaction is open already
    NeedMail,         // 503: RCPT or DATA without MAIL
    NeedRecipient,    // 554 (LMTP: 503): DATA or BDAT without an accepted recipient
    WithinChunks,     // 503: RCPT or DATA after a BDAT of the same message
    WithinMail,       // 503: STARTTLS, AUTH, ETRN, XCLIENT or XFORWARD in a transaction
};

// REQUIRES: a state in which commands are read (Rejected, Idle, Greeted, Mail, Rcpt, Chunks).
Check check(State state, Verb verb);

}  // namespace postrider::smtp
