#include "smtp/client_session.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <utility>

#include "base/situation.h"

namespace postrider::smtp {

namespace {

using State = ClientSession::State;

// timeout_of() looks a wait up by its place.
static_assert([] {
    for (std::size_t i = 0; i < kClientTimeouts.size(); ++i) {
        if (static_cast<std::size_t>(kClientTimeouts[i].wait) != i) return false;
    }
    return true;
}());

constexpr uint32_t bit(State state) { return 1u << static_cast<unsigned>(state); }

// Where each state may go; to Closed from everywhere. The table of the header, as numbers.
constexpr std::array<uint32_t, 13> kNextStates = {
    /* Greeting */ bit(State::Hello) | bit(State::Quit),
    /* Hello    */ bit(State::Ready) | bit(State::Auth) | bit(State::Helo) | bit(State::StartTls) |
        bit(State::Quit),
    /* Helo     */ bit(State::Ready) | bit(State::Auth) | bit(State::Quit),
    /* StartTls */ bit(State::Handshake) | bit(State::Ready) | bit(State::Auth) | bit(State::Quit),
    /* Handshake*/ bit(State::Hello),
    /* Ready    */ bit(State::Envelope) | bit(State::Quit),
    /* Envelope */ bit(State::Content) | bit(State::Void) | bit(State::Ready) | bit(State::Quit),
    /* Content  */ bit(State::Final),
    /* Final    */ bit(State::Ready) | bit(State::Quit),
    /* Void     */ bit(State::Ready) | bit(State::Quit),
    /* Quit     */ 0,
    /* Closed   */ 0,
    /* Auth     */ bit(State::Ready) | bit(State::Quit),
};

}  // namespace

ClientSession::ClientSession(ClientOptions options) : options_(std::move(options)) {
    assert(!options_.hello_name.empty() && options_.recipients_max > 0);
    owe(ClientWait::Greeting);
}

Action ClientSession::next_action() {
    if (done_) return action::TransactionDone{*std::exchange(done_, std::nullopt)};
    drop_taken_output();
    bool must_be_silent = !output_.empty() || state_ == State::Handshake;
    if (must_be_silent && parser_.in_reply()) {
        close({CloseReason::Kind::BadReply,
               stage(),
               nullptr,
               {{4, 5, 0}, "the next host sent octets that nobody asked for"}});
        return next_action();
    }
    if (!output_.empty()) {
        output_taken_ = true;
        return action::Send{output_};
    }
    switch (state_) {
        case State::Ready:
            return action::Ready{};
        case State::Handshake:
            return action::Handshake{};
        case State::Content:
            return action::SendContent{transaction_->chunked};
        case State::Auth:
            if (next_owed_ < owed_.size()) return action::NeedReply{waiting_for(), replies_};
            return action::Authenticate{challenge_};
        case State::Closed:
            return action::Closed{reason_};
        default:
            return action::NeedReply{waiting_for(), replies_};
    }
}

// The only place where the state changes. What a state sends and is owed on entry stands here.
void ClientSession::enter(State state) {
    assert(state == State::Closed ||
           (kNextStates[static_cast<std::size_t>(state_)] & bit(state)) != 0);
    assert(next_owed_ == owed_.size() || state == State::Closed);
    owed_.clear();
    next_owed_ = 0;
    state_ = state;
    switch (state) {
        case State::Hello:
            send(options_.mode == ClientMode::Lmtp ? "LHLO " : "EHLO ", options_.hello_name);
            return owe(ClientWait::Hello);
        case State::Helo:
            send("HELO ", options_.hello_name);
            return owe(ClientWait::Hello);
        case State::StartTls:
            send("STARTTLS");
            return owe(ClientWait::StartTls);
        case State::Envelope:
            return send_commands();
        case State::Final:
            // RFC 2033 §4.2: one reply for each successful RCPT, in their order.
            for (uint32_t recipient : transaction_->accepted) {
                owe(ClientWait::DataTermination, recipient);
                if (options_.mode == ClientMode::Smtp) break;
            }
            return;
        case State::Void:
            send(".");
            return owe(ClientWait::DataTermination);
        case State::Quit:
            send("QUIT");
            return owe(ClientWait::Quit);
        case State::Closed:
            output_.clear();
            return;
        case State::Content:
            // RFC 3030 §2: all of it in one chunk.
            if (transaction_->chunked) {
                send("BDAT ", fmt::format("{} LAST", transaction_->request.content_octets));
            }
            return;
        case State::Greeting:
        case State::Handshake:
        case State::Auth:
        case State::Ready:
            return;
    }
}

void ClientSession::handle_bytes(std::string_view bytes) {
    while (!bytes.empty() && state_ != State::Closed) {
        Result<std::optional<Reply>, ReplyError> reply = parser_.next(bytes);
        if (!reply) {
            reached(Situation::SmtpMalformedReply);
            return close(
                {CloseReason::Kind::BadReply, stage(), nullptr, {{4, 5, 0}, reply.error().text()}});
        }
        if (*reply) on_reply(std::make_shared<const Reply>(*std::move(*reply)));
    }
}

void ClientSession::handle_end_of_stream(std::string_view why) {
    close({CloseReason::Kind::EndOfStream, stage(), nullptr, {{4, 4, 2}, std::string(why)}});
}

void ClientSession::handle_timeout() {
    if (state_ == State::Closed) return;
    if (state_ == State::Ready) return handle_end_of_stream("idle for too long");
    ClientWait wait = waiting_for();
    close({CloseReason::Kind::TimedOut,
           stage(),
           nullptr,
           {{4, 4, 2},
            fmt::format(
                "no {} within {} seconds", text_of(wait),
                std::chrono::duration_cast<std::chrono::seconds>(timeout_of(wait)).count())}});
}

void ClientSession::abort(std::string_view why) {
    close({CloseReason::Kind::Aborted, stage(), nullptr, {{4, 3, 0}, std::string(why)}});
}

void ClientSession::content_sent(uint64_t octets) {
    assert(state_ == State::Content);
    assert(!transaction_->chunked || octets == transaction_->request.content_octets);
    transcript_.note(fmt::format("content of {} octets sent", octets));
    enter(State::Final);
}

void ClientSession::content_failed(LocalReason reason) {
    assert(state_ == State::Content);
    close({CloseReason::Kind::ContentFailed, Stage::Content, nullptr, std::move(reason)});
}

void ClientSession::quit() {
    assert(state_ == State::Ready && !done_);
    enter(State::Quit);
}

void ClientSession::begin(TransactionRequest request) {
    assert(state_ == State::Ready && !done_ && !request.recipients.empty());
    transaction_.emplace(std::move(request));
    if (std::optional<LocalReason> reason = obstacle(transaction_->request, capabilities_)) {
        transcript_.note(reason->text);
        resolve_rest(result_of(*reason, Stage::NotSent));
        return finish_transaction();
    }
    transaction_->chunked = goes_in_chunks(transaction_->request);
    choose_recipients();
    if (transaction_->tried.empty()) {
        // The peer's limits leave no room on this connection, but do on a new one.
        finish_transaction();
        return enter(State::Quit);
    }
    enter(State::Envelope);
}

// ---------------------------------------------------------------------------------------------
// Replies

void ClientSession::on_reply(std::shared_ptr<const Reply> reply) {
    transcript_.received(*reply);
    if (state_ == State::Quit) return enter(State::Closed);
    // RFC 5321 §3.8: 421 may come at any time and means that the connection ends.
    if (reply->code == 421) {
        return close({CloseReason::Kind::ServiceClosing, stage(), std::move(reply), {}});
    }
    if (state_ == State::Content) return on_content(std::move(reply));
    if (is_unasked()) return bad_reply(*reply, stage(), "answers no command");

    Owed owed = owed_[next_owed_++];
    ++replies_;
    switch (state_) {
        case State::Greeting:
            return on_greeting(std::move(reply));
        case State::Hello:
        case State::Helo:
            return on_hello(std::move(reply));
        case State::StartTls:
            return on_start_tls(*reply);
        case State::Auth:
            return on_auth(*reply);
        case State::Envelope:
            return on_envelope(owed, std::move(reply));
        case State::Final:
            return on_final(owed, std::move(reply));
        case State::Void:
            reset_needed_ = !reply->is_positive();
            return finish_transaction();
        case State::Handshake:
        case State::Ready:
        case State::Content:
        case State::Quit:
        case State::Closed:
            break;
    }
    assert(false && "a reply is owed in a state that asks for none");
}

bool ClientSession::is_unasked() const {
    bool command_unsent = !output_.empty() && !output_taken_;
    return next_owed_ == owed_.size() || command_unsent;
}

// RFC 5321 §3.1, §4.3.2
void ClientSession::on_greeting(std::shared_ptr<const Reply> reply) {
    if (reply->is_intermediate()) return bad_reply(*reply, Stage::Greeting, "is no greeting");
    greeting_ = *reply;
    if (reply->is_refusal()) return refuse(std::move(reply));
    enter(State::Hello);
}

// RFC 5321 §3.2, §4.1.1.1: a server that does not know EHLO answers 5yz; then HELO is tried.
void ClientSession::on_hello(std::shared_ptr<const Reply> reply) {
    if (reply->is_intermediate()) return bad_reply(*reply, Stage::Hello, "is no answer to EHLO");
    if (reply->is_positive()) {
        bool extended = state_ == State::Hello;
        capabilities_ = Capabilities::parse(*reply);
        if (!extended) capabilities_ = {.name = std::move(capabilities_.name)};
        return greeted();
    }
    bool helo_may_help = state_ == State::Hello && options_.mode == ClientMode::Smtp;
    if (reply->is_permanent() && helo_may_help) return enter(State::Helo);
    refuse(std::move(reply));
}

// A reply while content is being sent: a refusal that did not wait for the end. The rest of the
// content would be read by nobody, so the connection ends here.
void ClientSession::on_content(std::shared_ptr<const Reply> reply) {
    if (!reply->is_refusal()) return bad_reply(*reply, Stage::Content, "answers no command");
    close({CloseReason::Kind::Refused, Stage::Content, std::move(reply), {}});
}

void ClientSession::on_final(Owed owed, std::shared_ptr<const Reply> reply) {
    if (reply->is_intermediate()) {
        return bad_reply(*reply, Stage::Final, "is no answer to the end of data");
    }
    TransactionResult result = result_of(std::move(reply), Stage::Final);
    if (options_.mode == ClientMode::Lmtp) {
        transaction_->results[owed.recipient] = std::move(result);
    } else {
        resolve_rest(result);
    }
    if (next_owed_ == owed_.size()) finish_transaction();
}

// ---------------------------------------------------------------------------------------------
// The rest

void ClientSession::send(std::string_view verb, std::string_view argument) {
    drop_taken_output();
    std::size_t begin = output_.size();
    output_.append(verb).append(argument).append("\r\n");
    transcript_.sent(std::string_view(output_).substr(begin));
}

void ClientSession::drop_taken_output() {
    if (!std::exchange(output_taken_, false)) return;
    output_.clear();
}

ClientWait ClientSession::waiting_for() const {
    if (state_ == State::Content) return ClientWait::DataBlock;
    if (state_ == State::Handshake) return ClientWait::Handshake;
    assert(next_owed_ < owed_.size());
    return owed_[next_owed_].to;
}

Stage ClientSession::stage() const {
    switch (state_) {
        case State::Greeting:
            return Stage::Greeting;
        case State::Hello:
        case State::Helo:
        case State::Auth:
            return Stage::Hello;
        case State::StartTls:
        case State::Handshake:
            return Stage::Tls;
        case State::Envelope:
            return stage_of(waiting_for());
        case State::Content:
            return Stage::Content;
        case State::Final:
            return Stage::Final;
        case State::Void:
            return Stage::Data;
        case State::Ready:
        case State::Quit:
        case State::Closed:
            break;
    }
    return Stage::NotSent;
}

// RFC 5321 §3.1: a refused client still says QUIT.
void ClientSession::refuse(std::shared_ptr<const Reply> reply) {
    reason_ = {CloseReason::Kind::Refused, stage(), std::move(reply), {}};
    enter(State::Quit);
}

void ClientSession::bad_reply(const Reply& reply, Stage stage, std::string_view why) {
    reached(Situation::SmtpWrongReply);
    close({CloseReason::Kind::BadReply,
           stage,
           nullptr,
           {{4, 5, 0}, fmt::format("a reply that {}: {}", why, printable(reply.one_line(), 200))}});
}

// The end. What has no result yet gets one from `reason`.
void ClientSession::close(CloseReason reason) {
    if (state_ == State::Closed) return;
    bool is_final = state_ == State::Final;
    bool quitting = state_ == State::Quit;
    enter(State::Closed);
    if (quitting) return;  // the reason stands since before QUIT
    transcript_.note(reason.text());
    reason_ = std::move(reason);
    if (!transaction_) return;
    TransactionResult result = result_of(reason_);
    result.outcome_unknown = is_final && !result.reply;
    resolve_rest(result);
    finish_transaction();
}

TransactionResult result_of(const CloseReason& reason) {
    if (reason.reply) return result_of(reason.reply, reason.stage);
    if (reason.kind == CloseReason::Kind::Quit) {
        return result_of(LocalReason{{4, 4, 2}, "the connection was closed"}, reason.stage);
    }
    return result_of(reason.local, reason.stage);
}

std::string CloseReason::text() const {
    if (kind == Kind::Quit) return "closed after QUIT";
    return fmt::format("{}: {}", text_of(stage), reply ? reply->one_line() : local.text);
}

Stage stage_of(ClientWait wait) {
    switch (wait) {
        case ClientWait::Greeting:
            return Stage::Greeting;
        case ClientWait::Hello:
        case ClientWait::Auth:
            return Stage::Hello;
        case ClientWait::StartTls:
        case ClientWait::Handshake:
            return Stage::Tls;
        case ClientWait::Reset:
        case ClientWait::Mail:
            return Stage::Mail;
        case ClientWait::Rcpt:
            return Stage::Rcpt;
        case ClientWait::DataInitiation:
            return Stage::Data;
        case ClientWait::DataBlock:
            return Stage::Content;
        case ClientWait::DataTermination:
            return Stage::Final;
        case ClientWait::Quit:
            return Stage::NotSent;
    }
    return Stage::NotSent;
}

std::string_view text_of(ClientWait wait) {
    switch (wait) {
        case ClientWait::Greeting:
            return "greeting";
        case ClientWait::Hello:
            return "reply to EHLO";
        case ClientWait::StartTls:
            return "reply to STARTTLS";
        case ClientWait::Handshake:
            return "end of the TLS handshake";
        case ClientWait::Mail:
            return "reply to MAIL";
        case ClientWait::Rcpt:
            return "reply to RCPT";
        case ClientWait::DataInitiation:
            return "reply to DATA";
        case ClientWait::DataBlock:
            return "progress in sending the content";
        case ClientWait::DataTermination:
            return "reply to the end of data";
        case ClientWait::Reset:
            return "reply to RSET";
        case ClientWait::Quit:
            return "reply to QUIT";
        case ClientWait::Auth:
            return "reply to AUTH";
    }
    return "";
}

}  // namespace postrider::smtp
