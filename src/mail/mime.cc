#include "mail/mime.h"

#include <algorithm>
#include <array>

namespace postrider {

namespace {

std::string lower(std::string_view text) {
    std::string out(text);
    for (char& c : out) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
    }
    return out;
}

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

// Reads the pieces of a structured field value: tokens, quoted strings, single characters, with
// white space and comments between them left out (RFC 822 comments, in brackets that nest).
class ValueReader {
public:
    explicit ValueReader(std::string_view value) : rest_(value) {}

    bool at_end() {
        skip();
        return rest_.empty();
    }
    bool take(char c) {
        skip();
        if (!rest_.starts_with(c)) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void drop_one() { rest_.remove_prefix(1); }

    // A token or a quoted string, up to one of `stops`.
    std::string word(std::string_view stops) {
        skip();
        std::string out;
        if (rest_.starts_with('"')) {
            std::size_t at = 1;
            for (; at < rest_.size() && rest_[at] != '"'; at++) {
                if (rest_[at] == '\\' && at + 1 < rest_.size()) at++;
                if (rest_[at] != '\r' && rest_[at] != '\n') out += rest_[at];
            }
            rest_.remove_prefix(std::min(at + 1, rest_.size()));
            return out;
        }
        std::size_t at = 0;
        while (at < rest_.size() && !is_space(rest_[at]) && !stops.contains(rest_[at])) at++;
        out = rest_.substr(0, at);
        rest_.remove_prefix(at);
        return out;
    }

private:
    void skip() {
        int depth = 0;
        std::size_t at = 0;
        for (; at < rest_.size(); at++) {
            char c = rest_[at];
            if (c == '(') {
                depth++;
            } else if (depth > 0 && c == ')') {
                depth--;
            } else if (depth > 0 && c == '\\') {
                at++;
            } else if (depth == 0 && !is_space(c)) {
                break;
            }
        }
        rest_.remove_prefix(std::min(at, rest_.size()));
    }

    std::string_view rest_;
};

TransferEncoding encoding_of(std::string_view header) {
    auto field = find_field(header, "Content-Transfer-Encoding");
    if (!field) return TransferEncoding::None;
    std::string word = lower(ValueReader(field->value).word(";("));
    if (word == "base64") return TransferEncoding::Base64;
    if (word == "quoted-printable") return TransferEncoding::QuotedPrintable;
    return TransferEncoding::None;
}

MimePart part_of(std::string_view octets, int depth, std::string_view type_without_field) {
    MimePart part;
    part.depth = depth;
    HeaderReader reader(octets);
    while (reader.next()) {
    }
    part.header = octets.substr(0, reader.header_octets());
    part.body = octets.substr(reader.body_begin());
    if (auto field = find_field(part.header, "Content-Type")) {
        part.content_type = ContentType::parse(field->value);
    } else {
        part.content_type.type = type_without_field;
    }
    part.encoding = encoding_of(part.header);
    return part;
}

// Whether `line` is a delimiter of `boundary`: "--boundary", white space behind it; and whether it
// is the last one, "--boundary--".
enum class Delimiter : uint8_t {
    No,
    Next,
    Last
};
Delimiter delimiter(std::string_view line, std::string_view boundary) {
    if (!line.starts_with("--") || !line.substr(2).starts_with(boundary)) return Delimiter::No;
    std::string_view rest = line.substr(2 + boundary.size());
    bool last = rest.starts_with("--");
    if (last) return Delimiter::Last;
    return std::ranges::all_of(rest, is_space) ? Delimiter::Next : Delimiter::No;
}

// RFC 2046 §5.1.1: the line end before a delimiter belongs to the delimiter.
std::string_view without_last_line_end(std::string_view text) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    if (text.ends_with('\r')) text.remove_suffix(1);
    return text;
}

std::vector<std::string_view> divided(std::string_view body, std::string_view boundary) {
    std::vector<std::string_view> parts;
    std::size_t begin = std::string_view::npos;  // of the part we are in
    for (std::size_t at = 0; at < body.size() && parts.size() < kMimePartsMax;) {
        std::size_t end = std::min(body.find('\n', at), body.size() - 1) + 1;
        Delimiter found = delimiter(body.substr(at, end - at), boundary);
        if (found != Delimiter::No) {
            if (begin != std::string_view::npos) {
                parts.push_back(without_last_line_end(body.substr(begin, at - begin)));
            }
            begin = end;
            if (found == Delimiter::Last) return parts;
        }
        at = end;
    }
    // The last delimiter is missing: what came is the part.
    if (begin != std::string_view::npos && begin < body.size()) {
        parts.push_back(body.substr(begin));
    }
    return parts;
}

}  // namespace

