#include "daemon/config_text.h"

namespace postrider::daemon {

namespace {

// The length of the string that begins at `at`, with its quotes; a string of one line that is not
// closed ends with its line.
std::size_t string_length(std::string_view text, std::size_t at) {
    char quote = text[at];
    bool escapes = quote == '"';
    bool many_lines = text.substr(at, 3) == std::string_view(escapes ? "\"\"\"" : "'''");
    std::size_t i = at + (many_lines ? 3 : 1);
    while (i < text.size()) {
        if (escapes && text[i] == '\\') {
            i += 2;
        } else if (many_lines && text.substr(i, 3) == text.substr(at, 3)) {
            return i + 3 - at;
        } else if (!many_lines && (text[i] == quote || text[i] == '\n')) {
            return i + 1 - at;
        } else {
            i++;
        }
    }
    return text.size() - at;
}

Position position_of(std::string_view text, std::size_t at) {
    Position position{0, 1, 1};
    for (char c : text.substr(0, at)) {
        bool continues = (static_cast<unsigned char>(c) & 0xC0) == 0x80;  // of a character
        position.column = c == '\n' ? 1 : position.column + (continues ? 0 : 1);
        position.line += c == '\n' ? 1 : 0;
    }
    return position;
}

}  // namespace

std::optional<Position> unquoted_non_ascii(std::string_view text) {
    std::size_t i = text.starts_with("\xEF\xBB\xBF") ? 3 : 0;  // a byte order mark is no letter
    while (i < text.size()) {
        if (text[i] == '#') {
            i = std::min(text.find('\n', i), text.size());
        } else if (text[i] == '"' || text[i] == '\'') {
            i += string_length(text, i);
        } else if (static_cast<unsigned char>(text[i]) > 127) {
            return position_of(text, i);
        } else {
            i++;
        }
    }
    return std::nullopt;
}

}  // namespace postrider::daemon
