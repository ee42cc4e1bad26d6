#include "smtp/reply.h"

#include <array>
#include <cassert>
#include <charconv>
#include <cstring>
#include <span>

#include "base/limits.h"

namespace postrider::smtp {
namespace {

constexpr std::size_t kFewLines = 16;

// "250-" with an enhanced code "2.1.0 ": code, separator, code, blank.
struct Lead {
    std::array<char, 32> octets;
    std::size_t length = 0;

    std::string_view view() const { return {octets.data(), length}; }
};

Lead lead_of(uint16_t code, const std::optional<EnhancedStatus>& status) {
    Lead lead;
    char* at = lead.octets.data();
    char* const end = at + lead.octets.size();
    at = std::to_chars(at, end, code).ptr;
    *at++ = '-';
    // RFC 2034 §4: in 2yz, 4yz and 5yz replies only.
    if (status && code / 100 != 3) {
        at = std::to_chars(at, end, status->klass).ptr;
        *at++ = '.';
        at = std::to_chars(at, end, status->subject).ptr;
        *at++ = '.';
        at = std::to_chars(at, end, status->detail).ptr;
        *at++ = ' ';
    }
    lead.length = static_cast<std::size_t>(at - lead.octets.data());
    return lead;
}

// RFC 5321 §4.2: textstring = 1*(%d09 / %d32-126). Here of several lines.
bool is_textstring(std::string_view text) {
    unsigned char odd = 0;  // a pass without branches, since there is next to never one
    for (const char c : text) odd |= static_cast<unsigned char>((c < 32 && c != '\n') || c == 127);
    return odd == 0;
}

void mend_text(std::span<char> text) {
    for (char& c : text) {
        if ((c < 32 && c != '\t') || c == 127) c = '?';  // above 127 it is negative
    }
}

// What of `text` fits into `room`: cut behind a blank if there is one in the second half.
std::string_view fitting(std::string_view text, std::size_t room) {
    if (text.size() <= room) return text;
    const std::size_t blank = text.rfind(' ', room - 1);
    if (blank == std::string_view::npos || blank < room / 2) return text.substr(0, room);
    return text.substr(0, blank + 1);
}

}  // namespace

std::string Reply::wire() const {
    std::string out;
    append_reply(out, *this);
    return out;
}

std::string Reply::one_line() const {
    std::string out;
    const Lead lead = lead_of(code, status);
    out.append(lead.view());
    out[out.find('-')] = ' ';
    out.append(text);
    if (!is_textstring(text)) mend_text(std::span(out).subspan(lead.length));
    for (std::size_t i = lead.length; i < out.size(); ++i) {
        if (text[i - lead.length] == '\n') out[i] = ' ';
    }
    return out;
}

void append_reply(std::string& out, const Reply& reply) {
    append_reply(out, reply.code, reply.status, reply.text);
}

void append_reply(std::string& out, uint16_t code, const std::optional<EnhancedStatus>& status,
                  std::string_view text) {
    assert(code >= 200 && code < 600);
    const Lead lead = lead_of(code, status);
    const bool odd = !is_textstring(text);
    // RFC 5321 §4.5.3.1.5: 512 octets with code and CRLF.
    std::array<char, kReplyLineOctetsMax> whole;
    std::memcpy(whole.data(), lead.octets.data(), lead.octets.size());
    const std::size_t room = whole.size() - lead.length - 2;
    out.reserve(out.size() + text.size() + kFewLines * (lead.length + 2));
    std::size_t separator = 0;
    for (;;) {
        const std::size_t line_end = std::min(text.find('\n'), text.size());
        const std::string_view line = fitting(text.substr(0, line_end), room);
        char* const content = whole.data() + lead.length;
        std::memcpy(content, line.data(), line.size());
        if (odd) mend_text({content, line.size()});
        content[line.size()] = '\r';
        content[line.size() + 1] = '\n';
        separator = out.size() + 3;
        out.append(whole.data(), lead.length + line.size() + 2);
        text.remove_prefix(line.size());
        if (line.size() == line_end) {
            if (text.empty()) break;
            text.remove_prefix(1);  // the '\n'
            if (text.empty()) break;
        }
    }
    out[separator] = ' ';  // RFC 5321 §4.2.1: the last line
}

}  // namespace postrider::smtp