ContentType ContentType::parse(std::string_view value) {
    ContentType out;
    ValueReader reader(value);
    std::string type = lower(reader.word("/;("));
    if (!reader.take('/')) return out;
    std::string subtype = lower(reader.word(";("));
    if (type.empty() || subtype.empty()) return out;
    out.type = type + "/" + subtype;
    while (!reader.at_end() && out.parameters.size() < 64) {
        if (reader.take(';')) continue;
        std::string name = lower(reader.word("=;("));
        if (!reader.take('=')) {
            if (name.empty() && !reader.at_end()) reader.drop_one();
            continue;
        }
        std::string content = reader.word(";(");
        // RFC 2231 §3: name*0, name*1, ... are one parameter.
        std::size_t star = name.find('*');
        if (star != std::string::npos && star > 0) {
            name.resize(star);
            auto before = std::ranges::find(out.parameters, name, [](auto& p) { return p.first; });
            if (before != out.parameters.end()) {
                before->second += content;
                continue;
            }
        }
        if (!name.empty()) out.parameters.emplace_back(std::move(name), std::move(content));
    }
    return out;
}

std::string_view ContentType::parameter(std::string_view name) const {
    for (const auto& [own, value] : parameters) {
        if (own == name) return value;
    }
    return {};
}

std::vector<MimePart> mime_parts(std::string_view message) {
    // The line with which a mailbox file begins a message.
    if (message.starts_with("From ")) {
        message.remove_prefix(std::min(message.find('\n'), message.size() - 1) + 1);
    }
    std::vector<MimePart> done;
    std::vector<MimePart> waiting;  // the next one last
    waiting.push_back(part_of(message, 0, "text/plain"));
    while (!waiting.empty()) {
        MimePart part = std::move(waiting.back());
        waiting.pop_back();
        std::string_view boundary = part.content_type.parameter("boundary");
        bool divide = part.content_type.is_multipart() && !boundary.empty() &&
                      part.depth < kMimeDepthMax && done.size() + waiting.size() < kMimePartsMax;
        if (divide) {
            // RFC 2046 §5.1.5: in a digest a part without a type is a message.
            bool digest = part.content_type.type == "multipart/digest";
            auto inner = divided(part.body, boundary);
            for (auto octets = inner.rbegin(); octets != inner.rend(); ++octets) {
                waiting.push_back(
                    part_of(*octets, part.depth + 1, digest ? "message/rfc822" : "text/plain"));
            }
        }
        done.push_back(std::move(part));
    }
    return done;
}

std::string MimePart::decoded() const {
    switch (encoding) {
        case TransferEncoding::Base64:
            return decode_base64(body);
        case TransferEncoding::QuotedPrintable:
            return decode_quoted_printable(body);
        case TransferEncoding::None:
            break;
    }
    return std::string(body);
}

std::string decode_base64(std::string_view text) {
    constexpr std::string_view kAlphabet =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    std::string out;
    out.reserve(text.size() * 3 / 4);
    uint32_t bits = 0;
    int count = 0;
    for (char c : text) {
        if (c == '=') {  // what is left is padding; another quantum may follow
            bits = 0;
            count = 0;
            continue;
        }
        std::size_t value = kAlphabet.find(c);
        if (value == std::string_view::npos) continue;
        bits = bits << 6 | static_cast<uint32_t>(value);
        count += 6;
        if (count >= 8) {
            count -= 8;
            out += static_cast<char>(bits >> count & 0xff);
        }
    }
    return out;
}

std::string decode_quoted_printable(std::string_view text) {
    auto digit = [](char c) {
        if (c >= '0' && c <= '9') return c - '0';
        c |= 0x20;
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    };
    std::string out;
    out.reserve(text.size());
    for (std::size_t at = 0; at < text.size(); at++) {
        if (text[at] == '=') {
            if (at + 2 < text.size() && digit(text[at + 1]) >= 0 && digit(text[at + 2]) >= 0) {
                out += static_cast<char>(digit(text[at + 1]) * 16 + digit(text[at + 2]));
                at += 2;
                continue;
            }
            // A soft line end, perhaps with white space behind the "=".
            std::size_t end = text.find_first_not_of(" \t\r", at + 1);
            if (end == std::string_view::npos || text[end] == '\n') {
                at = end == std::string_view::npos ? text.size() : end;
                continue;
            }
        }
        out += text[at];
    }
    return out;
}

}  // namespace postrider
