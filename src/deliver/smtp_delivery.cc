#include "deliver/smtp_delivery.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <span>
#include <utility>

#include "deliver/smtp_results.h"
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
Task<bool> content_is_seven_bit(ContentReader& content) {
    if (std::optional<std::string_view> whole = content.in_memory()) {
        co_return is_seven_bit(*whole);
    }
    std::vector<char> block(kBlockOctets);
    for (uint64_t offset = 0; offset < content.size();) {
        Result<std::size_t> count = co_await content.read(offset, block);
        if (!count || *count == 0) co_return true;
        if (!is_seven_bit({block.data(), *count})) co_return false;
        offset += *count;
    }
    co_return true;
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

// Whether the peer wants no more messages over this connection, but does not say so with 421:
// "452 4.5.3 Too many messages sent" to MAIL, which would greet every message after it.
bool is_used_up(const TransactionResult& result) {
    return result.state == TransactionResult::State::Temporary && result.stage == Stage::Mail &&
           result.reply && result.reply->code == 452 && result.status == EnhancedStatus{4, 5, 3};
}

}  // namespace

// Wire octets that wait for one write. The views live as long as the chunks they were made from.
struct SmtpConnection::ContentWriter {
    smtp::DataEncoder encoder;
    std::array<std::string_view, kPieces> pieces;
    std::size_t count = 0;   // of pieces
    std::size_t octets = 0;  // of content in them
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
    SmtpAttempt first = co_await attempt(job);
    // The peer closed the idle connection, before or while we spoke, or takes no more over it: not
    // the message's fault.
    if (!kept || !(died_unanswered_ || used_up_)) co_return first;
    co_await close();
    co_return co_await attempt(job);
}

Task<SmtpAttempt> SmtpConnection::attempt(const SmtpJob& job) {
    if (!is_open()) {
        if (std::optional<LocalReason> reason = co_await connect()) {
            co_return failed(job, smtp::result_of(*reason, Stage::Connect));
        }
        smtp::Action action = co_await run(nullptr);
        if (auto* closed = std::get_if<smtp::action::Closed>(&action)) {
            co_return failed(job, smtp::result_of(closed->reason));
        }
    }
    smtp::TransactionRequest request = co_await request_for(job);
    session_->begin(std::move(request));
    smtp::Action action = co_await run(&job);
    co_return finished(job, std::move(std::get<smtp::action::TransactionDone>(action).results));
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
    session_.emplace(smtp::ClientOptions{host_.mode, host_.hello_name, host_.recipients_max});
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
    co_return std::nullopt;
}

Task<smtp::TransactionRequest> SmtpConnection::request_for(const SmtpJob& job) const {
    const Variant& variant = job.envelope->variant_of(job.recipients.front());
    smtp::TransactionRequest request;
    request.reverse_path = variant.reverse_path;
    for (uint32_t number : job.recipients) {
        request.recipients.push_back(job.envelope->recipient(number));
    }
    request.content_octets = variant.prefix.size() + job.content->size();
    request.body = job.envelope->body;
    request.smtputf8 = job.envelope->smtputf8;
    bool must_look = request.body == BodyType::EightBitMime &&
                     !session_->capabilities().eight_bit_mime && is_seven_bit(variant.prefix);
    if (must_look && co_await content_is_seven_bit(*job.content)) {
        request.body = BodyType::SevenBit;
    }
    co_return request;
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
        } else if (std::holds_alternative<smtp::action::SendContent>(action)) {
            assert(job);
            co_await stream_content(*job);
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

// Prefix, content, final dot. On any failure the session is told, and nothing more is sent.
Task<void> SmtpConnection::stream_content(const SmtpJob& job) {
    ContentWriter writer;
    ContentReader& content = *job.content;
    const std::string& prefix = job.envelope->variant_of(job.recipients.front()).prefix;
    std::vector<char> block;  // outlives the views in `writer`
    if (!co_await put(writer, prefix)) co_return;
    if (std::optional<std::string_view> whole = content.in_memory()) {
        if (!co_await put(writer, *whole)) co_return;
    } else {
        block.resize(std::min<uint64_t>(kBlockOctets, content.size()));
        for (uint64_t offset = 0; offset < content.size();) {
            Result<std::size_t> count = co_await content.read(offset, block);
            if (!count || *count == 0) {
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
    auto end = writer.encoder.finish();
    if (!end) {
        session_->content_failed({{5, 6, 0}, end.error().text()});
        co_return;
    }
    if (writer.count == kPieces && !co_await flush(writer)) co_return;
    writer.pieces[writer.count++] = *end;
    if (co_await flush(writer)) session_->content_sent(writer.encoder.octets());
}

Task<bool> SmtpConnection::put(ContentWriter& writer, std::string_view chunk) {
    while (!chunk.empty()) {
        std::span<std::string_view> room = std::span(writer.pieces).subspan(writer.count);
        if (room.size() < smtp::DataEncoder::kPiecesMin || writer.octets >= kBlockOctets) {
            if (!co_await flush(writer)) co_return false;
            continue;
        }
        auto encoded = writer.encoder.encode(chunk.substr(0, kBlockOctets - writer.octets), room);
        if (!encoded) {
            // RFC 3463 §3.7: X.6.0, the message's content is the matter.
            session_->content_failed({{5, 6, 0}, encoded.error().text()});
            co_return false;
        }
        writer.count += encoded->pieces;
        writer.octets += encoded->consumed;
        chunk.remove_prefix(encoded->consumed);
    }
    co_return true;
}

Task<bool> SmtpConnection::flush(ContentWriter& writer) {
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
    }
    bool closed = session_->state() == ClientSession::State::Closed;
    died_unanswered_ =
        closed && !out.results.empty() &&
        std::ranges::all_of(results, [](const TransactionResult& result) {
            return result.state == TransactionResult::State::NotTried || is_unanswered(result);
        });
    used_up_ = std::ranges::all_of(results, is_used_up);
    out.try_next_host = died_unanswered_;
    if (closed) stream_.reset();
    session_->transcript().stamp(clock_.wall());
    out.dialogue = session_->take_transcript();
    return out;
}

}  // namespace postrider::deliver
