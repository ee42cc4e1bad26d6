// The answers that are owed by the driver, and what they change.

#include "smtp/server_session.h"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "mail/internet_time.h"

namespace postrider::smtp {

namespace {

constexpr std::size_t kExtensionsOctetsUsual = 256;

}  // namespace

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
            std::string text = options_->hostname + " ";
            text += greeting.empty() ? usual : greeting;
            say(220, {}, text);
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
            if (!chunked_) say(354, {}, "send the message, end it with <CRLF>.<CRLF>");
            break;
        case Owed::ChunkEnd:
            say(250, {{2, 0, 0}}, fmt::format("{} octets received", decoder_.octets()));
            break;
        case Owed::DataEnd:
            say(250, {{2, 0, 0}}, "message accepted");
            break;
        case Owed::Auth:
            say(235, {{2, 7, 0}}, "authentication succeeded");
            break;
        case Owed::Verify:
            say(252, {{2, 0, 0}}, "cannot verify, but will try delivery");
            break;
        case Owed::StartTls:
            say(220, {{2, 0, 0}}, "ready for TLS");
            break;
        case Owed::Expand:
            say(252, {{2, 0, 0}}, "cannot expand, but mail for it is taken");
            break;
        case Owed::QueueRun:
            say(250, {{2, 0, 0}}, "the queue is started");
            break;
        case Owed::ClientTold:
            break;  // the answer is the new greeting
        case Owed::ClientForwarded:
            say(250, {{2, 0, 0}}, "noted");
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
    if (owed_kind_ == Owed::Data && chunked_) {
        // RFC 3030 §2: a chunk is answered when its octets came.
        if (reply.is_refusal()) {
            refuse_chunk(chunk_left_, reply, chunk_last_ && is_lmtp() ? recipients_ : 1);
        }
    } else {
        say(reply.code, reply.status, reply.text);
    }
    if (owed_kind_ == Owed::Opened) takes_no_mail_ = reply.code == 521;
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
            chunk_failed_ = false;
            extended_ = hello_extended_;
            enter(Transition::HelloAccepted);
            break;
        case Owed::MailFrom:
            chunk_failed_ = chunk_failed_ && !accepted;
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
                enter(chunked_ ? Transition::ChunkBegun : Transition::DataAccepted);
                begin_content(!chunked_      ? ContentForm::Dotted
                              : mail_binary_ ? ContentForm::Binary
                                             : ContentForm::Chunks);
                break;
            }
            enter(Transition::DataRefused);
            count_refusal();
            if (!chunked_) data_refused();
            break;
        case Owed::ChunkEnd:
            chunk_failed_ = !accepted;
            enter(accepted ? Transition::ChunkEnded : Transition::ContentEnded);
            if (!accepted) count_refusal();
            break;
        case Owed::DataEnd:
            enter(Transition::ContentEnded);
            if (accepted) idle_commands_ = 0;
            break;
        case Owed::Auth:
            authenticated_ = accepted;
            enter(Transition::AuthEnded);
            if (!accepted) count_error();
            break;
        case Owed::ClientTold:
            accepted ? client_replaced() : count_refusal();
            break;
        case Owed::Verify:
        case Owed::Expand:
        case Owed::QueueRun:
        case Owed::ClientForwarded:
            break;
        case Owed::StartTls:
            if (accepted) enter(Transition::HandshakeBegun);
            break;
        case Owed::Nothing:
            std::abort();
    }
}

// The proxy speaks for another client now, who has said and proved nothing yet.
void ServerSession::client_replaced() {
    extended_ = false;
    auth_offer_ = {};
    authenticated_ = false;
    enter(Transition::ClientReplaced);
}

void ServerSession::begin_content(ContentForm form) {
    decoder_ = DataDecoder({.bare_line_ends = options_->bare_line_ends,
                            .line_octets_max = options_->text_line_octets_max,
                            .octets_max = options_->size_octets_max,
                            .form = form});
}

// RFC 5321 §4.1.1.1: the hostname, then a line for each extension; just the hostname after HELO.
void ServerSession::accept_hello() {
    say(250, {}, options_->hostname + (hello_extended_ ? extensions() : std::string()));
}

std::string ServerSession::extensions() const {
    const ServerOptions& options = *options_;
    std::string text;
    text.reserve(kExtensionsOctetsUsual);
    if (options.pipelining) text += "\nPIPELINING";
    if (options.size) text += "\nSIZE " + std::to_string(options.size_octets_max);
    if (options.eight_bit_mime) text += "\n8BITMIME";
    if (options.enhanced_status_codes) text += "\nENHANCEDSTATUSCODES";
    if (options.chunking) text += "\nCHUNKING";
    if (options.chunking && options.binary_mime) text += "\nBINARYMIME";
    if (options.dsn) text += "\nDSN";
    if (options.smtputf8) text += "\nSMTPUTF8";
    if (options.starttls && !secured_) text += "\nSTARTTLS";  // RFC 3207 §4.2
    if (options.mt_priority) text += "\nMT-PRIORITY MIXER";   // RFC 6710 §9.2
    text += auth_keywords();
    if (options.deliver_by) {
        text += "\nDELIVERBY";  // RFC 2852 §2
        if (options.deliver_by_seconds_min > 0) {
            text += fmt::format(" {}", options.deliver_by_seconds_min);
        }
    }
    if (const uint32_t max = options.future_release_seconds_max; max > 0) {  // RFC 4865 §3
        text += fmt::format("\nFUTURERELEASE {} {}", max,
                            internet_time(now_ + std::chrono::seconds(max)));
    }
    if (options.requiretls && secured_) text += "\nREQUIRETLS";  // RFC 8689 §2
    // RFC 9422 §4.2: at most six digits.
    if (options.limits && options.recipients_max < 1'000'000) {
        text += "\nLIMITS RCPTMAX=" + std::to_string(options.recipients_max);
    }
    if (options.etrn && rights_.etrn) text += "\nETRN";
    if (rights_.expn) text += "\nEXPN";
    if (rights_.xclient)
        fmt::format_to(std::back_inserter(text), "\n{}", keyword_line(ToldCommand::XClient));
    if (rights_.xforward)
        fmt::format_to(std::back_inserter(text), "\n{}", keyword_line(ToldCommand::XForward));
    text += "\nHELP";  // "keywords for all commands not listed as required in §4.5.1"
    return text;
}

}  // namespace postrider::smtp
