// smtp/data_decoder.h: from the octets behind a 354 or a BDAT to the content of a message.
//
// Finds the end of the data, takes the stuffed dots out, and holds content to its rules. In chunks
// (BDAT) dots mean nothing and the end is told by finish(); the body of a BINARYMIME message is
// octets, but its header block is lines like any other. Chunks are
// views into the input: nothing is copied. Plain text is passed many octets at a time, other lines
// one by one; a state is kept only across the cut of two inputs.
//
// Promises
//   1. The end is CRLF.CRLF and nothing else (the CRLF of the DATA line counts as the first).
//   2. Content that is given out has every CR before a LF, every LF behind a CR, and no NUL.
//   3. After a broken rule, next() swallows up to the true end and gives out nothing more.
//   4. Where the input is cut changes where chunks are cut and nothing else.
// Of 1 to 3, what follows the header block of a BINARYMIME message keeps the limit of size alone.
//
// Threads: one at a time.
// RFC 5321 §4.1.1.4, §4.5.2 (transparency), §4.5.3.1.6 (line length, without the stuffed dot);
// RFC 1870 §5 (what counts as size); RFC 3030 §2, §3 (chunks, binary).

#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace postrider::smtp {

// A CR without LF behind it, or a LF without CR before it.
enum class BareLineEnds : uint8_t {
    Refuse,
    Normalise,  // for listed clients: each becomes CRLF, and still never ends the data
};

enum class ContentRule : uint8_t {
    BareCr,
    BareLf,
    Nul,
    LineTooLong,
    TooLarge
};

// How the end of content is known, and what it may hold.
enum class ContentForm : uint8_t {
    Dotted,  // behind DATA
    Chunks,  // behind BDAT
    Binary,  // behind BDAT, with BODY=BINARYMIME
};

struct ContentRules {
    BareLineEnds bare_line_ends = BareLineEnds::Refuse;
    std::size_t line_octets_max = 1000;  // with CRLF
    uint64_t octets_max = UINT64_MAX;
    ContentForm form = ContentForm::Dotted;
};

class DataDecoder {
public:
    struct Step {
        enum class Kind : uint8_t {
            NeedInput,  // all input is used
            Chunk,      // `chunk` is content; lives as long as the input
            Broken,     // `rule` was broken; said once, what follows is swallowed
            Ended,      // the data is over; what is left of the input are commands
        };
        Kind kind = Kind::NeedInput;
        std::string_view chunk = {};
        ContentRule rule = ContentRule::BareCr;
    };

    DataDecoder() = default;
    explicit DataDecoder(const ContentRules& rules) : rules_(rules) {}

    // Takes from the front of `input` what it used. Ended is given for Dotted content only.
    // REQUIRES: Ended was not given yet.
    Step next(std::string_view& input);

    // The last chunk is whole. Broken if the content may not end so, Chunk if something is still
    // to be given out (call again), else Ended. REQUIRES: the form is not Dotted.
    Step finish();

    uint64_t octets() const { return octets_; }    // of content given out
    bool eight_bit() const { return eight_bit_; }  // an octet above 127 was given out
    bool is_broken() const { return broken_; }

private:
    enum class Place : uint8_t {
        LineStart,      // behind CRLF, or at the very beginning
        BareLineStart,  // behind a bare line end that was normalised
        InLine,
        Cr,       // behind a CR that was given out
        Dot,      // behind CRLF "." - the dot is held back
        DotCr,    // behind CRLF "." CR - both are held back
        BareDot,  // behind a normalised line end and "." - the dot is held back
        Octets,   // in a binary body
        Over,
    };

    // Where in a chunk there are lines of which all is known.
    struct Plain {
        std::size_t begin = 0;
        std::size_t octets = 0;
        bool eight_bit = false;
    };

    Step at_dot(std::string_view& input);
    Step at_dot_cr();
    Step run(std::string_view& input);
    Plain plain_lines(std::string_view text) const;
    Step give(std::string_view& input, std::size_t length, const Plain& plain);
    Step give_constant(std::string_view text, Place place);
    Step bare(std::string_view& input, ContentRule rule);
    Step broken(ContentRule rule, Place place);
    Step swallow(std::string_view& input);
    Step binary_header(std::string_view& input);
    Step octets(std::string_view& input);
    bool is_dotted() const { return rules_.form == ContentForm::Dotted; }

    ContentRules rules_;
    Place place_ = Place::LineStart;
    bool broken_ = false;
    bool eight_bit_ = false;
    std::size_t line_octets_ = 0;  // of the present line, so far
    uint64_t octets_ = 0;
    uint64_t line_begin_ = 0;  // in the header block of a binary message: octets_ at its start
};

}  // namespace postrider::smtp
