#include "mail/priority_field.h"

#include "mail/header.h"

namespace postrider {

namespace {

// Takes white space and comments (RFC 5322 §3.2.2) off the front. False: a comment has no end.
bool skip_cfws(std::string_view& text) {
    int depth = 0;
    while (!text.empty()) {
        char c = text.front();
        if (c == '(') {
            depth++;
        } else if (depth > 0 && c == ')') {
            depth--;
        } else if (depth > 0 && c == '\\' && text.size() > 1) {
            text.remove_prefix(1);
        } else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            return true;
        }
        text.remove_prefix(1);
    }
    return depth == 0;
}

// priority-value = (["-"] NZDIGIT) / "0"
std::optional<int8_t> value_of(std::string_view text) {
    if (!skip_cfws(text) || text.empty()) return std::nullopt;
    bool negative = text.front() == '-';
    if (negative) text.remove_prefix(1);
    if (text.empty() || text.front() < '0' || text.front() > '9') return std::nullopt;
    int value = text.front() - '0';
    if (negative && value == 0) return std::nullopt;
    text.remove_prefix(1);
    if (!skip_cfws(text) || !text.empty()) return std::nullopt;
    return static_cast<int8_t>(negative ? -value : value);
}

}  // namespace

PriorityFields priority_fields(std::string_view header_block) {
    PriorityFields out;
    HeaderReader reader(header_block);
    while (auto field = reader.next()) {
        if (!field->is_named("MT-Priority")) continue;
        out.fields.push_back({field->begin, field->whole.size()});
        out.value = out.fields.size() == 1 ? value_of(field->value) : std::nullopt;
    }
    return out;
}

std::string priority_field(int8_t priority) {
    return "MT-Priority: " + std::to_string(priority) + "\r\n";
}

}  // namespace postrider
