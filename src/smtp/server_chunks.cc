// Messages that come by BDAT: chunks whose octets are counted.
//
// A refused chunk is swallowed before it is answered, in any state. Behind one that failed, more
// may be in the pipeline: they are refused like it and count as idle commands, not as errors.
//
// RFC 3030 §2 (CHUNKING), §3 (BINARYMIME).

#include "smtp/server_session.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace postrider::smtp {

std::optional<Event> ServerSession::bdat(const Command& command) {
    if (!extended_ || chunk_failed_) {
        const char* text = extended_ ? "an earlier BDAT was refused: say RSET" : "BDAT needs EHLO";
        bdat_out_of_order({503, {5, 5, 1}, text}, command);
        return std::nullopt;
    }
    const bool first = state_ == State::Rcpt;
    const uint64_t before = first ? 0 : decoder_.octets();
    const auto chunk = parse_bdat(command.argument);
    chunked_ = true;
    chunk_left_ = chunk ? chunk->octets : 0;
    chunk_last_ = chunk && chunk->last;
    if (!chunk) {
        Event spoiled = spoil_chunk(chunk.error());
        data_refused();  // nobody knows how many octets follow
        return spoiled;
    }
    if (chunk->octets > options_->size_octets_max - before) {
        return spoil_chunk({552, {5, 3, 4}, "the message is larger than allowed"});
    }
    if (first) return owe(Owed::Data, event::DataRequested{.chunked = true});
    if (chunk->octets == 0 && !chunk->last) count_idle();
    if (state_ != State::Closed) enter(Transition::ChunkBegun);
    return std::nullopt;
}

// Where a BDAT cannot be taken, its octets must not be taken for commands.
void ServerSession::bdat_out_of_order(const Reply& reply, const Command& command) {
    const auto chunk = parse_bdat(command.argument);
    if (!chunk) {
        say_error(chunk.error());
        return data_refused();
    }
    const bool expected = chunk_failed_;
    refuse_chunk(chunk->octets, reply, 1);
    expected ? count_idle() : count_error();
}

// The octets of a chunk. Nothing: all input is used.
std::optional<Event> ServerSession::chunk(std::string_view& input) {
    while (chunk_left_ > 0) {
        if (input.empty()) return std::nullopt;
        std::string_view piece = input.substr(0, std::min<uint64_t>(chunk_left_, input.size()));
        const std::size_t size = piece.size();
        const DataDecoder::Step step = decoder_.next(piece);
        input.remove_prefix(size - piece.size());
        chunk_left_ -= size - piece.size();
        if (step.kind == DataDecoder::Step::Kind::Chunk) return event::DataChunk{step.chunk};
        if (step.kind == DataDecoder::Step::Kind::Broken) return spoil_chunk(reply_to(step.rule));
    }
    return chunk_over();
}

std::optional<Event> ServerSession::chunk_over() {
    if (!chunk_last_) return owe(Owed::ChunkEnd, event::ChunkEnded{decoder_.octets()});
    const DataDecoder::Step step = decoder_.finish();
    if (step.kind == DataDecoder::Step::Kind::Chunk) return event::DataChunk{step.chunk};
    if (step.kind == DataDecoder::Step::Kind::Broken) return spoil_chunk(reply_to(step.rule));
    return owe(Owed::DataEnd, event::DataEnded{decoder_.octets(), decoder_.eight_bit()},
               is_lmtp() ? recipients_ : 1);
}

// The message is refused: what is left of the chunk is swallowed, the transaction is over.
Event ServerSession::spoil_chunk(const Reply& reply) {
    refuse_chunk(chunk_left_, reply, chunk_last_ && is_lmtp() ? recipients_ : 1);
    if (state_ != State::Closed) {
        enter(state_ == State::Rcpt ? Transition::DataRefused : Transition::ContentEnded);
        count_error();
    }
    return event::DataSpoiled{reply};
}

void ServerSession::refuse_chunk(uint64_t octets, Reply reply, std::size_t replies) {
    chunk_failed_ = true;
    chunk_left_ = 0;
    refused_chunk_ = RefusedChunk{octets, std::move(reply), replies};
    if (octets <= kSwallowedBeyondSizeMax ||
        octets - kSwallowedBeyondSizeMax <= options_->size_octets_max) {
        return;
    }
    // Nobody waits for that many.
    close_with_421(event::Reason::EndlessData, {4, 3, 0}, "the chunk is too large");
}

void ServerSession::swallow_chunk(std::string_view& input) {
    const uint64_t taken = std::min<uint64_t>(refused_chunk_->octets_left, input.size());
    input.remove_prefix(taken);
    refused_chunk_->octets_left -= taken;
    if (refused_chunk_->octets_left > 0) return;
    say_refused_chunk();
}

void ServerSession::say_refused_chunk() {
    const RefusedChunk refused = *std::exchange(refused_chunk_, std::nullopt);
    for (std::size_t i = 0; i < refused.replies; ++i) {
        say(refused.reply.code, refused.reply.status, refused.reply.text);
    }
}

}  // namespace postrider::smtp
