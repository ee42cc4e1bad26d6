#include "smtp/line_reader.h"

#include <algorithm>

#include "base/limits.h"

namespace postrider::smtp {
namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }
bool begins_with_auth(std::string_view line) {
    constexpr std::string_view kAuth = "AUTH ";
    return std::ranges::equal(line.substr(0, kAuth.size()), kAuth, {},
                              [](char c) { return c >= 'a' && c <= 'z' ? c - 32 : c; });
}

bool is_control(char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }

}  // namespace

void LineReader::release() {
    if (used_) std::string().swap(partial_);
    used_ = false;
}

std::optional<LineReader::Line> LineReader::next(std::string_view& input, Auth auth) {
    release();
    if (input.empty()) return std::nullopt;
    const std::size_t lf = input.find('\n');
    const bool whole = lf != std::string_view::npos;
    std::string_view text = input.substr(0, whole ? lf + 1 : input.size());
    input.remove_prefix(text.size());
    // RFC 5321 §4.5.3.1.4, with CRLF. Nothing is kept of a line before it is seen which it is.
    const bool is_long = partial_.size() + text.size() + (whole ? 0 : 1) > kCommandLineOctetsMax;
    if (!too_long_ && is_long) {
        long_auth_ =
            auth == Auth::Response ||
            (auth == Auth::Command &&
             begins_with_auth(partial_.size() < 5 ? partial_ + std::string(text.substr(0, 5))
                                                  : partial_));
        too_long_ =
            !long_auth_ || partial_.size() + text.size() + (whole ? 0 : 1) > kAuthLineOctetsMax;
    }
    if (too_long_) {
        std::string().swap(partial_);
        too_long_ = !whole;
        if (!whole) return std::nullopt;
        return Line{{}, "the line is too long", long_auth_};
    }
    if (!whole || !partial_.empty()) {
        partial_.append(text);
        if (!whole) return std::nullopt;
        used_ = true;
        text = partial_;
    }
    text.remove_suffix(1);
    // RFC 5321 §2.3.8: CRLF ends a line, nothing else does.
    if (!text.ends_with('\r')) return Line{{}, "lines end with CR and LF"};
    text.remove_suffix(1);
    while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
    if (std::ranges::any_of(text, is_control)) return Line{{}, "a control character in the line"};
    return Line{text, {}};
}

}  // namespace postrider::smtp
