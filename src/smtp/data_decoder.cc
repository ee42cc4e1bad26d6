#include "smtp/data_decoder.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <optional>

namespace postrider::smtp {
namespace {

const char* find(const char* from, const char* end, char wanted) {
    return static_cast<const char*>(
        std::memchr(from, wanted, static_cast<std::size_t>(end - from)));
}

struct Octets {
    bool nul = false;
    bool eight_bit = false;
};

// One pass without branches, for the compiler to do sixteen at a time.
Octets look_at(std::string_view text) {
    unsigned char all = 0, nul = 0;
    for (const char c : text) {
        all |= static_cast<unsigned char>(c);
        nul |= static_cast<unsigned char>(c == '\0');
    }
    return {nul != 0, all > 127};
}

// Whether lines, of which the last is whole, are text and nothing else: each LF behind a CR and
// each CR before one, no NUL, no dot in front of a line but the first. One pass of that kind, too.
bool are_plain(std::string_view lines, bool& eight_bit) {
    unsigned char all = 0, odd = 0;
    const char* const before = lines.data();
    const char* const octets = before + 1;
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
        const char c = octets[i];
        odd |= static_cast<unsigned char>((before[i] == '\r') != (c == '\n'));
        odd |= static_cast<unsigned char>((before[i] == '\n') & (c == '.'));
        odd |= static_cast<unsigned char>(c == '\0');
        all |= static_cast<unsigned char>(c);
    }
    const char first = lines.front();
    if (odd != 0 || first == '\n' || first == '\0') return false;
    eight_bit = eight_bit || (all | static_cast<unsigned char>(first)) > 127;
    return true;
}

}  // namespace

DataDecoder::Step DataDecoder::next(std::string_view& input) {
    assert(place_ != Place::Over);
    while (!input.empty()) {
        if (broken_) return swallow(input);
        switch (place_) {
            case Place::Dot:
                if (input.front() == '\r') {
                    place_ = Place::DotCr;
                    input.remove_prefix(1);
                } else if (input.front() == '\n') {
                    return at_dot(input);
                } else {
                    place_ = Place::InLine;  // RFC 5321 §4.5.2: the first dot is taken away
                    line_octets_ = 0;
                }
                continue;
            case Place::DotCr:
                if (input.front() != '\n') return at_dot_cr();
                input.remove_prefix(1);
                place_ = Place::Over;
                return {.kind = Step::Kind::Ended};
            case Place::BareDot:
                line_octets_ = 0;
                // ".." is a stuffed dot; a dot alone is a dot, whatever follows it.
                if (input.front() != '.') return give_constant(".", Place::InLine);
                place_ = Place::InLine;
                continue;
            case Place::LineStart:
            case Place::BareLineStart:
                if (is_dotted() && input.front() == '.') {
                    place_ = place_ == Place::LineStart ? Place::Dot : Place::BareDot;
                    input.remove_prefix(1);
                    continue;
                }
                line_octets_ = 0;
                place_ = Place::InLine;
                continue;
            case Place::InLine:
            case Place::Cr:
                return rules_.form == ContentForm::Binary ? binary_header(input) : run(input);
            case Place::Octets:
                return octets(input);
            case Place::Over:
                break;
        }
    }
    return {};
}

// CRLF "." LF: not the end. The LF is bare.
DataDecoder::Step DataDecoder::at_dot(std::string_view& input) {
    if (rules_.bare_line_ends == BareLineEnds::Refuse) {
        return broken(ContentRule::BareLf, Place::InLine);
    }
    input.remove_prefix(1);
    return give_constant(".\r\n", Place::BareLineStart);
}

// CRLF "." CR and no LF: not the end. The CR is bare.
DataDecoder::Step DataDecoder::at_dot_cr() {
    if (rules_.bare_line_ends == BareLineEnds::Refuse) {
        return broken(ContentRule::BareCr, Place::Cr);
    }
    return give_constant(".\r\n", Place::BareLineStart);
}

