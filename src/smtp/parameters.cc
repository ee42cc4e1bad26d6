#include "smtp/parameters.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

namespace postrider::smtp {
namespace {

char upper(char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alnum(char c) { return is_digit(c) || (upper(c) >= 'A' && upper(c) <= 'Z'); }

// A value of nullopt: no "=" was given. An error is a sentence without the keyword.
using Value = std::optional<std::string_view>;
template <typename Parameters>
struct Row {
    std::string_view keyword;
    bool Offered::* offered;
    Status<Reply> (*parse)(Value value, Parameters& out);
};

std::unexpected<Reply> wrong(std::string text) {
    return std::unexpected(Reply(501, {5, 5, 4}, std::move(text)));
}

// RFC 1870 §6: size-value = 1*20DIGIT. What does not fit into 64 bits is too large anyway.
Status<Reply> parse_size(Value value, MailParameters& out) {
    if (!value || value->size() > 20 || !std::ranges::all_of(*value, is_digit)) {
        return wrong("SIZE takes a number of octets");
    }
    uint64_t size = 0;
    for (const char c : *value) {
        const auto digit = static_cast<uint64_t>(c - '0');
        if (__builtin_mul_overflow(size, 10, &size) || __builtin_add_overflow(size, digit, &size)) {
            size = UINT64_MAX;
            break;
        }
    }
    out.size = size;
    return {};
}

// RFC 6152 §2; BINARYMIME is of RFC 3030 and not offered.
Status<Reply> parse_body(Value value, MailParameters& out) {
    if (value && equals_ignoring_case(*value, "7BIT")) {
        out.body = BodyType::SevenBit;
    } else if (value && equals_ignoring_case(*value, "8BITMIME")) {
        out.body = BodyType::EightBitMime;
    } else if (value && equals_ignoring_case(*value, "BINARYMIME")) {
        return std::unexpected(Reply(555, {5, 5, 4}, "BODY=BINARYMIME is not offered"));
    } else {
        return wrong("BODY is 7BIT or 8BITMIME");
    }
    return {};
}

// RFC 6531 §3.4: no value.
Status<Reply> parse_smtputf8(Value value, MailParameters& out) {
    if (value) return wrong("SMTPUTF8 takes no value");
    out.smtputf8 = true;
    return {};
}

constexpr std::array kMailRows = {
    Row<MailParameters>{"SIZE", &Offered::size, parse_size},
    Row<MailParameters>{"BODY", &Offered::eight_bit_mime, parse_body},
    Row<MailParameters>{"SMTPUTF8", &Offered::smtputf8, parse_smtputf8},
};
constexpr std::array<Row<RcptParameters>, 0> kRcptRows = {};

// esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
bool is_keyword(std::string_view text) {
    return !text.empty() && text.front() != '-' &&
           std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-'; });
}

// esmtp-value = 1*(%d33-60 / %d62-126)
bool is_value(std::string_view text) {
    return !text.empty() &&
           std::ranges::all_of(text, [](char c) { return c >= 33 && c <= 126 && c != '='; });
}

template <typename Parameters>
Status<Reply> parse_rows(std::string_view text, const Offered& offered, Parameters& out,
                         std::span<const Row<Parameters>> rows) {
    uint32_t seen = 0;  // a bit for each row
    while (!text.empty()) {
        text.remove_prefix(1);  // the SP
        const std::string_view parameter = text.substr(0, text.find(' '));
        text.remove_prefix(parameter.size());
        const std::size_t equals = parameter.find('=');
        const std::string_view keyword = parameter.substr(0, equals);
        Value value;
        if (equals != std::string_view::npos) value = parameter.substr(equals + 1);
        if (!is_keyword(keyword) || (value && !is_value(*value))) {
            return wrong("a parameter is keyword or keyword=value, with one blank before it");
        }
        const auto row = std::ranges::find_if(rows, [&](const Row<Parameters>& candidate) {
            return equals_ignoring_case(candidate.keyword, keyword) && offered.*candidate.offered;
        });
        if (row == rows.end()) {
            // RFC 5321 §4.1.1.11.
            return std::unexpected(
                Reply(555, {5, 5, 4}, "parameter not offered: " + std::string(keyword)));
        }
        const uint32_t bit = uint32_t{1} << (row - rows.begin());
        if (seen & bit) return wrong("parameter given twice: " + std::string(keyword));
        seen |= bit;
        if (auto parsed = row->parse(value, out); !parsed) return parsed;
    }
    return {};
}

}  // namespace

Status<Reply> parse_parameters(std::string_view text, const Offered& offered, MailParameters& out) {
    return parse_rows<MailParameters>(text, offered, out, kMailRows);
}

Status<Reply> parse_parameters(std::string_view text, const Offered& offered, RcptParameters& out) {
    return parse_rows<RcptParameters>(text, offered, out, kRcptRows);
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) { return upper(x) == upper(y); });
}

}  // namespace postrider::smtp
