#include "mailauth/spf/macro.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>
#include <span>
#include <vector>

#include "mailauth/domain.h"

namespace postrider::mailauth::spf {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alpha(char c) { return ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z'; }

// RFC 7208 §7.1: delimiter.
bool is_delimiter(char c) { return std::string_view(".-+,/_=").find(c) != std::string_view::npos; }

// One piece of a macro string: a run of literals, or a macro.
struct Piece {
    std::string_view literal;     // of a run, or of "%%", "%_", "%-" what it stands for
    bool is_macro = false;        // also for the three
    char letter = 0;              // of %{...}: as written; else 0
    unsigned parts = 0;           // right-hand parts to use; 0: all
    bool reverse = false;         // the "r" transformer
    bool transformed = false;     // a transformer or a delimiter was given
    std::string_view delimiters;  // empty: "."
};

// Reads macro strings from left to right. RFC 7208 §7.1, §7.3.
class PieceReader {
public:
    explicit PieceReader(std::string_view text) : rest_(text) {}

    bool at_end() const { return rest_.empty(); }

    // REQUIRES: !at_end().
    Result<Piece> next() {
        Piece piece;
        if (rest_.front() != '%') {
            const std::size_t end = std::min(rest_.find('%'), rest_.size());
            piece.literal = rest_.substr(0, end);
            rest_.remove_prefix(end);
            return piece;
        }
        piece.is_macro = true;
        const char kind = rest_.size() > 1 ? rest_[1] : '\0';
        if (kind == '{') return macro();
        if (kind == '%') {
            piece.literal = "%";
        } else if (kind == '_') {
            piece.literal = " ";
        } else if (kind == '-') {
            piece.literal = "%20";
        } else {
            return fail(R"(has a "%" that is followed by none of "{", "%", "_", "-")");
        }
        rest_.remove_prefix(2);
        return piece;
    }

private:
    // macro-expand = "%{" macro-letter transformers *delimiter "}"
    Result<Piece> macro() {
        const std::size_t close = rest_.find('}');
        if (close == std::string_view::npos) return fail(R"(has a "%{" without its "}")");
        const std::string_view whole = rest_.substr(0, close + 1);
        std::string_view inner = rest_.substr(2, close - 2);
        rest_.remove_prefix(close + 1);

        Piece piece;
        piece.is_macro = true;
        if (inner.empty() || !is_alpha(inner.front())) return bad(whole);
        piece.letter = inner.front();
        inner.remove_prefix(1);
        piece.transformed = !inner.empty();
        if (!inner.empty() && is_digit(inner.front())) {
            while (!inner.empty() && is_digit(inner.front())) {
                // More parts than any name or local-part has are all of them.
                piece.parts = std::min(piece.parts * 10 + unsigned(inner.front() - '0'), 100'000U);
                inner.remove_prefix(1);
            }
            // RFC 7208 §7.3: "If a DIGIT is specified, the value MUST be nonzero."
            if (piece.parts == 0) return bad(whole);
        }
        if (!inner.empty() && ascii_lower(inner.front()) == 'r') {
            piece.reverse = true;
            inner.remove_prefix(1);
        }
        if (!std::ranges::all_of(inner, is_delimiter)) return bad(whole);
        piece.delimiters = inner;
        return piece;
    }

    static std::unexpected<Error> bad(std::string_view whole) {
        return fail(fmt::format("has the malformed macro \"{}\"", shown(whole)));
    }

    std::string_view rest_;
};

// RFC 7208 §7.1: toplabel = ( *alphanum ALPHA *alphanum ) /
//                           ( 1*alphanum "-" *( alphanum / "-" ) alphanum )
bool is_toplabel(std::string_view label) {
    if (label.empty() || label.front() == '-' || label.back() == '-') return false;
    bool more_than_digits = false;
    for (const char c : label) {
        if (is_alpha(c) || c == '-') {
            more_than_digits = true;
        } else if (!is_digit(c)) {
            return false;
        }
    }
    return more_than_digits;
}

// RFC 7208 §7.1: domain-end, of the literals behind the last macro. Empty: the macro is the end.
bool is_domain_end(std::string_view tail, bool behind_macro) {
    if (tail.empty()) return behind_macro;
    if (tail.ends_with('.')) tail.remove_suffix(1);
    const std::size_t dot = tail.rfind('.');
    return dot != std::string_view::npos && is_toplabel(tail.substr(dot + 1));
}

Status<> check_letter(char letter, MacroPlace place) {
    const char lower = ascii_lower(letter);
    if (std::string_view("slodiphv").find(lower) != std::string_view::npos) return {};
    if (std::string_view("crt").find(lower) == std::string_view::npos) {
        return fail(fmt::format("uses the macro letter \"{}\", which does not exist", letter));
    }
    if (place == MacroPlace::Explanation) return {};
    return fail(fmt::format("uses the macro letter \"{}\", which only an explanation may", letter));
}

// RFC 7208 §7.1: macro-literal = %x21-24 / %x26-7E; explain-string takes spaces too.
Status<> check_literal(std::string_view literal, MacroPlace place) {
    for (const char c : literal) {
        if (c == ' ' && place == MacroPlace::Explanation) continue;
        if (c <= ' ' || c > '~') return fail("holds a character that is not visible US-ASCII");
    }
    return {};
}

// RFC 7208 §7.2: what a letter stands for. `scratch` holds what has to be made.
std::string_view value_of(char letter, const MacroValues& values, std::string& scratch) {
    switch (letter) {
        case 's':
            scratch = fmt::format("{}@{}", values.local_part, values.sender_domain);
            return scratch;
        case 'l':
            return values.local_part;
        case 'o':
            return values.sender_domain;
        case 'd':
            return values.domain;
        case 'h':
            return values.helo;
        case 'p':
            return values.validated_name;
        case 'r':
            return values.receiver;
        case 'v':
            return values.client.is_v6() ? "ip6" : "in-addr";
        case 't':
            scratch = fmt::format("{}", values.unix_seconds);
            return scratch;
        case 'i':
            if (!values.client.is_v6()) break;
            // RFC 7208 §7.3: the dotted form, nibble by nibble.
            for (const uint8_t octet : values.client.octets()) {
                fmt::format_to(std::back_inserter(scratch), "{:X}.{:X}.", octet >> 4, octet & 15);
            }
            scratch.pop_back();
            return scratch;
        default:
            break;
    }
    scratch = values.client.text();
    return scratch;
}

// RFC 7208 §7.3: splits at the delimiters, reverses, keeps right-hand parts, joins with dots.
void transform(const Piece& piece, std::string_view value, std::string& out) {
    const std::string_view delimiters = piece.delimiters.empty() ? "." : piece.delimiters;
    std::vector<std::string_view> parts;
    for (;;) {
        const std::size_t end = value.find_first_of(delimiters);
        parts.push_back(value.substr(0, end));
        if (end == std::string_view::npos) break;
        value.remove_prefix(end + 1);
    }
    if (piece.reverse) std::ranges::reverse(parts);
    std::span<const std::string_view> kept = parts;
    if (piece.parts != 0 && piece.parts < kept.size()) kept = kept.last(piece.parts);
    for (std::size_t i = 0; i < kept.size(); i++) {
        if (i > 0) out += '.';
        out += kept[i];
    }
}

// RFC 3986 §2.3: other than unreserved characters are escaped.
std::string url_escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (is_alpha(c) || is_digit(c) ||
            std::string_view("-._~").find(c) != std::string_view::npos) {
            out += c;
        } else {
            fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<uint8_t>(c));
        }
    }
    return out;
}

}  // namespace