// A bare line end is at the front of the input (a LF), or just before it (a CR, given out already).
DataDecoder::Step DataDecoder::bare(std::string_view& input, ContentRule rule) {
    if (rules_.bare_line_ends == BareLineEnds::Refuse) return broken(rule, place_);
    if (rule == ContentRule::BareCr) return give_constant("\n", Place::BareLineStart);
    input.remove_prefix(1);
    return give_constant("\r\n", Place::BareLineStart);
}

// From within a line, over as many lines as possible: up to a dot at the start of a line, to the
// first octet that breaks a rule, or to the end of what there is. The state is exact where it
// stops.
DataDecoder::Step DataDecoder::run(std::string_view& input) {
    const uint64_t size_left = rules_.octets_max - octets_;
    if (size_left == 0) return broken(ContentRule::TooLarge, place_);
    const char* const begin = input.data();
    const char* const end = begin + std::min<uint64_t>(input.size(), size_left);
    const char* at = begin;
    std::optional<Plain> plain;  // tried once
    while (at < end) {
        if (place_ == Place::LineStart) {
            if (is_dotted() && *at == '.') break;
            place_ = Place::InLine;
            line_octets_ = 0;
        }
        if (!plain && place_ == Place::InLine) {
            plain = plain_lines({at, end});
            plain->begin = static_cast<std::size_t>(at - begin);
            if (plain->octets > 0) {
                at += plain->octets;
                place_ = Place::LineStart;
                continue;
            }
        }
        // Nothing of this line may lie at or behind `line_limit`.
        const std::size_t line_left = rules_.line_octets_max - line_octets_;
        const bool clamped = static_cast<std::size_t>(end - at) > line_left;
        const char* const line_limit = clamped ? at + line_left : end;
        if (line_limit == at) {
            if (at == begin) return broken(ContentRule::LineTooLong, place_);
            break;
        }
        if (place_ == Place::Cr) {
            if (*at != '\n') {
                if (at == begin) return bare(input, ContentRule::BareCr);
                break;
            }
            ++at;
            place_ = Place::LineStart;
            continue;
        }
        const char* lf = find(at, line_limit, '\n');
        const char* const stop = lf ? lf : line_limit;
        const char* cr = find(at, stop, '\r');
        if (!cr && !lf) {
            line_octets_ += static_cast<std::size_t>(stop - at);
            at = stop;
        } else if (cr && cr + 1 == lf) {
            at = lf + 1;
            place_ = Place::LineStart;
        } else if (cr) {  // to be judged by the octet behind it
            line_octets_ += static_cast<std::size_t>(cr + 1 - at);
            at = cr + 1;
            place_ = Place::Cr;
        } else if (lf == begin) {
            return bare(input, ContentRule::BareLf);
        } else {
            line_octets_ += static_cast<std::size_t>(lf - at);
            at = lf;
            break;
        }
    }
    return give(input, static_cast<std::size_t>(at - begin), plain.value_or(Plain{}));
}

// What of `text`, from where a line is now, is ends of lines without anything that needs a closer
// look. By as much as one line may hold: none is too long, if each such piece has an end of a line.
DataDecoder::Plain DataDecoder::plain_lines(std::string_view text) const {
    Plain plain;
    std::size_t room = rules_.line_octets_max - line_octets_;
    for (;; room = rules_.line_octets_max) {
        std::string_view piece = text.substr(plain.octets, room);
        const void* lf = ::memrchr(piece.data(), '\n', piece.size());
        if (!lf) return plain;
        piece = {piece.data(), static_cast<const char*>(lf) + 1};
        const bool starts_with_dot = plain.octets > 0 && piece.front() == '.';
        if (starts_with_dot || !are_plain(piece, plain.eight_bit)) return plain;
        plain.octets += piece.size();
    }
}

