// smtp/transcript.h: what was said on a connection, for the operator who asks why.
//
// Lines sent and replies received, in order, without the content of messages. The beginning and the
// end are kept when it grows too long, since a dialogue is decided at both.
//
// Promise: at most kOctetsMax octets and kLinesMax lines are kept; how many lines were left out is
// counted. Secrets are never given to it: whoever sends one adds another text in its place.
//
// Threads: a value.

#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/time.h"
#include "smtp/reply.h"

namespace postrider::smtp {

class Transcript {
public:
    static constexpr std::size_t kOctetsMax = 8 * 1024;
    static constexpr std::size_t kLinesMax = 256;
    static constexpr std::size_t kLineOctetsMax = 512;

    enum class Who : uint8_t {
        Client,
        Server,
        Note
    };

    struct Line {
        Who who = Who::Note;
        std::string text;        // without line end
        std::optional<Wall> at;  // set by stamp()
        friend bool operator==(const Line&, const Line&) = default;
    };

    void sent(std::string_view line);   // a command, with or without CRLF
    void received(const Reply& reply);  // one line for each of its lines
    void note(std::string_view text);   // what happened besides

    // Gives `now` to every line that has no time yet. The driver calls it after each step.
    void stamp(Wall now);

    bool is_empty() const { return head_.empty() && tail_.empty(); }
    std::size_t left_out() const { return left_out_; }  // lines between head and tail

    // "C: MAIL FROM:<a@b.example>", one line each; a note where lines were left out.
    std::vector<Line> lines() const;
    std::string text() const;

private:
    void add(Who who, std::string_view text);

    std::vector<Line> head_;
    std::deque<Line> tail_;
    std::size_t head_octets_ = 0;
    std::size_t tail_octets_ = 0;
    std::size_t left_out_ = 0;
    bool head_full_ = false;
};

}  // namespace postrider::smtp
