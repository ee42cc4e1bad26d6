#include "deliver/line_ends.h"

#include <cstring>

namespace postrider::deliver {

namespace {

// Moves `text` to `out`, which may be the same place or one before it, without the CRs of CRLF.
// Returns the end of what was written.
char* copy_with_lf(char* out, std::string_view text) {
    const char* at = text.data();
    const char* end = at + text.size();
    while (at < end) {
        auto left = static_cast<std::size_t>(end - at);
        const char* cr = static_cast<const char*>(std::memchr(at, '\r', left));
        const char* stop = cr ? cr : end;
        bool line_end = cr && cr + 1 < end && cr[1] == '\n';
        if (cr && !line_end) stop = cr + 1;  // a CR of its own stays
        auto length = static_cast<std::size_t>(stop - at);
        std::memmove(out, at, length);
        out += length;
        at = line_end ? cr + 1 : stop;
    }
    return out;
}

}  // namespace

void append_with_lf(std::string& out, std::string_view text) {
    std::size_t before = out.size();
    out.resize(before + text.size());
    char* end = copy_with_lf(out.data() + before, text);
    out.resize(static_cast<std::size_t>(end - out.data()));
}

std::string_view LfConverter::convert(std::span<char> block, std::size_t used) {
    if (used == 0) {
        cr_first_ = false;
        return {};
    }
    cr_first_ = pending_ && block[0] != '\n';
    pending_ = block[used - 1] == '\r';
    std::string_view text(block.data(), pending_ ? used - 1 : used);
    char* end = copy_with_lf(block.data(), text);
    return {block.data(), static_cast<std::size_t>(end - block.data())};
}

}  // namespace postrider::deliver
