#include "smtp/server_session.h"

#include <algorithm>
#include <cassert>

#include <fmt/format.h>

#include "smtp/parameters.h"

namespace postrider::smtp {
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
    }
    // At the beginning, and behind an accepted XCLIENT.
    if (state_ == State::Opening) return owe(Owed::Opened, event::Opened{});
    for (;;) {
        if (reset_pending_) {
            reset_pending_ = false;
            return event::TransactionReset{};
        }
        if (state_ == State::Closed) {
            input = {};
            return event::Closed{reason_};
        }
        if (state_ == State::Handshake) return event::Handshake{};
        if (refused_chunk_) {
            swallow_chunk(input);
            if (refused_chunk_) return event::NeedInput{};
            continue;
        }
        std::optional<Event> event;
        if (state_ == State::Chunk) {
            event = chunk(input);
            if (!event) return event::NeedInput{};
        } else if (state_ == State::Data || state_ == State::Spoiled) {
            event = content(input);
            if (!event && input.empty() && state_ != State::Closed) return event::NeedInput{};
        } else {
            const auto auth = state_ == State::Auth ? LineReader::Auth::Response
                              : options_->auth      ? LineReader::Auth::Command
                                                    : LineReader::Auth::No;
            const auto whole = line_.next(input, auth);
            if (!whole) return event::NeedInput{};
            behind_ = behind(input);
            event = line(*whole);
        }
        if (event) return std::move(*event);
    }
}

bool ServerSession::wants_input(std::string_view input) {
    if (!input.empty() || !started_ || owed_ > 0 || reset_pending_ || refused_chunk_) return false;
    switch (state_) {
        case State::Opening:
        case State::Handshake:
        case State::Chunk:
        case State::Closed:
            return false;
        default:
            line_.release();
            return true;
    }
}

std::optional<Event> ServerSession::line(const LineReader::Line& line) {
    if (state_ == State::Auth) return auth_response(line);
    if (line.error.empty()) return command(line.text);
    // RFC 4954 §4, §6: 5.5.6 is what this extension says of its own long lines.
    say_error(500, {5, 5, static_cast<uint16_t>(line.is_long_auth ? 6 : 2)}, line.error);
    return std::nullopt;
}

// The one function that changes the state.
void ServerSession::enter(Transition transition) {
    const auto to = next_state(state_, transition);
    assert(to);
    state_ = *to;
    if (state_ < State::Rcpt || state_ == State::Closed) {
        recipients_ = 0;
        overshoot_ = 0;
    }
}

std::optional<Event> ServerSession::command(std::string_view line) {
    Command command = parse_verb(line);
    if (command.verb == Verb::Bdat && !options_->chunking) command.verb = Verb::NotImplemented;
    if (command.verb == Verb::StartTls && !options_->starttls) command.verb = Verb::NotImplemented;
    if (command.verb == Verb::Auth && !options_->auth) command.verb = Verb::NotImplemented;
    if (must_secure_first(command.verb)) {
        say_error(530, {5, 7, 0}, "say STARTTLS first");
        if (command.verb == Verb::Data) data_refused();
        return std::nullopt;
    }
    const Check checked = check(state_, command.verb);
    if (checked == Check::Proceed) return proceed(command);
    refuse_out_of_order(checked, command);
    return std::nullopt;
}

void ServerSession::refuse_out_of_order(Check check, const Command& command) {
    Reply reply(503, {5, 5, 1}, "");
    switch (check) {
        case Check::RejectedSession:
            // RFC 7504 §3.
            if (takes_no_mail_) reply = Reply(521, {5, 3, 2}, "");
            reply.text =
                takes_no_mail_ ? "this host does not accept mail" : "only QUIT is taken here";
            break;
        case Check::NeedHello:
            reply.text = "say hello first";
            break;
        case Check::NestedMail:
            reply.text = "a transaction is open already";
            break;
        case Check::NeedMail:
            reply.text = "MAIL comes first";
            break;
        case Check::NeedRecipient:
            // RFC 5321 §3.3: 503 or 554; RFC 2033 §4.2: 503.
            if (!is_lmtp()) reply.code = 554;
            reply.text = "no valid recipients";
            break;
        case Check::WithinChunks:
            reply.text = "only BDAT can go on with this message";
            break;
        case Check::WithinMail:
            reply.text = "a transaction is open: say RSET first";
            break;
        case Check::Proceed:
            std::abort();
    }
    if (command.verb == Verb::Bdat) {
        return bdat_out_of_order(reply, command);
    }
    say_error(reply);
    if (command.verb == Verb::Data) data_refused();
}

// RFC 2920 §3.1: DATA is the last of a group. What came behind it is content of a message that will
// never be, and must not be read as commands. QUIT may be: it does nothing but end the session,
// too, and a client that said all at once hears the answer it waits for.
void ServerSession::data_refused() {
    early_data_ = early_data_ || behind_ == Behind::Content;
    if (behind_ != Behind::Content || !options_->refuse_early_data) return;
    close_with_421(event::Reason::EarlyData, {4, 5, 0}, "data came before the 354");
}

ServerSession::Behind ServerSession::behind(std::string_view input) {
    if (input.empty()) return Behind::Nothing;
    constexpr std::string_view kQuit = "QUIT\r\n";
    return equals_ignoring_case(input.substr(0, kQuit.size()), kQuit) ? Behind::Quit
                                                                      : Behind::Content;
}

