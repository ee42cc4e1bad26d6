// mail/bounce_text.h: a bounce that was written for people.
//
// Threads: pure functions. The rules and their limits: mail/bounce.h.

#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace postrider {

// What was said of one address.
struct SaidOf {
    std::string address;
    std::string text;  // the lines from its first mention to that of another
};

struct BounceText {
    std::string preamble;  // before the first address
    std::vector<SaidOf> said;
};

// `text`: what the report says, decoded. `known`: addresses that failed, when a field says so.
// `not_these`: addresses of the report's own recipients, which are mentioned everywhere.
BounceText read_bounce_text(std::string_view text, const std::vector<std::string>& known,
                            const std::vector<std::string>& not_these);

// The text up to where the returned message begins.
std::string_view before_returned_message(std::string_view text);

// What a person would see of an HTML text, roughly: without tags, a line for each block.
std::string text_of_html(std::string_view html);

// The addresses in a line, without brackets.
std::vector<std::string> addresses_in(std::string_view line);

}  // namespace postrider
