#include "mail/header.h"

#include <cassert>
#include <cstring>

#include "base/limits.h"

namespace postrider {

namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return false;
    for (std::size_t i = 0; i < a.size(); i++) {
        if (lower(a[i]) != lower(b[i])) return false;
    }
    return true;
}

bool is_wsp(char c) { return c == ' ' || c == '\t'; }

// RFC 5322 §3.6.8: ftext = %d33-57 / %d59-126.
bool is_ftext(char c) { return c >= 33 && c <= 126 && c != ':'; }

// Where the line that begins at `begin` ends: behind its LF, or the end of the content.
std::size_t line_end(std::string_view content, std::size_t begin) {
    std::size_t lf = content.find('\n', begin);
    return lf == std::string_view::npos ? content.size() : lf + 1;
}

std::string_view without_line_end(std::string_view line) {
    if (line.ends_with('\n')) line.remove_suffix(1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    return line;
}

}  // namespace

bool HeaderField::is_named(std::string_view other) const {
    return equal_ignoring_case(name, other);
}

std::optional<HeaderField> HeaderReader::next() {
    std::size_t begin = position_;
    std::size_t at = begin;
    while (at < content_.size() && is_ftext(content_[at])) at++;
    std::size_t name_end = at;
    // RFC 5322 §4.5: the obsolete form has white space before the colon.
    while (at < content_.size() && is_wsp(content_[at])) at++;
    if (name_end == begin || at == content_.size() || content_[at] != ':') return std::nullopt;

    std::size_t end = line_end(content_, at);
    // RFC 5322 §2.2.3: a line that begins with white space goes on with the field.
    while (end < content_.size() && is_wsp(content_[end])) end = line_end(content_, end);

    HeaderField field;
    field.begin = begin;
    field.whole = content_.substr(begin, end - begin);
    field.name = content_.substr(begin, name_end - begin);
    field.value = without_line_end(content_.substr(at + 1, end - at - 1));
    position_ = end;
    return field;
}

std::size_t HeaderReader::body_begin() const {
    std::string_view rest = content_.substr(position_);
    if (rest.starts_with("\r\n")) return position_ + 2;
    if (rest.starts_with('\n')) return position_ + 1;
    return position_;
}

std::size_t count_fields(std::string_view header, std::string_view name) {
    std::size_t count = 0;
    HeaderReader reader(header);
    while (auto field = reader.next()) count += field->is_named(name) ? 1 : 0;
    return count;
}

std::optional<HeaderField> find_field(std::string_view header, std::string_view name) {
    HeaderReader reader(header);
    while (auto field = reader.next()) {
        if (field->is_named(name)) return field;
    }
    return std::nullopt;
}

std::string unfolded(std::string_view value) {
    std::string line;
    line.reserve(value.size());
    for (std::size_t i = 0; i < value.size(); i++) {
        if (value[i] == '\n') continue;
        if (value[i] == '\r' && i + 1 < value.size() && value[i + 1] == '\n') continue;
        line += value[i];
    }
    std::size_t first = line.find_first_not_of(" \t");
    if (first == std::string::npos) return {};
    return line.substr(first, line.find_last_not_of(" \t") - first + 1);
}

HeaderBlockScanner::State HeaderBlockScanner::feed(std::string_view piece) {
    while (state_ == State::More && !piece.empty()) {
        if (place_ == Place::Rest) {
            // The rest of a line means nothing here: go to its end in one step.
            const void* lf = std::memchr(piece.data(), '\n', piece.size());
            std::size_t skipped =
                lf ? static_cast<std::size_t>(static_cast<const char*>(lf) - piece.data()) + 1
                   : piece.size();
            seen_ += skipped;
            piece.remove_prefix(skipped);
            if (lf) begin_line();
        } else if (take(piece.front())) {
            seen_++;
            piece.remove_prefix(1);
        }
        if (state_ == State::More && seen_ > kHeaderBlockOctetsMax) state_ = State::TooLarge;
    }
    return state_;
}

HeaderBlockScanner::State HeaderBlockScanner::finish() {
    if (state_ != State::More) return state_;
    // A last line without its end counts when it is, or continues, a field.
    bool field_line = place_ == Place::Rest || place_ == Place::LineBegin;
    uint64_t end = field_line ? seen_ : line_begin_;
    end_at(end, end);
    return state_;
}

// Takes one octet outside Rest. False when the block ended before it.
bool HeaderBlockScanner::take(char c) {
    switch (place_) {
        case Place::LineBegin:
            if (c == '\n') {
                end_at(line_begin_, seen_ + 1);
            } else if (c == '\r') {
                place_ = Place::LineBeginCr;
            } else if (is_wsp(c) && fields_ > 0) {
                place_ = Place::Rest;
            } else if (is_ftext(c)) {
                place_ = Place::Name;
            } else {
                end_at(line_begin_, line_begin_);
                return false;
            }
            return true;
        case Place::LineBeginCr:
            if (c == '\n') {
                end_at(line_begin_, seen_ + 1);
                return true;
            }
            break;
        case Place::Name:
            if (is_ftext(c)) return true;
            if (is_wsp(c)) {
                place_ = Place::AfterName;
                return true;
            }
            [[fallthrough]];
        case Place::AfterName:
            if (place_ == Place::AfterName && is_wsp(c)) return true;
            if (c == ':') {
                place_ = Place::Rest;
                if (++fields_ > kHeaderFieldsMax) state_ = State::TooManyFields;
                return true;
            }
            break;
        case Place::Rest:
            assert(false);
    }
    end_at(line_begin_, line_begin_);
    return false;
}

void HeaderBlockScanner::begin_line() {
    place_ = Place::LineBegin;
    line_begin_ = seen_;
}

void HeaderBlockScanner::end_at(uint64_t header_octets, uint64_t body_begin) {
    state_ = State::Ended;
    header_octets_ = header_octets;
    body_begin_ = body_begin;
}

}  // namespace postrider
