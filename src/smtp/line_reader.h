// smtp/line_reader.h: command lines out of octets that come in any pieces.
//
// A line that came whole is a view into the input; only a line cut by the end of the input is
// copied, up to 2 KiB, or 12 KiB within an AUTH exchange. Of a line that is too long nothing is
// kept: its rest is swallowed. A line that ends with a bare LF is refused, but at that LF, so that
// a broken client gets its error and not a hang.
//
// Threads: one at a time.
// RFC 5321 §2.3.8 (lines), §4.1.1 (trailing white space), §4.5.3.1.4 (length); RFC 4954 §4 (length
// of AUTH lines).

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postrider::smtp {

class LineReader {
public:
    struct Line {
        std::string_view text;      // without line end and trailing white space
        std::string_view error;     // not empty: why it cannot be a command; text is empty then
        bool is_long_auth = false;  // the error is the length of an AUTH line
    };

    // Which lines may be longer than a command.
    enum class Auth : uint8_t {
        No,
        Command,   // those that begin with AUTH
        Response,  // all: responses to a challenge are awaited
    };

    // Takes from the front of `input` what it used. Nothing: the line is not whole yet, all input
    // is used. The text lives until the next call, or as long as the input.
    std::optional<Line> next(std::string_view& input, Auth auth = Auth::No);

    // Frees the last line if it was held here; its text is gone.
    void release();

    std::size_t memory_octets() const { return partial_.capacity(); }

private:
    std::string partial_;     // the part of a line that came so far
    bool used_ = false;       // partial_ was given out whole
    bool too_long_ = false;   // the rest of an over-long line is being swallowed
    bool long_auth_ = false;  // and that line belongs to an AUTH exchange
};

}  // namespace postrider::smtp
