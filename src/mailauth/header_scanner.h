// mailauth/header_scanner.h: reads structured header fields from left to right: white space,
// comments, quoted strings.
//
// Everything here is hostile input: comments nest to any depth without a stack, nothing is read
// past the end, and what is not closed is told.
//
// RFC 5322 §3.2.1, §3.2.2, §3.2.4; RFC 6532 §3.1, §3.2 (octets above 127 are text).
// Threads: values and views; the text must outlive the scanner.

#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace postrider::mailauth {

class HeaderScanner {
public:
    explicit HeaderScanner(std::string_view text) : text_(text) {}

    bool at_end() const { return at_ == text_.size(); }
    char peek() const { return at_end() ? '\0' : text_[at_]; }

    // Goes over white space, line ends and comments. False when a comment does not end; then all is
    // read.
    bool skip_cfws();

    // Takes this one octet if it comes next.
    bool take(char c);

    // The longest run of octets for which the predicate holds, perhaps none.
    template <typename Predicate>
    std::string_view take_while(Predicate holds) {
        const std::size_t begin = at_;
        while (at_ < text_.size() && holds(text_[at_])) at_++;
        return text_.substr(begin, at_ - begin);
    }

    // A quoted string, decoded: without quotes, quoted pairs and line ends. Nothing when none
    // begins here or it does not end; then nothing is taken.
    std::optional<std::string> take_quoted_string();

    // Anything up to the next of these octets outside quoted strings and comments, or to the end.
    void skip_to(std::string_view octets);

private:
    bool skip_comment();

    std::string_view text_;
    std::size_t at_ = 0;
};

// RFC 5322 §3.2.3, RFC 6532 §3.2: an octet of an atom.
bool is_atext(char c);

}  // namespace postrider::mailauth
