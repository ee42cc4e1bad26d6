#include "mail/seven_bit.h"

#include <algorithm>
#include <array>

#include "mail/header.h"

namespace postrider {

namespace seven_bit {

namespace {

bool is_eight_bit(std::string_view text) {
    return std::ranges::any_of(text, [](char c) { return (c & '\x80') != 0; });
}

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    }
    return out;
}

// A structured value (RFC 2045 §5.1) without its comments; quoted strings stay as they are.
std::string without_comments(std::string_view text) {
    std::string out;
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        bool escaped = c == '\\' && (quoted || depth > 0) && i + 1 < text.size();
        if (depth == 0 && c == '"') quoted = !quoted;
        if (!quoted && c == '(') depth++;
        if (depth == 0) out += c;
        if (!quoted && c == ')' && depth > 0) depth--;
        if (!escaped) continue;
        i++;
        if (depth == 0) out += text[i];
    }
    return out;
}

std::string_view trimmed(std::string_view text) {
    std::size_t begin = text.find_first_not_of(" \t\r\n");
    if (begin == std::string_view::npos) return {};
    return text.substr(begin, text.find_last_not_of(" \t\r\n") - begin + 1);
}

std::string unquoted(std::string_view text) {
    if (text.size() < 2 || text.front() != '"') return std::string(text);
    std::string out;
    for (std::size_t i = 1; i < text.size() && text[i] != '"'; i++) {
        if (text[i] == '\\' && i + 1 < text.size()) i++;
        out += text[i];
    }
    return out;
}

// The value of the parameter `name` in "type; a=b; c=\"d\"".
std::string parameter(std::string_view value, std::string_view name) {
    bool quoted = false;
    std::size_t begin = std::string_view::npos;  // of the parameter that is being read
    for (std::size_t i = 0; i <= value.size(); i++) {
        bool end = i == value.size();
        if (!end && value[i] == '\\' && quoted) {
            i++;
            continue;
        }
        if (!end && value[i] == '"') quoted = !quoted;
        if (!end && (value[i] != ';' || quoted)) continue;
        if (begin != std::string_view::npos) {
            std::string_view one = value.substr(begin, std::min(i, value.size()) - begin);
            std::size_t equals = one.find('=');
            if (equals != std::string_view::npos && lower(trimmed(one.substr(0, equals))) == name) {
                return unquoted(trimmed(one.substr(equals + 1)));
            }
        }
        begin = i + 1;
    }
    return {};
}

}  // namespace

EntityHeader EntityHeader::parse(std::string_view block) {
    EntityHeader out;
    bool typed = false, encoded = false;
    HeaderReader reader(block);
    while (auto field = reader.next()) {
        if (field->is_named("Content-Type") && !typed) {
            typed = true;
            std::string value = without_comments(unfolded(field->value));
            out.type = lower(trimmed(value.substr(0, value.find(';'))));
            out.boundary = parameter(value, "boundary");
        } else if (field->is_named("Content-Transfer-Encoding") && !encoded) {
            encoded = true;
            out.encoding = lower(trimmed(without_comments(unfolded(field->value))));
        } else if (field->is_named("MIME-Version")) {
            out.is_mime = true;
        } else if (field->is_named("DKIM-Signature") || field->is_named("ARC-Seal") ||
                   field->is_named("ARC-Message-Signature") ||
                   field->is_named("DomainKey-Signature")) {
            out.is_signed = true;
        }
    }
    out.is_signed = out.is_signed || out.type == "multipart/signed";
    return out;
}

void Walker::stop(std::string_view obstacle) {
    if (obstacle_.empty()) obstacle_ = obstacle;
}

void Walker::feed(std::string_view octets) {
    while (!octets.empty() && obstacle_.empty()) {
        std::size_t end = octets.find('\n');
        std::string_view piece = octets.substr(0, end == std::string_view::npos ? end : end + 1);
        octets.remove_prefix(piece.size());
        if (line_.size() + piece.size() > kLineOctetsMax) return stop("a line is too long");
        if (end == std::string_view::npos) {
            line_ += piece;
        } else if (line_.empty()) {
            take(piece);
        } else {
            line_ += piece;
            std::string whole = std::exchange(line_, {});
            take(whole);
        }
    }
}

void Walker::finish() {
    if (!line_.empty() && obstacle_.empty()) take(std::exchange(line_, {}));
    if (place_ == Place::Header && obstacle_.empty()) header_ended();
    if (in_leaf_) {
        in_leaf_ = false;
        on_leaf_end(false);
    }
}

void Walker::take(std::string_view line) {
    if (take_boundary(line)) return;
    switch (place_) {
        case Place::Header:
            return take_header(line);
        case Place::Body:
            return on_body(line);
        case Place::Outside:
            return on_outside(line);
    }
}

void Walker::take_header(std::string_view line) {
    if (block_.size() + line.size() > kPartHeaderOctetsMax) return stop("a header is too large");
    block_ += line;
    if (line == "\r\n" || line == "\n") header_ended();
}

void Walker::begin_header() {
    place_ = Place::Header;
    block_.clear();
}

void Walker::header_ended() {
    std::string block = std::exchange(block_, {});
    entity_ = EntityHeader::parse(block);
    if (std::exchange(at_top_, false) && !entity_.is_mime) stop("it is no MIME message");
    if (entity_.is_signed) stop("it is signed");
    if (is_eight_bit(block)) stop("there are 8-bit octets in a header field");
    if (entity_.is_multipart()) {
        if (entity_.boundary.empty()) stop("a multipart has no boundary");
        if (boundaries_.size() >= kDepthMax) stop("its parts are nested too deeply");
        boundaries_.push_back(entity_.boundary);
        place_ = Place::Outside;
    } else if (entity_.is_message() && entity_.is_identity()) {
        begin_header();
    } else {
        if (++leaves_ > kPartsMax) stop("it has too many parts");
        in_leaf_ = true;
        place_ = Place::Body;
    }
    if (obstacle_.empty()) on_header(entity_, block);
}

