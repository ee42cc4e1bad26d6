// mailauth/dkim/canonical_fuzz.cc: a body in pieces has the canonical form of the whole body, found
// here a second time in the plainest way; so has a header field.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "mailauth/dkim/canonical.h"

namespace {

using namespace postrider::mailauth::dkim;

constexpr std::size_t kEveryCutMax = 300;

struct ToString {
    std::string* out;
    void put(const char* text, std::size_t size) const { out->append(text, size); }
};

// RFC 6376 §3.4.3, §3.4.4, line by line.
std::string plain_form(std::string body, bool relaxed) {
    std::string out;
    std::string empty_lines;
    while (!body.empty()) {
        const std::size_t end = std::min(body.find("\r\n"), body.size());
        std::string line;
        for (const char c : body.substr(0, end)) {
            const bool space = relaxed && (c == ' ' || c == '\t');
            if (space && line.ends_with(' ')) continue;
            line += space ? ' ' : c;
        }
        if (relaxed && line.ends_with(' ')) line.pop_back();
        body.erase(0, end + 2);
        empty_lines += line.empty() ? "\r\n" : "";
        if (line.empty()) continue;
        out += empty_lines + line + "\r\n";
        empty_lines.clear();
    }
    return out.empty() && !relaxed ? "\r\n" : out;
}

// RFC 6376 §3.4.2, step by step; a value ends without a line end.
std::string plain_field(const std::string& value) {
    std::string unfolded, out;
    for (std::size_t i = 0; i < value.size(); i++) {
        if (value[i] == '\n' || value.substr(i, 2) == "\r\n") continue;
        unfolded += value[i] == '\t' ? ' ' : value[i];
    }
    for (const char c : unfolded) {
        if (c != ' ' || !(out.empty() || out.back() == ' ')) out += c;
    }
    if (out.ends_with(' ')) out.pop_back();
    return "name:" + out;
}

template <template <typename> typename Body>
std::string form_of(std::string_view text, std::size_t piece) {
    std::string out;
    Body<ToString> body{ToString{&out}};
    for (std::size_t at = 0; at < text.size(); at += piece) body.update(text.substr(at, piece));
    body.finish();
    return out;
}

template <template <typename> typename Body>
std::string form_of_two(std::string_view text, std::size_t cut) {
    std::string out;
    Body<ToString> body{ToString{&out}};
    body.update(text.substr(0, cut));
    body.update(text.substr(cut));
    body.finish();
    return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size) {
    if (size == 0 || size > 16 * 1024) return 0;
    const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
    std::string field;
    append_relaxed_field("NAME", text, field);
    if (field != plain_field(text)) std::abort();
    const std::string simple = plain_form(text, false), relaxed = plain_form(text, true);
    for (const std::size_t piece : {std::size_t{1}, std::size_t{data[0]} + 1, size}) {
        if (form_of<SimpleBody>(text, piece) != simple) std::abort();
        if (form_of<RelaxedBody>(text, piece) != relaxed) std::abort();
    }
    // Short ones at every single cut.
    for (std::size_t cut = 0; cut <= text.size() && text.size() <= kEveryCutMax; cut++) {
        if (form_of_two<SimpleBody>(text, cut) != simple) std::abort();
        if (form_of_two<RelaxedBody>(text, cut) != relaxed) std::abort();
    }
    return 0;
}