// Line by line up to the empty line, behind which anything may stand.
DataDecoder::Step DataDecoder::binary_header(std::string_view& input) {
    std::string_view line = input.substr(0, std::min(input.find('\n'), input.size() - 1) + 1);
    const std::size_t before = line.size();
    const Step step = run(line);
    input.remove_prefix(before - line.size());
    const bool whole = place_ == Place::LineStart || place_ == Place::BareLineStart;
    if (step.kind == Step::Kind::Chunk && whole) {
        if (octets_ - line_begin_ == 2) place_ = Place::Octets;
        line_begin_ = octets_;
    }
    return step;
}

DataDecoder::Step DataDecoder::octets(std::string_view& input) {
    const uint64_t size_left = rules_.octets_max - octets_;
    if (size_left == 0) return broken(ContentRule::TooLarge, place_);
    const std::string_view chunk = input.substr(0, size_left);
    eight_bit_ = eight_bit_ || look_at(chunk).eight_bit;
    input.remove_prefix(chunk.size());
    octets_ += chunk.size();
    return {.kind = Step::Kind::Chunk, .chunk = chunk};
}

DataDecoder::Step DataDecoder::finish() {
    assert(!is_dotted() && place_ != Place::Over);
    if (broken_ || place_ != Place::Cr) return {.kind = Step::Kind::Ended};
    std::string_view nothing;
    return bare(nothing, ContentRule::BareCr);
}

DataDecoder::Step DataDecoder::give(std::string_view& input, std::size_t length,
                                    const Plain& plain) {
    assert(length > 0);
    std::string_view chunk = input.substr(0, length);
    const Octets before = look_at(chunk.substr(0, plain.begin));
    const Octets behind = look_at(chunk.substr(plain.begin + plain.octets));
    if (before.nul || behind.nul) {
        const std::size_t nul = chunk.find('\0');
        input.remove_prefix(nul);
        return broken(ContentRule::Nul, Place::InLine);
    }
    eight_bit_ = eight_bit_ || plain.eight_bit || before.eight_bit || behind.eight_bit;
    input.remove_prefix(length);
    octets_ += length;
    return {.kind = Step::Kind::Chunk, .chunk = chunk};
}

DataDecoder::Step DataDecoder::give_constant(std::string_view text, Place place) {
    if (rules_.octets_max - octets_ < text.size()) return broken(ContentRule::TooLarge, place_);
    place_ = place;
    line_octets_ = place == Place::InLine ? text.size() : 0;
    octets_ += text.size();
    return {.kind = Step::Kind::Chunk, .chunk = text};
}

DataDecoder::Step DataDecoder::broken(ContentRule rule, Place place) {
    broken_ = true;
    place_ = place;
    return {.kind = Step::Kind::Broken, .rule = rule};
}

// Up to CRLF.CRLF, whatever stands before it.
DataDecoder::Step DataDecoder::swallow(std::string_view& input) {
    if (!is_dotted()) input = {};  // whoever counts the chunk's octets knows its end
    while (!input.empty()) {
        if (place_ == Place::InLine || place_ == Place::BareLineStart || place_ == Place::BareDot) {
            const std::size_t cr = std::min(input.find('\r'), input.size());
            input.remove_prefix(cr);
            place_ = Place::InLine;
            if (input.empty()) break;
        }
        const char c = input.front();
        input.remove_prefix(1);
        if (place_ == Place::DotCr && c == '\n') {
            place_ = Place::Over;
            return {.kind = Step::Kind::Ended};
        }
        if (c == '\r') {
            place_ = place_ == Place::Dot ? Place::DotCr : Place::Cr;
        } else if (c == '\n' && place_ == Place::Cr) {
            place_ = Place::LineStart;
        } else if (c == '.' && place_ == Place::LineStart) {
            place_ = Place::Dot;
        } else {
            place_ = Place::InLine;
        }
    }
    return {};
}

}  // namespace postrider::smtp
