#include "smtp/server_state.h"

#include <array>
#include <cstdlib>

namespace postrider::smtp {
namespace {

using enum State;

struct Row {
    State from;
    Transition transition;
    State to;
};

// The states of a session in one table. What is not here cannot happen; Ended is possible
// everywhere.
constexpr std::array kTransitions = {
    Row{Opening, Transition::OpeningAccepted, Idle},
    Row{Opening, Transition::OpeningRejected, Rejected},
    Row{Idle, Transition::HelloAccepted, Greeted},
    Row{Greeted, Transition::HelloAccepted, Greeted},
    Row{Greeted, Transition::AuthChallenged, Auth},
    Row{Auth, Transition::AuthChallenged, Auth},
    Row{Greeted, Transition::AuthEnded, Greeted},
    Row{Auth, Transition::AuthEnded, Greeted},
    Row{Mail, Transition::HelloAccepted, Greeted},
    Row{Rcpt, Transition::HelloAccepted, Greeted},
    Row{Idle, Transition::ClientReplaced, Opening},
    Row{Greeted, Transition::ClientReplaced, Opening},
    Row{Greeted, Transition::MailAccepted, Mail},
    Row{Mail, Transition::RcptAccepted, Rcpt},
    Row{Rcpt, Transition::RcptAccepted, Rcpt},
    Row{Rcpt, Transition::DataAccepted, Data},
    Row{Rcpt, Transition::DataRefused, Greeted},
    Row{Data, Transition::ContentBroken, Spoiled},
    Row{Data, Transition::ContentEnded, Greeted},
    Row{Spoiled, Transition::ContentEnded, Greeted},
    Row{Rcpt, Transition::ChunkBegun, Chunk},
    Row{Chunks, Transition::ChunkBegun, Chunk},
    Row{Chunk, Transition::ChunkEnded, Chunks},
    Row{Chunk, Transition::ContentEnded, Greeted},
    Row{Chunks, Transition::ContentEnded, Greeted},
    Row{Chunks, Transition::HelloAccepted, Greeted},
    Row{Idle, Transition::TransactionDropped, Idle},
    Row{Greeted, Transition::TransactionDropped, Greeted},
    Row{Mail, Transition::TransactionDropped, Greeted},
    Row{Rcpt, Transition::TransactionDropped, Greeted},
    Row{Chunks, Transition::TransactionDropped, Greeted},
    Row{Idle, Transition::HandshakeBegun, Handshake},
    Row{Greeted, Transition::HandshakeBegun, Handshake},
    Row{Handshake, Transition::HandshakeEnded, Idle},
};

}  // namespace

std::string_view text_of(State state) {
    switch (state) {
        case Opening:
            return "opening";
        case Rejected:
            return "rejected";
        case Idle:
            return "idle";
        case Greeted:
            return "greeted";
        case Auth:
            return "auth";
        case Mail:
            return "mail";
        case Rcpt:
            return "rcpt";
        case Data:
            return "data";
        case Spoiled:
            return "spoiled";
        case Chunk:
            return "chunk";
        case Chunks:
            return "chunks";
        case Handshake:
            return "handshake";
        case Closed:
            return "closed";
    }
    return "unknown";
}

std::optional<State> next_state(State from, Transition transition) {
    if (transition == Transition::Ended) return Closed;
    for (const Row& row : kTransitions) {
        if (row.from == from && row.transition == transition) return row.to;
    }
    return std::nullopt;
}

// RFC 5321 §4.1.4. The columns are the commands that depend on the state; NOOP, HELP, EXPN, VRFY
// and RSET are taken at any time, as are EHLO and HELO, and QUIT even after a refused opening.
// ETRN, XCLIENT and XFORWARD are not taken within a transaction (RFC 1985 §5).
//
//   state      MAIL         RCPT           DATA           BDAT           STARTTLS and those three
//   Rejected   RejectedSession for all, but QUIT proceeds
//   Idle       NeedHello    NeedHello      NeedHello      NeedHello      Proceed; ETRN: NeedHello
//   Greeted    Proceed      NeedMail       NeedMail       NeedMail       Proceed
//   Mail       NestedMail   Proceed        NeedRecipient  NeedRecipient  WithinMail
//   Rcpt       NestedMail   Proceed        Proceed        Proceed        WithinMail
//   Chunks     NestedMail   WithinChunks   WithinChunks   Proceed        WithinMail
Check check(State state, Verb verb) {
    if (state == Rejected) return verb == Verb::Quit ? Check::Proceed : Check::RejectedSession;
    if (verb == Verb::StartTls || verb == Verb::Etrn || verb == Verb::XClient ||
        verb == Verb::XForward) {
        if (state == Idle && verb == Verb::Etrn) return Check::NeedHello;
        return state == Idle || state == Greeted ? Check::Proceed : Check::WithinMail;
    }
    const bool mail = verb == Verb::Mail, rcpt = verb == Verb::Rcpt, bdat = verb == Verb::Bdat;
    // RFC 4954 §4: not during a mail transaction.
    if (verb == Verb::Auth) {
        return state == Idle      ? Check::NeedHello
               : state == Greeted ? Check::Proceed
                                  : Check::WithinMail;
    }
    if (!mail && !rcpt && !bdat && verb != Verb::Data) return Check::Proceed;
    switch (state) {
        case Idle:
            return Check::NeedHello;
        case Greeted:
            return mail ? Check::Proceed : Check::NeedMail;
        case Mail:
            return mail ? Check::NestedMail : rcpt ? Check::Proceed : Check::NeedRecipient;
        case Rcpt:
            return mail ? Check::NestedMail : Check::Proceed;
        case Chunks:
            return mail ? Check::NestedMail : bdat ? Check::Proceed : Check::WithinChunks;
        default:
            std::abort();  // no command is read in the other states
    }
}

}  // namespace postrider::smtp
