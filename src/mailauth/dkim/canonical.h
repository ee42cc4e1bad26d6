// mailauth/dkim/canonical.h: the two canonical forms of a header field and of a body.
//
// The problem: relays change white space. A signature is over a form of the message in which the
// changes that its signer allows do not show. A body comes in chunks of any size and is never
// copied as a whole: spans that stay as they are go to the sink straight from the chunk.
//
// A Sink has put(const char*, std::size_t); a body ends with finish(), once.
//
// Promise: what the sink gets, put together, depends on the octets alone, not on how they were cut
//   (canonical_fuzz.cc).
// Only CRLF ends a line of a body; a bare CR or LF is content.
// Failure: none; any octets have a canonical form.
// Threads: values, one thread at a time.
// RFC 6376 §3.4.

#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace postrider::mailauth::dkim {

enum class Canonicalization : uint8_t {
    Simple,
    Relaxed
};

std::string_view name(Canonicalization form);  // "simple", "relaxed"

// RFC 6376 §3.4.2: appends the relaxed form of the field, without a line end.
void append_relaxed_field(std::string_view field_name, std::string_view value, std::string& out);

// The number of octets at the front that stand so in the relaxed form as well, up to the first tab,
// or space that white space or a line end follows, or that is last. Line ends are not looked at.
std::size_t relaxed_prefix(const char* text, std::size_t size);

// Line ends that were seen and go to the sink only when something follows them: those at the end of
// a body do not count. Also a CR that may be half of a line end.
template <typename Sink>
struct HeldLineEnds {
    Sink sink;
    uint64_t ends = 0;     // line ends held
    bool cr = false;       // behind them, a CR that was the last octet
    bool written = false;  // the sink has got something

    void flush() {
        static constexpr char kLines[] = "\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
        while (ends > 0) {
            const std::size_t now = ends < 8 ? static_cast<std::size_t>(ends) : 8;
            sink.put(kLines, 2 * now);
            ends -= now;
        }
    }
    void flush_cr() {
        if (!cr) return;
        flush();
        sink.put("\r", 1);
        cr = false;
        written = true;
    }
    // Puts all but the line ends at the end of the span, which are held.
    void put_holding(const char* text, std::size_t size) {
        std::size_t end = size;
        const bool ends_with_cr = end > 0 && text[end - 1] == '\r';
        if (ends_with_cr) end--;
        uint64_t ends_here = 0;
        while (end >= 2 && text[end - 1] == '\n' && text[end - 2] == '\r') {
            end -= 2;
            ends_here++;
        }
        if (end > 0) {
            flush();
            sink.put(text, end);
            written = true;
        }
        ends += ends_here;
        cr = ends_with_cr;
    }
};

// RFC 6376 §3.4.3: as it is, with one line end in place of all at the end.
template <typename Sink>
class SimpleBody {
public:
    explicit SimpleBody(Sink sink) : held_{.sink = std::move(sink)} {}

    void update(std::string_view chunk) {
        if (chunk.empty()) return;
        if (held_.cr) {
            if (chunk.front() == '\n') {
                held_.cr = false;
                held_.ends++;
                chunk.remove_prefix(1);
            } else {
                held_.flush_cr();
            }
        }
        held_.put_holding(chunk.data(), chunk.size());
    }
    void finish() {
        held_.flush_cr();
        held_.sink.put("\r\n", 2);
    }
    Sink& sink() { return held_.sink; }

private:
    HeldLineEnds<Sink> held_;
};

// RFC 6376 §3.4.4: besides, white space at the ends of lines goes, and any other is one space.
template <typename Sink>
class RelaxedBody {
public:
    explicit RelaxedBody(Sink sink) : held_{.sink = std::move(sink)} {}

    void update(std::string_view chunk) {
        const char* at = chunk.data();
        const char* end = at + chunk.size();
        while (at != end) {
            if (!space_ && !held_.cr) {
                const std::size_t same = relaxed_prefix(at, static_cast<std::size_t>(end - at));
                held_.put_holding(at, same);
                at += same;
                if (at == end) break;
            }
            at += take(*at);
            if (space_ && !held_.cr) {
                while (at != end && (*at == ' ' || *at == '\t')) at++;
            }
        }
    }
    void finish() {
        if (held_.cr) put_space_and_cr();
        if (held_.written) held_.sink.put("\r\n", 2);
    }
    Sink& sink() { return held_.sink; }

private:
    void put_space() {
        held_.flush();
        if (space_) held_.sink.put(" ", 1);
        held_.written |= space_;
        space_ = false;
    }
    void put_space_and_cr() {
        put_space();
        held_.flush_cr();
    }
    // One octet where white space or a CR is held, or at white space. Returns how many were taken:
    // none of those with which ordinary text begins again.
    std::size_t take(char c) {
        if (held_.cr && c == '\n') {
            held_.cr = space_ = false;
            held_.ends++;
            return 1;
        }
        if (held_.cr) put_space_and_cr();
        if (c == ' ' || c == '\t') {
            space_ = true;
            return 1;
        }
        if (c == '\r') {
            held_.cr = true;
            return 1;
        }
        put_space();
        return 0;
    }

    HeldLineEnds<Sink> held_;
    bool space_ = false;  // white space behind the held line ends, and before a held CR
};

}  // namespace postrider::mailauth::dkim
