// The answers that are owed by the driver, and what they change.

#include "smtp/server_session.h"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

namespace postrider::smtp {

Event ServerSession::owe(Owed kind, Event event, std::size_t count) {
    owed_kind_ = kind;
    owed_ = count;
    return event;
}

// Answers of the driver.

void ServerSession::accept() {
    assert(owed_ > 0);
    switch (owed_kind_) {
        case Owed::Opened: {
            const std::string_view usual = is_lmtp() ? "LMTP" : "ESMTP";
            const std::string_view greeting = options_->greeting;
            say(220, {},
                fmt::format("{} {}", options_->hostname, greeting.empty() ? usual : greeting));
            break;
        }
        case Owed::Hello:
            accept_hello();
            break;
        case Owed::MailFrom:
            say(250, {{2, 1, 0}}, "sender accepted");
            break;
        case Owed::RcptTo:
            say(250, {{2, 1, 5}}, "recipient accepted");
            break;
        case Owed::Data:
            say(354, {}, "send the message, end it with <CRLF>.<CRLF>");
            break;
        case Owed::DataEnd:
            say(250, {{2, 0, 0}}, "message accepted");
            break;
        case Owed::Verify:
            say(252, {{2, 0, 0}}, "cannot verify, but will try delivery");
            break;
        case Owed::Nothing:
            std::abort();
    }
    settle(true);
}

void ServerSession::answer(const Reply& reply) {
    assert(owed_ > 0);
    assert(reply.is_refusal() || (owed_kind_ == Owed::Data) == reply.is_intermediate());
    if (reply.code == 421) return shut_down(reply);
    say(reply.code, reply.status, reply.text);
    settle(!reply.is_refusal());
}

void ServerSession::settle(bool accepted) {
    if (--owed_ > 0) {
        if (accepted) idle_commands_ = 0;
        return;
    }
    const Owed kind = std::exchange(owed_kind_, Owed::Nothing);
    switch (kind) {
        case Owed::Opened:
            enter(accepted ? Transition::OpeningAccepted : Transition::OpeningRejected);
            break;
        case Owed::Hello:
            if (!accepted) break;
            reset_pending_ = in_transaction();
            extended_ = hello_extended_;
            enter(Transition::HelloAccepted);
            break;
        case Owed::MailFrom:
            accepted ? enter(Transition::MailAccepted) : count_refusal();
            break;
        case Owed::RcptTo:
            if (!accepted) {
                count_refusal();
                break;
            }
            enter(Transition::RcptAccepted);
            ++recipients_;
            break;
        case Owed::Data:
            if (accepted) {
                enter(Transition::DataAccepted);
                decoder_ = DataDecoder({.bare_line_ends = options_->bare_line_ends,
                                        .line_octets_max = options_->text_line_octets_max,
                                        .octets_max = options_->size_octets_max});
                break;
            }
            enter(Transition::DataRefused);
            count_refusal();
            data_refused(more_behind_data_);
            break;
        case Owed::DataEnd:
            enter(Transition::ContentEnded);
            if (accepted) idle_commands_ = 0;
            break;
        case Owed::Verify:
            break;
        case Owed::Nothing:
            std::abort();
    }
}

// RFC 5321 §4.1.1.1: the hostname, then a line for each extension; just the hostname after HELO.
void ServerSession::accept_hello() {
    const ServerOptions& options = *options_;
    std::string text = options.hostname;
    if (hello_extended_) {
        if (options.pipelining) text += "\nPIPELINING";
        if (options.size) text += fmt::format("\nSIZE {}", options.size_octets_max);
        if (options.eight_bit_mime) text += "\n8BITMIME";
        if (options.enhanced_status_codes) text += "\nENHANCEDSTATUSCODES";
        if (options.smtputf8) text += "\nSMTPUTF8";
        text += "\nHELP";  // "keywords for all commands not listed as required in §4.5.1"
    }
    say(250, {}, text);
}

// Commands.

}  // namespace postrider::smtp
