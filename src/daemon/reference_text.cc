#include "daemon/reference_text.h"

#include <algorithm>

namespace postrider::daemon {

std::string wrapped(std::string_view text, std::string_view prefix) {
    constexpr std::size_t kColumnsMax = 100;
    std::string out;
    std::string line(prefix);
    while (!text.empty()) {
        std::size_t end = std::min(text.find(' '), text.size());
        std::string_view word = text.substr(0, end);
        if (line.size() > prefix.size() && line.size() + 1 + word.size() > kColumnsMax) {
            out += line + '\n';
            line = prefix;
        }
        if (line.size() > prefix.size()) line += ' ';
        line += word;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return out + line + '\n';
}

}  // namespace postrider::daemon