Status<> check_macros(std::string_view text, MacroPlace place) {
    PieceReader reader(text);
    std::string_view tail;
    bool behind_macro = false;
    while (!reader.at_end()) {
        auto piece = reader.next();
        if (!piece) return std::unexpected(piece.error());
        if (piece->letter != 0) {
            if (auto known = check_letter(piece->letter, place); !known) return known;
        } else if (!piece->is_macro) {
            if (auto plain = check_literal(piece->literal, place); !plain) return plain;
        }
        tail = piece->is_macro ? std::string_view() : piece->literal;
        behind_macro = piece->is_macro || behind_macro;
    }
    if (place != MacroPlace::DomainSpec) return {};
    if (text.empty()) return fail("is empty");
    if (!is_domain_end(tail, behind_macro)) {
        if (IpAddress::parse(text)) return fail(R"(is an address; that is for "ip4" and "ip6")");
        return fail("does not end in a top-level domain or a macro");
    }
    return {};
}

bool uses_letter(std::string_view checked, char letter) {
    PieceReader reader(checked);
    while (!reader.at_end()) {
        const auto piece = reader.next();
        if (!piece) return false;
        if (piece->letter != 0 && ascii_lower(piece->letter) == letter) return true;
    }
    return false;
}

std::optional<std::string> expand(std::string_view checked, const MacroValues& values) {
    std::string out;
    PieceReader reader(checked);
    while (!reader.at_end()) {
        const auto piece = reader.next();
        assert(piece);
        if (piece->letter == 0) {
            out += piece->literal;
        } else {
            const char letter = ascii_lower(piece->letter);
            // RFC 8616 §4: terms with %{s} or %{l} match nothing then.
            if ((letter == 's' || letter == 'l') && !is_ascii(values.local_part)) {
                return std::nullopt;
            }
            std::string scratch;
            const std::string_view value = value_of(letter, values, scratch);
            if (piece->letter != letter) {
                std::string raw;
                transform(*piece, value, raw);
                out += url_escaped(raw);
            } else if (piece->transformed) {
                transform(*piece, value, out);
            } else {
                out += value;
            }
        }
        if (out.size() > kExpansionOctetsMax) return std::nullopt;
    }
    return out;
}

}  // namespace postrider::mailauth::spf