// RFC 2046 §5.1.1, §5.1.2: a boundary of any container that is open ends all within it.
bool Walker::take_boundary(std::string_view line) {
    if (!line.starts_with("--")) return false;
    std::string_view text = trimmed(line.substr(2));
    for (std::size_t i = boundaries_.size(); i-- > 0;) {
        if (!text.starts_with(boundaries_[i])) continue;
        std::string_view rest = text.substr(boundaries_[i].size());
        if (!rest.empty() && rest != "--") continue;
        if (place_ == Place::Header && !block_.empty()) header_ended();
        if (in_leaf_) {
            in_leaf_ = false;
            on_leaf_end(true);
        }
        boundaries_.resize(rest.empty() ? i + 1 : i);
        on_outside(line);
        if (rest.empty()) {
            begin_header();
        } else {
            place_ = Place::Outside;
        }
        return true;
    }
    return false;
}

}  // namespace seven_bit

using seven_bit::EntityHeader;

void SevenBitPlan::on_header(const EntityHeader&, std::string_view) {}

void SevenBitPlan::on_outside(std::string_view line) {
    if (seven_bit::is_eight_bit(line)) stop("there are 8-bit octets between its parts");
}

void SevenBitPlan::on_body(std::string_view line) {
    if (!seven_bit::is_eight_bit(line)) return;
    if (!open_leaf().is_identity()) return stop("a part is not encoded as it says");
    if (open_leaf().type.starts_with("message/")) return stop("a part must not be encoded");
    eight_bit_leaves_.resize(std::max(eight_bit_leaves_.size(), leaf() + 1));
    eight_bit_leaves_[leaf()] = true;
}

// The field that says the encoding is written anew where it would be wrong.
void SevenBitConverter::on_header(const EntityHeader& header, std::string_view block) {
    bool container = header.is_multipart() || header.is_message();
    bool convert = !container && plan_.must_convert(leaf());
    std::string_view encoding = !convert                           ? "7bit"
                                : header.type.starts_with("text/") ? "quoted-printable"
                                                                   : "base64";
    bool wrong = convert || (header.is_identity() && header.encoding != "7bit");
    if (!wrong) {
        out_ += block;
        return;
    }
    std::string field = "Content-Transfer-Encoding: " + std::string(encoding) + "\r\n";
    HeaderReader reader(block);
    bool written = false;
    while (auto one = reader.next()) {
        if (!one->is_named("Content-Transfer-Encoding")) {
            out_ += one->whole;
        } else if (!std::exchange(written, true)) {
            out_ += field;
        }
    }
    if (!written) out_ += field;
    out_ += block.substr(reader.header_octets());
}

void SevenBitConverter::on_body(std::string_view line) {
    if (!plan_.must_convert(leaf())) {
        out_ += line;
        return;
    }
    if (open_leaf().type.starts_with("text/")) return quoted_printable(line);
    std::size_t end = line.ends_with("\r\n") ? 2 : 0;
    base64(line_end_, false);
    line_end_ = line.substr(line.size() - end);
    base64(line.substr(0, line.size() - end), false);
}

void SevenBitConverter::on_leaf_end(bool at_boundary) {
    if (!plan_.must_convert(leaf()) || open_leaf().type.starts_with("text/")) return;
    // The line end before a boundary is the boundary's.
    if (!at_boundary) base64(line_end_, false);
    line_end_.clear();
    base64("", true);
    if (column_ > 0) out_ += "\r\n";
    column_ = 0;
}

// RFC 2045 §6.7: lines of at most 76 octets, blanks at the end of one encoded.
void SevenBitConverter::quoted_printable(std::string_view line) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    constexpr std::size_t kLineMax = 76;
    bool ended = line.ends_with("\r\n");
    if (ended) line.remove_suffix(2);
    std::size_t column = 0;
    for (std::size_t i = 0; i < line.size(); i++) {
        auto octet = static_cast<unsigned char>(line[i]);
        bool last = i + 1 == line.size();
        bool blank = octet == ' ' || octet == '\t';
        bool plain = (octet > 32 && octet < 127 && octet != '=') || (blank && !last);
        std::size_t width = plain ? 1 : 3;
        if (column + width > kLineMax - (last ? 0 : 1)) {
            out_ += "=\r\n";
            column = 0;
        }
        if (plain) {
            out_ += line[i];
        } else {
            out_ += '=';
            out_ += kDigits[octet >> 4];
            out_ += kDigits[octet & 15];
        }
        column += width;
    }
    if (ended) out_ += "\r\n";
}

void SevenBitConverter::base64(std::string_view octets, bool last) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    held_ += octets;
    std::size_t at = 0;
    auto octet = [&](std::size_t i) {
        return at + i < held_.size() ? uint32_t{static_cast<unsigned char>(held_[at + i])} : 0U;
    };
    while (held_.size() - at >= 3 || (last && held_.size() > at)) {
        std::size_t there = std::min<std::size_t>(held_.size() - at, 3);
        uint32_t group = octet(0) << 16 | octet(1) << 8 | octet(2);
        for (std::size_t i = 0; i < 4; i++) {
            out_ += i <= there ? kAlphabet[group >> (18 - 6 * i) & 63] : '=';
        }
        at += there;
        column_ += 4;
        if (column_ < 76) continue;
        out_ += "\r\n";
        column_ = 0;
    }
    held_.erase(0, at);
}

}  // namespace postrider
