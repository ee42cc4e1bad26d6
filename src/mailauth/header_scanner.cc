#include "mailauth/header_scanner.h"

namespace postrider::mailauth {

namespace {

bool is_white_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

bool HeaderScanner::skip_cfws() {
    for (;;) {
        while (at_ < text_.size() && is_white_space(text_[at_])) at_++;
        if (peek() != '(') return true;
        if (!skip_comment()) return false;
    }
}

// RFC 5322 §3.2.2. REQUIRES: peek() == '('.
bool HeaderScanner::skip_comment() {
    std::size_t depth = 0;
    while (at_ < text_.size()) {
        const char c = text_[at_++];
        if (c == '\\') {
            if (at_ < text_.size()) at_++;
        } else if (c == '(') {
            depth++;
        } else if (c == ')' && --depth == 0) {
            return true;
        }
    }
    return false;
}

bool HeaderScanner::take(char c) {
    if (at_end() || text_[at_] != c) return false;
    at_++;
    return true;
}

std::optional<std::string> HeaderScanner::take_quoted_string() {
    if (peek() != '"') return std::nullopt;
    std::string out;
    for (std::size_t at = at_ + 1; at < text_.size(); at++) {
        char c = text_[at];
        if (c == '"') {
            at_ = at + 1;
            return out;
        }
        if (c == '\\' && at + 1 < text_.size()) c = text_[++at];
        if (c != '\r' && c != '\n') out += c;
    }
    return std::nullopt;
}

void HeaderScanner::skip_to(std::string_view octets) {
    while (at_ < text_.size() && octets.find(text_[at_]) == std::string_view::npos) {
        if (text_[at_] == '(') {
            skip_comment();
        } else if (!take_quoted_string()) {
            at_++;
        }
    }
}

bool is_atext(char c) {
    const auto octet = static_cast<unsigned char>(c);
    return octet > ' ' && octet != 127 &&
           std::string_view("()<>[]:;@\\,.\"").find(c) == std::string_view::npos;
}

}  // namespace postrider::mailauth
