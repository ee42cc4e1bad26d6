#include "mailauth/dkim/canonical.h"

#include <bit>

#include "mailauth/domain.h"

namespace postrider::mailauth::dkim {
namespace {

bool is_wsp(char c) { return c == ' ' || c == '\t'; }

bool is_space(char c) { return is_wsp(c) || c == '\r' || c == '\n'; }

// The octet belongs to the end of a line: CRLF, or an LF alone.
bool is_line_end(std::string_view text, std::size_t at) {
    return text[at] == '\n' || (text[at] == '\r' && at + 1 < text.size() && text[at + 1] == '\n');
}

// Nonzero where an octet differs in the relaxed form, `next` being the one behind it. Without
// branches, so that a compiler can look at many at once.
unsigned char changes(char c, char next) {
    const bool tab = c == '\t';
    const bool space = c == ' ';
    const bool run = (next == ' ') | (next == '\t') | (next == '\r');
    return static_cast<unsigned char>(tab | (space & run));
}

// The top bit of each octet of `word` that is `c`, and no other bit.
uint64_t where_is(uint64_t word, char c) {
    constexpr uint64_t kEach = 0x0101010101010101, kLow = 0x7F * kEach;
    const uint64_t different = word ^ kEach * static_cast<unsigned char>(c);
    return ~(((different & kLow) + kLow) | different | kLow);
}

uint64_t load_word(const char* at) {
    static_assert(std::endian::native == std::endian::little);
    uint64_t word = 0;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// As changes(), for eight octets at once: the lowest bit set belongs to the first one.
uint64_t changes_in_word(const char* at) {
    const uint64_t word = load_word(at);
    const uint64_t next = load_word(at + 1);
    const uint64_t run = where_is(next, ' ') | where_is(next, '\t') | where_is(next, '\r');
    return where_is(word, '\t') | (where_is(word, ' ') & run);
}

}  // namespace

std::string_view name(Canonicalization form) {
    return form == Canonicalization::Simple ? "simple" : "relaxed";
}

std::size_t relaxed_prefix(const char* text, std::size_t size) {
    constexpr std::size_t kBlock = 64;
    std::size_t at = 0;
    for (; at + kBlock < size; at += kBlock) {
        unsigned char any = 0;
        for (std::size_t i = at; i < at + kBlock; i++) any |= changes(text[i], text[i + 1]);
        if (any != 0) break;
    }
    for (; at + sizeof(uint64_t) < size; at += sizeof(uint64_t)) {
        const uint64_t found = changes_in_word(text + at);
        if (found != 0) return at + static_cast<std::size_t>(std::countr_zero(found)) / 8;
    }
    for (; at < size; at++) {
        if (changes(text[at], at + 1 < size ? text[at + 1] : ' ') != 0) break;
    }
    return at;
}

void append_relaxed_field(std::string_view field_name, std::string_view value, std::string& out) {
    for (const char c : field_name) out += ascii_lower(c);
    out += ':';
    const std::size_t begin = out.size();
    bool space = false;
    for (std::size_t at = 0; at < value.size();) {
        const char c = value[at];
        // Unfolding: the line end goes, the white space behind it stays.
        if (is_wsp(c) || is_line_end(value, at)) {
            space |= is_wsp(c);
            at++;
            continue;
        }
        // A run without white space; a CR that ends no line is a run of its own.
        std::size_t end = at + 1;
        while (end < value.size() && !is_space(value[end])) end++;
        if (space && out.size() != begin) out += ' ';
        space = false;
        out += value.substr(at, end - at);
        at = end;
    }
}

}  // namespace postrider::mailauth::dkim
