#include "smtp/data_encoder.h"

#include <fmt/format.h>

#include <cassert>
#include <cstring>

namespace postrider::smtp {

namespace {

constexpr std::string_view kDot = ".";
constexpr std::string_view kCrlf = "\r\n";

std::size_t find(std::string_view text, char wanted) {
    if (text.empty()) return std::string_view::npos;
    const void* found = std::memchr(text.data(), wanted, text.size());
    return found ? static_cast<std::size_t>(static_cast<const char*>(found) - text.data())
                 : std::string_view::npos;
}

// Collects pieces; runs of content that touch each other become one.
class Pieces {
public:
    explicit Pieces(std::span<std::string_view> room) : room_(room) {}

    // One line takes at most two: a dot, and the line.
    bool has_room_for_a_line() const { return count_ + 2 <= room_.size(); }
    void add(std::string_view piece) {
        if (piece.empty()) return;
        if (count_ > 0) {
            std::string_view& last = room_[count_ - 1];
            if (last.data() + last.size() == piece.data()) {
                last = {last.data(), last.size() + piece.size()};
                return;
            }
        }
        room_[count_++] = piece;
    }
    std::size_t count() const { return count_; }

private:
    std::span<std::string_view> room_;
    std::size_t count_ = 0;
};

}  // namespace

Result<DataEncoder::Encoded, ContentFault> DataEncoder::encode(std::string_view chunk,
                                                               std::span<std::string_view> room) {
    assert(room.size() >= kPiecesMin);
    using Kind = ContentFault::Kind;
    Pieces pieces(room);
    std::size_t used = 0;
    auto fault = [&](Kind kind, std::size_t at) {
        return std::unexpected(ContentFault{kind, offset_ + at});
    };

    if (at_ == At::AfterCr && !chunk.empty()) {
        if (chunk.front() != '\n') return std::unexpected(ContentFault{Kind::BareCr, offset_ - 1});
        pieces.add(kCrlf);
        used = 1;
        at_ = At::LineStart;
    }
    // Line by line, each searched by memchr for the three octets that matter.
    while (used < chunk.size() && pieces.has_room_for_a_line()) {
        std::string_view rest = chunk.substr(used);
        std::size_t lf = find(rest, '\n');
        std::string_view line = lf == std::string_view::npos ? rest : rest.substr(0, lf + 1);
        std::size_t nul = find(line, '\0');
        std::size_t cr = find(line, '\r');
        bool cr_ends_chunk = lf == std::string_view::npos && cr == line.size() - 1;
        // The earlier of two faults is told, so that the cut of the content makes no difference.
        if (cr != std::string_view::npos && cr + 1 != lf && !cr_ends_chunk && cr < nul) {
            return fault(Kind::BareCr, used + cr);
        }
        if (nul != std::string_view::npos) return fault(Kind::Nul, used + nul);
        if (lf != std::string_view::npos && cr == std::string_view::npos) {
            return fault(Kind::BareLf, used + lf);
        }
        // RFC 5321 §4.5.2: one more dot before a line that begins with one.
        if (at_ == At::LineStart && line.front() == '.') pieces.add(kDot);
        pieces.add(cr_ends_chunk ? line.substr(0, cr) : line);
        at_ = cr_ends_chunk                  ? At::AfterCr
              : lf != std::string_view::npos ? At::LineStart
                                             : At::InLine;
        used += line.size();
    }
    offset_ += used;
    return Encoded{used, pieces.count()};
}

Result<std::string_view, ContentFault> DataEncoder::finish() {
    switch (at_) {
        case At::LineStart:
            return std::string_view(".\r\n");
        case At::InLine:
            return std::string_view("\r\n.\r\n");
        case At::AfterCr:
            break;
    }
    return std::unexpected(ContentFault{ContentFault::Kind::BareCr, offset_ - 1});
}

std::string ContentFault::text() const {
    std::string_view what = kind == Kind::BareCr   ? "bare CR"
                            : kind == Kind::BareLf ? "bare LF"
                                                   : "NUL";
    return fmt::format("{} at octet {} of the content", what, offset);
}

}  // namespace postrider::smtp