std::optional<Event> ServerSession::proceed(const Command& command) {
    switch (command.verb) {
        case Verb::Mail:
            return mail(command);
        case Verb::Rcpt:
            return rcpt(command);
        case Verb::Data:
            return data(command);
        case Verb::Bdat:
            return bdat(command);
        case Verb::Ehlo:
        case Verb::Helo:
        case Verb::Lhlo:
            return hello(command);
        case Verb::Rset:
            return reset(command);
        case Verb::Vrfy:
            return verify(command);
        case Verb::StartTls:
            return start_tls(command);
        case Verb::Auth:
            return auth(command);
        case Verb::Noop:
            say_idle(250, {2, 0, 0}, "nothing done");
            break;
        case Verb::Help:
            say_idle(214, {2, 0, 0}, help());
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
            return expand(command);
        case Verb::Etrn:
            return queue_run(command);
        case Verb::XClient:
        case Verb::XForward:
            return told_client(command);
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
    if (auto refusal = moment_refused(mail->parameters)) {
        say_error(*refusal);
        return std::nullopt;
    }
    mail_smtputf8_ = mail->parameters.smtputf8;
    mail_binary_ = mail->parameters.body == BodyType::BinaryMime;
    return owe(Owed::MailFrom,
               event::MailFrom{std::move(mail->reverse_path), std::move(mail->parameters)});
}

// RFC 2852 §3, RFC 4865 §4.2 and §5.2.2: what lies outside of what was announced.
std::optional<Reply> ServerSession::moment_refused(const MailParameters& parameters) const {
    const auto& by = parameters.by;
    if (by && by->returned &&
        by->seconds < static_cast<int64_t>(options_->deliver_by_seconds_min)) {
        return Reply(
            555, {5, 5, 4},
            fmt::format("BY of mode R takes {} seconds or more", options_->deliver_by_seconds_min));
    }
    if (!parameters.hold) return std::nullopt;
    const Duration hold = parameters.hold->until ? *parameters.hold->until - now_
                                                 : std::chrono::seconds(*parameters.hold->seconds);
    if (hold > std::chrono::seconds(options_->future_release_seconds_max)) {
        return Reply(501, {5, 5, 4},
                     fmt::format("no message is held for more than {} seconds",
                                 options_->future_release_seconds_max));
    }
    if (by && hold > std::chrono::seconds(by->seconds)) {
        return Reply(501, {5, 5, 4}, "it would be held for longer than BY allows");
    }
    return std::nullopt;
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
    return owe(Owed::RcptTo, event::RcptTo{std::move(rcpt->mailbox), std::move(rcpt->parameters)});
}

std::optional<Event> ServerSession::data(const Command& command) {
    chunked_ = false;
    early_data_ = early_data_ || behind_ != Behind::Nothing;
    if (!command.argument.empty()) {
        say_error(501, {5, 5, 4}, "DATA takes no argument");
        data_refused();
        return std::nullopt;
    }
    // RFC 3030 §2: not in one transaction.
    if (chunk_failed_) {
        say_error(503, {5, 5, 1}, "BDAT was used before: say RSET");
        data_refused();
        return std::nullopt;
    }
    // RFC 3030 §3.
    if (mail_binary_) {
        say_error(503, {5, 5, 1}, "a BINARYMIME message comes by BDAT");
        data_refused();
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
    chunk_failed_ = false;
    enter(Transition::TransactionDropped);
    say_idle(250, {2, 0, 0}, "transaction dropped");
    return std::nullopt;
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

Reply ServerSession::reply_to(ContentRule rule) {
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
    refused_chunk_.reset();
    say(reply.code, reply.status, reply.text);
    close(event::Reason::ShutDown);
}

void ServerSession::close_with_421(event::Reason reason, EnhancedStatus status,
                                   std::string_view why) {
    if (state_ == State::Closed) return;
    if (refused_chunk_) say_refused_chunk();
    say(421, status, fmt::format("{} closing: {}", options_->hostname, why));
    close(reason);
}

void ServerSession::close(event::Reason reason) {
    reason_ = reason;
    enter(Transition::Ended);
}

WaitingFor ServerSession::waiting_for() const {
    if (state_ == State::Closed) return WaitingFor::Nothing;
    if (state_ == State::Handshake) return WaitingFor::Handshake;
    if (owed_ > 0 || state_ == State::Opening) return WaitingFor::Decision;
    const bool data = state_ == State::Data || state_ == State::Spoiled || state_ == State::Chunk ||
                      refused_chunk_;
    return data ? WaitingFor::DataBlock : WaitingFor::Command;
}

bool ServerSession::in_transaction() const {
    return state_ == State::Mail || state_ == State::Rcpt || state_ == State::Data ||
           state_ == State::Spoiled || state_ == State::Chunk || state_ == State::Chunks;
}

// Extensions are in force only if the answer to EHLO (or LHLO) offered them.
Offered ServerSession::offered() const {
    if (!extended_) return {};
    return {.size = options_->size,
            .eight_bit_mime = options_->eight_bit_mime,
            .binary_mime = options_->chunking && options_->binary_mime,
            .smtputf8 = options_->smtputf8,
            .dsn = options_->dsn,
            .mt_priority = options_->mt_priority,
            .auth = !auth_offer_.mechanisms.empty(),
            .deliver_by = options_->deliver_by,
            .future_release = options_->future_release_seconds_max > 0,
            .requiretls = options_->requiretls && secured_};
}

}  // namespace postrider::smtp
