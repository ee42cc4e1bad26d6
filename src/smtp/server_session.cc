#include "smtp/server_session.h"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

namespace postrider::smtp {
namespace {

// What may still be swallowed of a message refused in its middle, beyond the limit of its size.
constexpr uint64_t kSwallowedBeyondSizeMax = 16 * 1024 * 1024;

Reply reply_to(ContentRule rule) {
    switch (rule) {
        case ContentRule::BareCr:
            return {554, {5, 6, 0}, "a CR without LF stands in the message"};
        case ContentRule::BareLf:
            return {554, {5, 6, 0}, "a LF without CR stands in the message"};
        case ContentRule::Nul:
            return {554, {5, 6, 0}, "a NUL stands in the message"};
        case ContentRule::LineTooLong:
            return {554, {5, 6, 0}, "a line of the message is too long"};
        case ContentRule::TooLarge:
            return {552, {5, 3, 4}, "the message is larger than allowed"};
    }
    return {554, {5, 6, 0}, "the message cannot be taken"};
}

}  // namespace

ServerSession::ServerSession(std::shared_ptr<const ServerOptions> options)
    : options_(std::move(options)) {
    assert(options_ && !options_->hostname.empty() && options_->recipients_max >= 1);
}

Event ServerSession::next(std::string_view& input) {
    assert(owed_ == 0);
    line_.release();
    if (!started_) {
        started_ = true;
        spoke_early_ = !input.empty();
        if (state_ == State::Opening) return owe(Owed::Opened, event::Opened{});
    }
    for (;;) {
        if (reset_pending_) {
            reset_pending_ = false;
            return event::TransactionReset{};
        }
        if (state_ == State::Closed) {
            input = {};
            return event::Closed{reason_};
        }
        std::optional<Event> event;
        if (state_ == State::Data || state_ == State::Spoiled) {
            event = content(input);
            if (!event && input.empty() && state_ != State::Closed) return event::NeedInput{};
        } else {
            const auto line = line_.next(input);
            if (!line) return event::NeedInput{};
            if (line->error.empty()) {
                event = command(line->text, !input.empty());
            } else {
                say_error(500, {5, 5, 2}, line->error);
            }
        }
        if (event) return std::move(*event);
    }
}

// The one function that changes the state.
void ServerSession::enter(Transition transition) {
    const auto to = next_state(state_, transition);
    assert(to);
    state_ = *to;
    if (state_ != State::Rcpt && state_ != State::Data && state_ != State::Spoiled) {
        recipients_ = 0;
        overshoot_ = 0;
    }
}

std::optional<Event> ServerSession::command(std::string_view line, bool more_input) {
    const Command command = parse_verb(line);
    const Check checked = check(state_, command.verb);
    if (checked == Check::Proceed) return proceed(command, more_input);
    refuse_out_of_order(checked, command.verb == Verb::Data, more_input);
    return std::nullopt;
}

void ServerSession::refuse_out_of_order(Check check, bool is_data, bool more_input) {
    switch (check) {
        case Check::RejectedSession:
            say_error(503, {5, 5, 1}, "only QUIT is taken here");
            break;
        case Check::NeedHello:
            say_error(503, {5, 5, 1}, "say hello first");
            break;
        case Check::NestedMail:
            say_error(503, {5, 5, 1}, "a transaction is open already");
            break;
        case Check::NeedMail:
            say_error(503, {5, 5, 1}, "MAIL comes first");
            break;
        case Check::NeedRecipient:
            // RFC 5321 §3.3: 503 or 554; RFC 2033 §4.2: 503.
            say_error(is_lmtp() ? 503 : 554, {5, 5, 1}, "no valid recipients");
            break;
        case Check::Proceed:
            std::abort();
    }
    if (is_data) data_refused(more_input);
}

// RFC 2920 §3.1: DATA is the last of a group. What came behind it is content of a message that will
// never be, and must not be read as commands.
void ServerSession::data_refused(bool more_input) {
    early_data_ = early_data_ || more_input;
    if (!more_input || !options_->refuse_early_data) return;
    close_with_421(event::Reason::EarlyData, {4, 5, 0}, "data came before the 354");
}

std::optional<Event> ServerSession::proceed(const Command& command, bool more_input) {
    switch (command.verb) {
        case Verb::Mail:
            return mail(command);
        case Verb::Rcpt:
            return rcpt(command);
        case Verb::Data:
            return data(command, more_input);
        case Verb::Ehlo:
        case Verb::Helo:
        case Verb::Lhlo:
            return hello(command);
        case Verb::Rset:
            return reset(command);
        case Verb::Vrfy:
            return verify(command);
        case Verb::Noop:
            say_idle(250, {2, 0, 0}, "nothing done");
            break;
        case Verb::Help:
            say_idle(214, {2, 0, 0},
                     is_lmtp() ? "LHLO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\nRFC 2033 applies"
                               : "EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT\n"
                                 "RFC 5321 applies");
            break;
        case Verb::Quit:
            if (!command.argument.empty()) {
                say_error(501, {5, 5, 4}, "QUIT takes no argument");
                break;
            }
            say(221, {{2, 0, 0}}, options_->hostname + " closing");
            close(event::Reason::Quit);
            break;
        case Verb::Expn:
        case Verb::NotImplemented:
            say_error(502, {5, 5, 1}, "command not implemented");
            break;
        case Verb::Foreign:
            say_error(500, {5, 5, 2}, "this is a mail server");
            close_with_421(event::Reason::NotSmtp, {4, 7, 0}, "mail is spoken here");
            break;
        case Verb::Unknown:
            say_error(500, {5, 5, 2}, "command not recognized");
            break;
    }
    return std::nullopt;
}

// RFC 5321 §4.1.1.1; RFC 2033 §4.1: LHLO instead, and EHLO and HELO are 500.
std::optional<Event> ServerSession::hello(const Command& command) {
    const bool is_lhlo = command.verb == Verb::Lhlo;
    if (is_lhlo != is_lmtp()) {
        say_error(500, {5, 5, 1}, is_lmtp() ? "this is LMTP: say LHLO" : "this is SMTP: say EHLO");
        return std::nullopt;
    }
    const auto name = parse_hello(command.argument);
    if (!name) {
        say_error(name.error());
        return std::nullopt;
    }
    count_idle();
    if (state_ == State::Closed) return std::nullopt;
    hello_extended_ = command.verb != Verb::Helo;
    return owe(Owed::Hello, event::Hello{hello_extended_, *name});
}

std::optional<Event> ServerSession::mail(const Command& command) {
    auto mail = parse_mail(command.argument, offered());
    if (!mail) {
        say_error(mail.error());
        return std::nullopt;
    }
    // RFC 1870 §6.1.
    if (mail->parameters.size.value_or(0) > options_->size_octets_max) {
        say(552, {{5, 3, 4}},
            fmt::format("the message is larger than {} octets", options_->size_octets_max));
        count_refusal();
        return std::nullopt;
    }
    mail_smtputf8_ = mail->parameters.smtputf8;
    return owe(Owed::MailFrom, event::MailFrom{std::move(mail->reverse_path), mail->parameters});
}

std::optional<Event> ServerSession::rcpt(const Command& command) {
    const AddressForm form = mail_smtputf8_ ? AddressForm::Utf8 : AddressForm::Ascii;
    auto rcpt = parse_rcpt(command.argument, offered(), form);
    if (!rcpt) {
        say_error(rcpt.error());
        return std::nullopt;
    }
    // RFC 5321 §4.5.3.1.10. An honest client with a long list may go on for as many again.
    if (recipients_ >= options_->recipients_max) {
        say(452, {{4, 5, 3}}, "too many recipients, send the rest in another transaction");
        if (++overshoot_ > options_->recipients_max) count_error();
        return std::nullopt;
    }
    return owe(Owed::RcptTo, event::RcptTo{std::move(rcpt->mailbox), rcpt->parameters});
}

std::optional<Event> ServerSession::data(const Command& command, bool more_input) {
    more_behind_data_ = more_input;
    early_data_ = early_data_ || more_input;
    if (!command.argument.empty()) {
        say_error(501, {5, 5, 4}, "DATA takes no argument");
        data_refused(more_input);
        return std::nullopt;
    }
    return owe(Owed::Data, event::DataRequested{});
}

std::optional<Event> ServerSession::reset(const Command& command) {
    if (!command.argument.empty()) {
        say_error(501, {5, 5, 4}, "RSET takes no argument");
        return std::nullopt;
    }
    // Told before the count may close the session: a dropped transaction is always said.
    reset_pending_ = in_transaction();
    enter(Transition::TransactionDropped);
    say_idle(250, {2, 0, 0}, "transaction dropped");
    return std::nullopt;
}

std::optional<Event> ServerSession::verify(const Command& command) {
    const auto text = parse_vrfy(command.argument);
    if (!text) {
        say_error(text.error());
        return std::nullopt;
    }
    count_idle();
    if (state_ == State::Closed) return std::nullopt;
    return owe(Owed::Verify, event::Verify{*text});
}

// Content.

std::optional<Event> ServerSession::content(std::string_view& input) {
    const std::size_t before = input.size();
    const DataDecoder::Step step = decoder_.next(input);
    switch (step.kind) {
        case DataDecoder::Step::Kind::Chunk:
            return event::DataChunk{step.chunk};
        case DataDecoder::Step::Kind::Broken:
            return content_broken(step.rule);
        case DataDecoder::Step::Kind::Ended:
            return content_ended();
        case DataDecoder::Step::Kind::NeedInput:
            break;
    }
    if (spoiled_) {
        swallowed_ += before - input.size();
        const uint64_t taken = decoder_.octets() + swallowed_;
        if (taken > kSwallowedBeyondSizeMax &&
            taken - kSwallowedBeyondSizeMax > options_->size_octets_max) {
            close_with_421(event::Reason::EndlessData, {4, 3, 0}, "the message does not end");
        }
    }
    return std::nullopt;
}

Event ServerSession::content_broken(ContentRule rule) {
    spoiled_ = reply_to(rule);
    swallowed_ = 0;
    enter(Transition::ContentBroken);
    return event::DataSpoiled{*spoiled_};
}

std::optional<Event> ServerSession::content_ended() {
    const std::size_t replies = is_lmtp() ? recipients_ : 1;
    if (!spoiled_) {
        return owe(Owed::DataEnd, event::DataEnded{decoder_.octets(), decoder_.eight_bit()},
                   replies);
    }
    const Reply reply = *std::exchange(spoiled_, std::nullopt);
    for (std::size_t i = 0; i < replies; ++i) say(reply.code, reply.status, reply.text);
    enter(Transition::ContentEnded);
    count_error();
    return std::nullopt;
}

// Replies and counts.

void ServerSession::say(uint16_t code, std::optional<EnhancedStatus> status,
                        std::string_view text) {
    if (!options_->enhanced_status_codes) status.reset();
    append_reply(output_, code, status, text);
}

void ServerSession::say_error(uint16_t code, EnhancedStatus status, std::string_view text) {
    say(code, status, text);
    count_error();
}

void ServerSession::say_error(const Reply& reply) {
    say(reply.code, reply.status, reply.text);
    count_error();
}

void ServerSession::say_idle(uint16_t code, EnhancedStatus status, std::string_view text) {
    say(code, status, text);
    count_idle();
}

void ServerSession::count_error() {
    if (++errors_ <= options_->errors_max) return;
    close_with_421(event::Reason::TooManyErrors, {4, 7, 0}, "too many errors");
}

void ServerSession::count_refusal() {
    if (++refusals_ <= options_->refusals_max) return;
    close_with_421(event::Reason::TooManyErrors, {4, 7, 0}, "too many refusals");
}

void ServerSession::count_idle() {
    if (++idle_commands_ <= options_->idle_commands_max) return;
    close_with_421(event::Reason::TooManyIdle, {4, 7, 0}, "too many commands without a message");
}

// Ends.

Reply ServerSession::timeout_reply() const {
    return {421,
            {4, 4, 2},
            fmt::format("{} closing: no time left to wait for {}", options_->hostname,
                        text_of(waiting_for()))};
}

void ServerSession::shut_down(const Reply& reply) {
    if (state_ == State::Closed) return;
    owed_ = 0;
    owed_kind_ = Owed::Nothing;
    say(reply.code, reply.status, reply.text);
    close(event::Reason::ShutDown);
}

void ServerSession::close_with_421(event::Reason reason, EnhancedStatus status,
                                   std::string_view why) {
    if (state_ == State::Closed) return;
    say(421, status, fmt::format("{} closing: {}", options_->hostname, why));
    close(reason);
}

void ServerSession::close(event::Reason reason) {
    reason_ = reason;
    enter(Transition::Ended);
}

WaitingFor ServerSession::waiting_for() const {
    if (state_ == State::Closed) return WaitingFor::Nothing;
    if (owed_ > 0 || state_ == State::Opening) return WaitingFor::Decision;
    const bool data = state_ == State::Data || state_ == State::Spoiled;
    return data ? WaitingFor::DataBlock : WaitingFor::Command;
}

bool ServerSession::in_transaction() const {
    return state_ == State::Mail || state_ == State::Rcpt || state_ == State::Data ||
           state_ == State::Spoiled;
}

// Extensions are in force only if the answer to EHLO (or LHLO) offered them.
Offered ServerSession::offered() const {
    if (!extended_) return {};
    return {.size = options_->size,
            .eight_bit_mime = options_->eight_bit_mime,
            .smtputf8 = options_->smtputf8};
}

}  // namespace postrider::smtp
