#include "dns/name.h"

#include <fmt/format.h>

#include <algorithm>
#include <cassert>

namespace postrider::dns {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

// RFC 4343 §2.1: which octets are escaped is our choice, so long as it is always the same.
bool is_plain(char c) { return c > ' ' && c < 127 && c != '.' && c != '\\' && c != '"'; }

// Collects labels and holds them to the limits of RFC 1035 §2.3.4.
class Writer {
public:
    // `octets`: about how many the text will have.
    explicit Writer(std::size_t octets) { text_.reserve(octets + 1); }

    void octet(char c) {
        c = lower(c);
        label_++;
        if (is_plain(c)) {
            text_ += c;
        } else {
            fmt::format_to(std::back_inserter(text_), "\\{:03}", static_cast<uint8_t>(c));
        }
    }

    // False when the label that ends here, or the name up to here, cannot be.
    bool end_label() {
        if (label_ == 0 || label_ > kLabelOctetsMax) return false;
        wire_ += label_ + 1;
        label_ = 0;
        text_ += '.';
        return wire_ <= kNameWireOctetsMax;
    }

    std::string take() {
        if (text_.empty()) return ".";
        text_.pop_back();
        return std::move(text_);
    }

private:
    std::string text_;
    std::size_t label_ = 0;
    std::size_t wire_ = 1;  // the root's length octet
};

// RFC 1035 §5.1: "\DDD" or "\X". `at` stands behind the backslash, and then behind the escape.
std::optional<char> read_escape(std::string_view text, std::size_t& at) {
    if (at >= text.size()) return std::nullopt;
    if (!is_digit(text[at])) return text[at++];
    if (text.size() - at < 3 || !is_digit(text[at + 1]) || !is_digit(text[at + 2])) {
        return std::nullopt;
    }
    int value = (text[at] - '0') * 100 + (text[at + 1] - '0') * 10 + (text[at + 2] - '0');
    if (value > 255) return std::nullopt;
    at += 3;
    return static_cast<char>(value);
}

}  // namespace

std::optional<Name> Name::parse(std::string_view text) {
    if (text == ".") return Name();
    if (text.empty() || text.size() > 4 * kNameWireOctetsMax) return std::nullopt;
    Writer writer(text.size());
    bool open = false;  // a label has begun
    for (std::size_t at = 0; at < text.size();) {
        char c = text[at++];
        if (c == '.') {
            if (!writer.end_label()) return std::nullopt;
            open = false;
            continue;
        }
        if (c == '\\') {
            auto escaped = read_escape(text, at);
            if (!escaped) return std::nullopt;
            c = *escaped;
        }
        writer.octet(c);
        open = true;
    }
    if (open && !writer.end_label()) return std::nullopt;
    return Name(writer.take());
}

std::optional<Name> Name::from_wire(std::span<const uint8_t> wire, std::size_t& at) {
    Writer writer(std::min(wire.size() - std::min(at, wire.size()), kNameWireOctetsMax));
    std::size_t next = at;
    while (next < wire.size()) {
        std::size_t length = wire[next++];
        if (length == 0) {
            at = next;
            return Name(writer.take());
        }
        if (length > kLabelOctetsMax || length > wire.size() - next) return std::nullopt;
        for (uint8_t octet : wire.subspan(next, length)) writer.octet(static_cast<char>(octet));
        if (!writer.end_label()) return std::nullopt;
        next += length;
    }
    return std::nullopt;
}

bool Name::is_within(const Name& ancestor) const {
    if (ancestor.is_root() || *this == ancestor) return true;
    // A dot inside a label is written as an escape: this dot is a border of labels.
    return text_.size() > ancestor.text_.size() && text_.ends_with(ancestor.text_) &&
           text_[text_.size() - ancestor.text_.size() - 1] == '.';
}

Name Name::parent() const {
    std::size_t dot = text_.find('.');
    return dot == std::string::npos || is_root() ? Name() : Name(text_.substr(dot + 1));
}

Name reverse_name(std::span<const uint8_t> address) {
    assert(address.size() == 4 || address.size() == 16);
    std::string text;
    for (auto octet = address.rbegin(); octet != address.rend(); ++octet) {
        if (address.size() == 4) {
            fmt::format_to(std::back_inserter(text), "{}.", *octet);
        } else {
            fmt::format_to(std::back_inserter(text), "{:x}.{:x}.", *octet & 15, *octet >> 4);
        }
    }
    text += address.size() == 4 ? "in-addr.arpa" : "ip6.arpa";
    return *Name::parse(text);
}

}  // namespace postrider::dns
