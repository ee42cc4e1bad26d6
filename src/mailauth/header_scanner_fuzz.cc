// Any octets as a structured field, read by any sequence of steps: the scanner never goes back nor
// past the end, and finds a quoted string or a comment whole that was written around any text.

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mailauth/header_scanner.h"

namespace {

using postrider::mailauth::HeaderScanner;
using postrider::mailauth::is_atext;

void require(bool holds) {
    if (!holds) std::abort();
}

// How much is left, seen from outside.
std::size_t rest_of(HeaderScanner scanner) {
    return scanner.take_while([](char) { return true; }).size();
}

void walk(std::string_view steps, std::string_view text) {
    HeaderScanner scanner(text);
    for (const char step : steps) {
        const std::size_t before = rest_of(scanner);
        const char next = scanner.peek();
        switch (static_cast<unsigned char>(step) % 5) {
            case 0:
                // A comment that does not end takes everything with it.
                if (!scanner.skip_cfws()) require(scanner.at_end());
                break;
            case 1: {
                const bool taken = scanner.take(';');
                require(taken == (before > 0 && next == ';'));
                require(rest_of(scanner) == before - (taken ? 1 : 0));
                break;
            }
            case 2: {
                const std::string_view atom = scanner.take_while(is_atext);
                require(rest_of(scanner) == before - atom.size());
                require(scanner.at_end() || !is_atext(scanner.peek()));
                break;
            }
            case 3: {
                const auto text_inside = scanner.take_quoted_string();
                require(text_inside ? next == '"' && rest_of(scanner) + 2 <= before
                                    : rest_of(scanner) == before);
                if (text_inside) require(text_inside->size() + 2 <= before);
                break;
            }
            default:
                scanner.skip_to(";");
                require(scanner.at_end() || scanner.peek() == ';');
        }
        require(rest_of(scanner) <= before);
    }
}

void find_whole(std::string_view text) {
    std::string quoted = "\"", comment = "(", plain;
    for (const char c : text) {
        if (c == '\r' || c == '\n') continue;  // folding, which is no part of a string
        if (c == '"' || c == '\\') quoted += '\\';
        if (c == '(' || c == ')' || c == '\\') comment += '\\';
        quoted += c;
        comment += c;
        plain += c;
    }
    const std::string whole = quoted + "\"x";
    HeaderScanner scanner(whole);
    require(scanner.take_quoted_string() == plain);
    require(scanner.peek() == 'x');
    const std::string commented = " " + comment + ") (())x";
    HeaderScanner over(commented);
    require(over.skip_cfws() && over.peek() == 'x');
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
    const std::size_t steps = std::min<std::size_t>(data[0] % 64, input.size());
    walk(input.substr(0, steps), input.substr(steps));
    find_whole(input);
    return 0;
}
