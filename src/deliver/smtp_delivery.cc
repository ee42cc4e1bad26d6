#include "deliver/smtp_delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <span>
#include <utility>

#include "base/situation.h"
#include "deliver/outgoing_content.h"
#include "deliver/smtp_results.h"
#include "mail/domain.h"
#include "mail/header.h"
#include "smtp/data_encoder.h"

namespace postrider::deliver {

namespace {

using smtp::ClientSession;
using smtp::ClientWait;
using smtp::LocalReason;
using smtp::Stage;
using smtp::TransactionResult;

// Content handed to one write, whose deadline is that of RFC 5321 §4.5.3.2.5; and the size of the
// buffer for content that lies in a file.
constexpr std::size_t kBlockOctets = 64 * 1024;
constexpr std::size_t kPieces = 64;

// What the peer said before it broke off is waited for no longer than this.
constexpr Duration kLastWords = std::chrono::seconds(1);
constexpr int kLastReadsMax = 16;

bool is_seven_bit(std::string_view text) {
    return std::ranges::none_of(text, [](char c) { return (c & '\x80') != 0; });
}

// Whether the content of an 8BITMIME message really has octets above 127. Most clients declare
// BODY=8BITMIME whatever they send, and a host without 8BITMIME can take such a message.
// What cannot be read counts as 7-bit: sending will find the same error and say so.
Task<bool> content_is_seven_bit(ContentReader& content, uint64_t octets) {
    octets = std::min(octets, content.size());
    if (std::optional<std::string_view> whole = content.in_memory()) {
        co_return is_seven_bit(whole->substr(0, octets));
    }
    std::vector<char> block(std::min<uint64_t>(kBlockOctets, octets));
    for (uint64_t offset = 0; offset < octets;) {
        block.resize(std::min<uint64_t>(block.size(), octets - offset));
        Result<std::size_t> count = co_await content.read(offset, block);
        if (!count || *count == 0) co_return true;
        if (!is_seven_bit({block.data(), *count})) co_return false;
        offset += *count;
    }
    co_return true;
}

// Makes every address ASCII by A-labels. False if a local-part is in the way.
bool into_ascii(smtp::TransactionRequest& request) {
    auto convert = [](Mailbox& mailbox) {
        auto domain = ascii_domain(mailbox.domain);
        if (domain) mailbox.domain = std::move(*domain);
        return mailbox.is_ascii();
    };
    if (request.reverse_path.mailbox && !convert(*request.reverse_path.mailbox)) return false;
    return std::ranges::all_of(request.recipients,
                               [&](Recipient& one) { return convert(one.mailbox); });
}

// RFC 2852 §4.1.4: how much of the time is left, at the moment of MAIL. REQUIRES: deliver_by.
smtp::DeliverBy time_left(const Envelope& envelope, Wall now) {
    constexpr int64_t kSecondsMax = 999'999'999;  // §4
    int64_t seconds = std::chrono::floor<std::chrono::seconds>(*envelope.deliver_by - now).count();
    return {.seconds = static_cast<int32_t>(std::clamp(seconds, -kSecondsMax, kSecondsMax)),
            .returned = envelope.deliver_by_return,
            .trace = envelope.deliver_by_trace};
}

LocalReason unreachable(const world::NetError& error) {
    using Kind = world::NetError::Kind;
    bool ours = error.kind == Kind::TooManyOpen || error.kind == Kind::NotPermitted;
    // RFC 3463 §3.5: X.4.1, no answer from host; §3.4: X.3.0, our own system.
    return {ours ? EnhancedStatus{4, 3, 0} : EnhancedStatus{4, 4, 1}, error.message};
}

// Whether the connection ended before the peer had answered MAIL. Told from the result, not from
// the reason of the end: a message may be taken and the connection end in one breath.
bool is_unanswered(const TransactionResult& result) {
    bool no_answer = !result.reply || result.reply->code == 421;
    return result.state == TransactionResult::State::Temporary && result.stage == Stage::Mail &&
           no_answer;
}

// Whether the peer wants no more over this connection, but does not say so with 421: "452 4.5.3 Too
// many messages sent" to MAIL, or to each RCPT, which would greet every message after it. In the
// midst of a message what was taken is settled before the rest goes elsewhere.
bool is_used_up(const TransactionResult& result, bool is_continued) {
    bool counts = result.stage == Stage::Mail || (result.stage == Stage::Rcpt && !is_continued);
    return result.state == TransactionResult::State::Temporary && counts && result.reply &&
           result.reply->code == 452 && result.status == EnhancedStatus{4, 5, 3};
}

// Not where the matter is ours, where the rest is to come in another transaction, or where the host
// may have taken the message.
bool is_put_off(const TransactionResult& result, const RecipientResult& told) {
    return result.state == TransactionResult::State::Temporary && !result.outcome_unknown &&
           told.kind != FailureKind::TooManyRecipients &&
           (result.reply || told.kind == FailureKind::Connection);
}

void tell_situation(std::span<const TransactionResult> results) {
    if (!situation_watcher) return;
    using State = TransactionResult::State;
    auto taken = std::ranges::count(results, State::Accepted, &TransactionResult::state);
    auto refused = std::ranges::count_if(results, [](const TransactionResult& result) {
        return result.state == State::Permanent && result.reply;
    });
    auto count = std::ssize(results);
    if (taken > 0 && taken < count) reached(Situation::DeliverPartlyTaken);
    if (refused == count) reached(Situation::DeliverAllRefused);
    for (const TransactionResult& result : results) {
        if (result.outcome_unknown) reached(Situation::DeliverReplyLost);
        if (result.reply && result.reply->code == 421) reached(Situation::DeliverToldGoodbye);
    }
}

}  // namespace

// Wire octets that wait for one write. The views live as long as the chunks they were made from.
struct SmtpConnection::ContentWriter {
    bool chunked = false;  // sent as it is
    smtp::DataEncoder encoder;
    std::array<std::string_view, kPieces> pieces;
    std::size_t count = 0;   // of pieces
    std::size_t octets = 0;  // of content in them
    uint64_t taken = 0;      // of content, in all
};

SmtpConnection::SmtpConnection(world::Net& net, world::Clock& clock, SmtpHost host)
    : net_(net), clock_(clock), host_(std::move(host)) {
    if (host_.name.empty()) host_.name = world::text(host_.endpoint);
}

SmtpConnection::~SmtpConnection() = default;

Task<SmtpAttempt> SmtpConnection::send(SmtpJob job) {
    assert(!job.recipients.empty());
    bool kept = is_open();
    if (!kept) co_await close();
    if (kept) reached(Situation::DeliverConnectionReused);
    SmtpAttempt first = co_await attempt(job);
    // The peer closed the idle connection, before or while we spoke, or takes no more over it: not
    // the message's fault.
    if (!kept || !(died_unanswered_ || used_up_)) co_return first;
    reached(died_unanswered_ ? Situation::DeliverKeptConnectionDied
                             : Situation::DeliverConnectionUsedUp);
    co_await close();
    co_return co_await attempt(job);
}

Task<SmtpAttempt> SmtpConnection::attempt(const SmtpJob& job) {
    if (!is_open()) {
        if (std::optional<SmtpAttempt> failure = co_await open(job)) co_return *std::move(failure);
    }
    SmtpJob fitted = job;  // its content as this host can take it
    smtp::TransactionRequest request = co_await request_for(fitted);
    session_->begin(std::move(request));
    smtp::Action action = co_await run(&fitted);
    auto& results = std::get<smtp::action::TransactionDone>(action).results;
    tell_situation(results);
    co_return finished(job, std::move(results));
}

Task<void> SmtpConnection::close() {
    if (session_ && stream_) {
        if (session_->state() == ClientSession::State::Ready) session_->quit();
        co_await run(nullptr);
    }
    stream_.reset();
}

bool SmtpConnection::is_open() const {
    return stream_ && session_ && session_->state() == ClientSession::State::Ready;
}

const smtp::Capabilities* SmtpConnection::capabilities() const {
    return session_ ? &session_->capabilities() : nullptr;
}

uint32_t SmtpConnection::transactions() const { return session_ ? session_->transactions() : 0; }

Task<std::optional<LocalReason>> SmtpConnection::connect() {
    session_.emplace(smtp::ClientOptions{host_.mode, host_.hello_name, host_.recipients_max,
                                         session_security(), host_.login.has_value()});
    session_->transcript() = std::exchange(carried_, smtp::Transcript());
    wait_deadline_.reset();
    std::string from = host_.source ? " from " + host_.source->text() : std::string();
    session_->transcript().note(
        fmt::format("connecting to {}{}", world::text(host_.endpoint), from));
    session_->transcript().stamp(clock_.wall());
    Deadline deadline = Deadline::after(clock_.now(), host_.connect_timeout);
    auto stream = co_await net_.connect(host_.endpoint, host_.source, deadline);
    if (!stream) {
        LocalReason reason = unreachable(stream.error());
        session_->transcript().note(reason.text);
        co_return reason;
    }
    stream_ = std::move(*stream);
    const TlsPolicy& policy = host_.security.policy;
    if (!policy.reason.empty() && !plaintext_) session_->transcript().note("TLS: " + policy.text());
    if (!policy.comes_first) co_return std::nullopt;
    co_return co_await shake_hands_first(deadline);
}

Task<smtp::TransactionRequest> SmtpConnection::request_for(SmtpJob& job) {
    const Variant& variant = job.envelope->variant_of(job.recipients.front());
    smtp::TransactionRequest request;
    request.reverse_path = variant.reverse_path;
    for (uint32_t number : job.recipients) {
        request.recipients.push_back(job.envelope->recipient(number));
    }
    request.body = job.envelope->body;
    request.smtputf8 = job.envelope->smtputf8;
    request.dsn_return = job.envelope->dsn_return;
    request.dsn_envid = job.envelope->dsn_envid;
    request.priority = job.envelope->priority;
    request.requiretls = job.envelope->requiretls;
    request.is_final_delivery = host_.mode == smtp::ClientMode::Lmtp;
    if (job.envelope->deliver_by) {
        request.by = time_left(*job.envelope, clock_.wall());
    }
    co_await fit_body(job, request);
    // RFC 6531 §3.2: without SMTPUTF8 only a message that does not need it, whatever its client
    // declared: ASCII addresses, once their domains are A-labels, and an ASCII header block.
    if (request.smtputf8 && !session_->capabilities().smtputf8 && is_seven_bit(variant.prefix) &&
        co_await content_is_seven_bit(*job.content, job.header_octets)) {
        smtp::TransactionRequest ascii = request;
        if (into_ascii(ascii)) {
            ascii.smtputf8 = false;
            request = std::move(ascii);
        }
    }
    // RFC 6758 §3.3.
    if (job.envelope->priority_given && !session_->capabilities().mt_priority) {
        job.content =
            co_await with_priority_field(job.content, job.header_octets, job.envelope->priority);
    }
    request.content_octets = variant.prefix.size() + job.content->size();
    co_return request;
}

// What was declared 8-bit and is not goes as 7-bit; what is, encoded if that may be.
Task<void> SmtpConnection::fit_body(SmtpJob& job, smtp::TransactionRequest& request) {
    const std::string& prefix = job.envelope->variant_of(job.recipients.front()).prefix;
    if (request.body != BodyType::EightBitMime || session_->capabilities().eight_bit_mime ||
        !is_seven_bit(prefix)) {
        co_return;
    }
    if (co_await content_is_seven_bit(*job.content, UINT64_MAX)) {
        request.body = BodyType::SevenBit;
        co_return;
    }
    // Our own signature is one, too.
    if (!host_.convert_8bit || find_field(prefix, "DKIM-Signature")) co_return;
    auto converted = co_await SevenBitContent::make(job.content);
    if (!converted) {
        session_->transcript().note("not converted to 7 bits: " + converted.error().message);
        co_return;
    }
    job.content = std::move(*converted);
    job.header_octets = UINT64_MAX;
    request.body = BodyType::SevenBit;
}

// Drives the session until it says Ready, TransactionDone or Closed. `job`: whose content is sent.
Task<smtp::Action> SmtpConnection::run(const SmtpJob* job) {
    for (;;) {
        smtp::Action action = session_->next_action();
        session_->transcript().stamp(clock_.wall());
        if (auto* send = std::get_if<smtp::action::Send>(&action)) {
            co_await write(send->bytes);
        } else if (auto* need = std::get_if<smtp::action::NeedReply>(&action)) {
            co_await hear(*need);
        } else if (std::get_if<smtp::action::Handshake>(&action)) {
            co_await shake_hands();
        } else if (auto* ask = std::get_if<smtp::action::Authenticate>(&action)) {
            co_await log_in(std::move(*ask));
        } else if (auto* content = std::get_if<smtp::action::SendContent>(&action)) {
            assert(job);
            co_await stream_content(*job, content->chunked);
        } else {
            co_return action;
        }
    }
}

Task<void> SmtpConnection::write(std::string_view bytes) {
    std::array<std::string_view, 1> pieces = {bytes};
    auto written = co_await stream_->write(pieces, deadline_for(session_->waiting_for()));
    if (!written) co_await broken(std::move(written.error()));
}

Task<void> SmtpConnection::hear(smtp::action::NeedReply need) {
    if (!wait_deadline_ || wait_number_ != need.number) {
        wait_number_ = need.number;
        wait_deadline_ = deadline_for(need.waiting_for);
    }
    auto count = co_await stream_->read(input_, *wait_deadline_);
    if (!count && count.error().kind == world::NetError::Kind::TimedOut) {
        reached(Situation::DeliverTimedOut);
        session_->handle_timeout();
    } else if (!count) {
        session_->handle_end_of_stream(count.error().message);
    } else if (*count == 0) {
        session_->handle_end_of_stream();
    } else {
        session_->handle_bytes({input_.data(), *count});
    }
}

// A write failed. The peer may have said why before it broke off, so that is read first.
Task<void> SmtpConnection::broken(world::NetError error) {
    if (error.kind == world::NetError::Kind::TimedOut) {
        session_->handle_timeout();
        co_return;
    }
    Deadline soon = Deadline::after(clock_.now(), kLastWords);
    for (int i = 0; i < kLastReadsMax; ++i) {
        if (session_->state() == ClientSession::State::Closed) co_return;
        auto count = co_await stream_->read(input_, soon);
        if (!count || *count == 0) break;
        session_->handle_bytes({input_.data(), *count});
    }
    session_->handle_end_of_stream(error.message);
}

// Prefix, content, final dot (none in a chunk, whose end was announced). On any failure the session
// is told, and nothing more is sent.
Task<void> SmtpConnection::stream_content(const SmtpJob& job, bool chunked) {
    ContentWriter writer{.chunked = chunked};
    ContentReader& content = *job.content;
    const std::string& prefix = job.envelope->variant_of(job.recipients.front()).prefix;
    std::vector<char> block;  // outlives the views in `writer`
    if (!co_await put(writer, prefix)) co_return;
    std::optional<std::string_view> whole = content.in_memory();
    if (whole && !forced(Switch::DeliverInBlocks)) {
        if (!co_await put(writer, *whole)) co_return;
    } else {
        block.resize(std::min<uint64_t>(kBlockOctets, content.size()));
        for (uint64_t offset = 0; offset < content.size();) {
            Result<std::size_t> count = co_await content.read(offset, block);
            if (!count || *count == 0) {
                reached(Situation::DeliverContentUnreadable);
                session_->content_failed(
                    {{4, 3, 0},
                     count ? "the stored message is shorter than it was"
                           : "the stored message cannot be read: " + count.error().message});
                co_return;
            }
            if (!co_await put(writer, {block.data(), *count})) co_return;
            offset += *count;
            // The block is filled anew; the last one goes out together with the final dot.
            if (offset < content.size() && !co_await flush(writer)) co_return;
        }
    }
    if (!chunked) {
        auto end = writer.encoder.finish();
        if (!end) {
            session_->content_failed({{5, 6, 0}, end.error().text()});
            co_return;
        }
        if (writer.count == kPieces && !co_await flush(writer)) co_return;
        writer.pieces[writer.count++] = *end;
    }
    if (co_await flush(writer)) session_->content_sent(writer.taken);
}

Task<bool> SmtpConnection::put(ContentWriter& writer, std::string_view chunk) {
    while (!chunk.empty()) {
        std::span<std::string_view> room = std::span(writer.pieces).subspan(writer.count);
        if (room.size() < smtp::DataEncoder::kPiecesMin || writer.octets >= kBlockOctets) {
            if (!co_await flush(writer)) co_return false;
            continue;
        }
        std::string_view piece = chunk.substr(0, kBlockOctets - writer.octets);
        if (writer.chunked) {
            writer.pieces[writer.count++] = piece;
            writer.octets += piece.size();
            writer.taken += piece.size();
            chunk.remove_prefix(piece.size());
            continue;
        }
        auto encoded = writer.encoder.encode(piece, room);
        if (!encoded) {
            // RFC 3463 §3.7: X.6.0, the message's content is the matter.
            session_->content_failed({{5, 6, 0}, encoded.error().text()});
            co_return false;
        }
        writer.count += encoded->pieces;
        writer.octets += encoded->consumed;
        writer.taken += encoded->consumed;
        chunk.remove_prefix(encoded->consumed);
    }
    co_return true;
}

Task<bool> SmtpConnection::flush(ContentWriter& writer) {
    if (writer.count == 0) co_return true;
    std::span<const std::string_view> pieces = std::span(writer.pieces).first(writer.count);
    writer.count = writer.octets = 0;
    auto written = co_await stream_->write(pieces, deadline_for(ClientWait::DataBlock));
    if (written) co_return true;
    co_await broken(std::move(written.error()));
    co_return false;
}

Deadline SmtpConnection::deadline_for(ClientWait wait) const {
    return Deadline::after(clock_.now(), smtp::timeout_of(wait));
}

// Before any transaction: the same result for all.
SmtpAttempt SmtpConnection::failed(const SmtpJob& job, const TransactionResult& result) {
    SmtpAttempt out = finished(job, std::vector(job.recipients.size(), result));
    out.try_next_host = true;
    stream_.reset();
    return out;
}

SmtpAttempt SmtpConnection::finished(const SmtpJob& job, std::vector<TransactionResult> results) {
    assert(results.size() == job.recipients.size());
    SmtpAttempt out;
    for (std::size_t i = 0; i < results.size(); ++i) {
        if (results[i].state == TransactionResult::State::NotTried) {
            out.left.push_back(job.recipients[i]);
            continue;
        }
        out.may_double |= results[i].outcome_unknown;
        out.results.push_back(smtp_result(results[i], job.recipients[i], host_.mode, host_.name));
        if (is_put_off(results[i], out.results.back())) out.put_off.push_back(job.recipients[i]);
        // RFC 2852 §4.1.4: who asked for a trace, and who waits for a word that this host will not
        // give.
        const Envelope& envelope = *job.envelope;
        out.results.back().tell_relayed =
            envelope.deliver_by &&
            out.results.back().verdict == RecipientResult::Verdict::Relayed &&
            (envelope.deliver_by_trace || !session_->capabilities().deliver_by);
        // RFC 3461 §5.2.1: a host with DSN tells the sender itself.
        out.results.back().dsn_handed_on =
            results[i].state == TransactionResult::State::Accepted && session_->capabilities().dsn;
    }
    bool closed = session_->state() == ClientSession::State::Closed;
    died_unanswered_ =
        closed && !out.results.empty() &&
        std::ranges::all_of(results, [](const TransactionResult& result) {
            return result.state == TransactionResult::State::NotTried || is_unanswered(result);
        });
    used_up_ = std::ranges::all_of(results, [&](const TransactionResult& result) {
        return is_used_up(result, job.is_continued);
    });
    out.try_next_host = died_unanswered_;
    if (closed) stream_.reset();
    session_->transcript().stamp(clock_.wall());
    out.fell_back = std::exchange(fell_back_, {});
    out.dialogue = session_->take_transcript();
    return out;
}

}  // namespace postrider::deliver
