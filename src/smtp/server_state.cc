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
    Row{Mail, Transition::HelloAccepted, Greeted},
    Row{Rcpt, Transition::HelloAccepted, Greeted},
    Row{Greeted, Transition::MailAccepted, Mail},
    Row{Mail, Transition::RcptAccepted, Rcpt},
    Row{Rcpt, Transition::RcptAccepted, Rcpt},
    Row{Rcpt, Transition::DataAccepted, Data},
    Row{Rcpt, Transition::DataRefused, Greeted},
    Row{Data, Transition::ContentBroken, Spoiled},
    Row{Data, Transition::ContentEnded, Greeted},
    Row{Spoiled, Transition::ContentEnded, Greeted},
    Row{Idle, Transition::TransactionDropped, Idle},
    Row{Greeted, Transition::TransactionDropped, Greeted},
    Row{Mail, Transition::TransactionDropped, Greeted},
    Row{Rcpt, Transition::TransactionDropped, Greeted},
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
        case Mail:
            return "mail";
        case Rcpt:
            return "rcpt";
        case Data:
            return "data";
        case Spoiled:
            return "spoiled";
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
//
//   state      MAIL         RCPT       DATA           the others
//   Rejected   Rejected..   Rejected.. Rejected..     RejectedSession, but QUIT proceeds
//   Idle       NeedHello    NeedHello  NeedHello      Proceed
//   Greeted    Proceed      NeedMail   NeedMail       Proceed
//   Mail       NestedMail   Proceed    NeedRecipient  Proceed
//   Rcpt       NestedMail   Proceed    Proceed        Proceed
Check check(State state, Verb verb) {
    if (state == Rejected) return verb == Verb::Quit ? Check::Proceed : Check::RejectedSession;
    const bool mail = verb == Verb::Mail, rcpt = verb == Verb::Rcpt, data = verb == Verb::Data;
    if (!mail && !rcpt && !data) return Check::Proceed;
    switch (state) {
        case Idle:
            return Check::NeedHello;
        case Greeted:
            return mail ? Check::Proceed : Check::NeedMail;
        case Mail:
            return mail ? Check::NestedMail : rcpt ? Check::Proceed : Check::NeedRecipient;
        case Rcpt:
            return mail ? Check::NestedMail : Check::Proceed;
        default:
            std::abort();  // no command is read in the other states
    }
}

}  // namespace postrider::smtp
