// mail/header.h: a walk over the header block of a message, as octets.
//
// Nothing is decoded, unfolded or rewritten here: a field is a range of the block as it was
// received, so that what is signed, stored and sent stays what came in. Editing the block (it may
// happen once, before it is stored) means copying the ranges that stay.
//
// Tolerant, as received mail is: a line ends at LF, with or without a CR before it; white space may
// stand before the colon (RFC 5322 §4.5); lines may be of any length within the block's bound. The
// block ends with an empty line, or before the first line that neither is a field nor continues
// one, or with the content.
//
// Failure: none in HeaderReader: any octets are a (possibly empty) header block and a body.
//   HeaderBlockScanner says when a bound of base/limits.h is passed.
// Threads: values and views; the octets must outlive the views.
// RFC 5322 §2.1, §2.2, §2.2.3, §4.5.

#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace postrider {

struct HeaderField {
    std::string_view name;   // as written, without white space before the colon
    std::string_view value;  // all after the colon, folded as it came, without the last line end
    std::string_view whole;  // name to last line end (which a block cut short may lack)
    std::size_t begin = 0;   // where `whole` begins in the block

    bool is_named(std::string_view other) const;  // case does not matter
};

// Goes through the fields of `content` (a header block, or a message that begins with one).
class HeaderReader {
public:
    explicit HeaderReader(std::string_view content) : content_(content) {}

    // The next field, or nothing at the end of the block.
    std::optional<HeaderField> next();

    // After next() gave nothing: the octets of the block, without the empty line that ends it.
    std::size_t header_octets() const { return position_; }
    // After next() gave nothing: where the body begins, behind the empty line if there is one.
    std::size_t body_begin() const;

private:
    std::string_view content_;
    std::size_t position_ = 0;
};

// Number of fields of that name; with "Received", the hops so far (RFC 5321 §6.3).
std::size_t count_fields(std::string_view header, std::string_view name);

// The first field of that name.
std::optional<HeaderField> find_field(std::string_view header, std::string_view name);

// The value as one line: line ends of folding removed (RFC 5322 §2.2.3), white space at both ends
// too. Octets are not decoded.
std::string unfolded(std::string_view value);

// Finds the end of the header block in a content that comes in pieces, without keeping them. How
// the content is cut into pieces changes nothing.
class HeaderBlockScanner {
public:
    enum class State : uint8_t {
        More,           // the end has not been seen
        Ended,          // header_octets() and body_begin() are known
        TooLarge,       // no end within kHeaderBlockOctetsMax
        TooManyFields,  // more than kHeaderFieldsMax
    };

    // Takes the next piece. After Ended or an error further pieces change nothing.
    State feed(std::string_view piece);

    // The content has ended: More becomes Ended.
    State finish();

    State state() const { return state_; }
    // REQUIRES: state() == Ended. Counted from the first octet of the first piece.
    uint64_t header_octets() const { return header_octets_; }  // without the empty line
    uint64_t body_begin() const { return body_begin_; }        // behind the empty line, if any
    std::size_t field_count() const { return fields_; }

private:
    enum class Place : uint8_t {
        LineBegin,
        LineBeginCr,
        Name,
        AfterName,
        Rest
    };

    bool take(char c);
    void begin_line();
    void end_at(uint64_t header_octets, uint64_t body_begin);

    State state_ = State::More;
    Place place_ = Place::LineBegin;
    uint64_t seen_ = 0;        // octets taken so far
    uint64_t line_begin_ = 0;  // of the line we are in
    uint64_t header_octets_ = 0;
    uint64_t body_begin_ = 0;
    std::size_t fields_ = 0;
};

}  // namespace postrider
