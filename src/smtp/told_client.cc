#include "smtp/told_client.h"

#include <algorithm>
#include <charconv>

#include "mail/domain.h"
#include "mail/dsn.h"
#include "smtp/parameters.h"
#include "smtp/reply_parser.h"

namespace postrider::smtp {

namespace {

constexpr std::size_t kValueOctetsMax = 255;

struct Row {
    std::string_view word;
    bool in_xclient;
    bool in_xforward;
};

// In the order of ToldName.
constexpr std::array<Row, kToldNameCount> kRows = {{
    {"NAME", true, true},
    {"ADDR", true, true},
    {"PORT", true, true},
    {"PROTO", true, true},
    {"HELO", true, true},
    {"LOGIN", true, false},
    {"DESTADDR", true, false},
    {"DESTPORT", true, false},
    {"IDENT", false, true},
    {"SOURCE", false, true},
}};

std::unexpected<Reply> wrong(std::string text) {
    return std::unexpected(Reply(501, {5, 5, 4}, std::move(text)));
}

bool is_port(std::string_view text) {
    uint16_t port = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
    return error == std::errc() && end == text.data() + text.size();
}

// Makes the value's one form of the forms that are allowed; false: none of them.
bool take_form(ToldName name, std::string& value) {
    constexpr std::string_view kIpv6 = "IPV6:";
    switch (name) {
        case ToldName::Addr:
        case ToldName::DestAddr: {
            const bool v6 = equals_ignoring_case(value.substr(0, kIpv6.size()), kIpv6);
            std::string literal =
                v6 ? "[IPv6:" + value.substr(kIpv6.size()) + "]" : "[" + value + "]";
            if (!parse_address_literal(literal)) return false;
            if (v6) value = value.substr(kIpv6.size());
            return true;
        }
        case ToldName::Port:
        case ToldName::DestPort:
            return is_port(value);
        case ToldName::Proto:
            return equals_ignoring_case(value, "SMTP") || equals_ignoring_case(value, "ESMTP");
        case ToldName::Source:
            return equals_ignoring_case(value, "LOCAL") || equals_ignoring_case(value, "REMOTE");
        default:
            return true;
    }
}

}  // namespace

std::string ToldClient::text() const {
    std::string out;
    for (std::size_t i = 0; i < attributes_.size(); ++i) {
        if (attributes_[i].value.empty()) continue;
        if (!out.empty()) out += ' ';
        for (const char c : kRows[i].word) out += static_cast<char>(c + ('a' - 'A'));
        out += '=' + attributes_[i].value;
    }
    return out;
}

std::string_view keyword_line(ToldCommand command) {
    return command == ToldCommand::XClient
               ? "XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT"
               : "XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE";
}

Result<ToldClient, Reply> parse_told_client(ToldCommand command, std::string_view argument) {
    ToldClient told;
    if (argument.empty()) return wrong("the form is attribute=value, and more behind a blank");
    while (!argument.empty()) {
        const std::string_view word = argument.substr(0, argument.find(' '));
        argument.remove_prefix(std::min(word.size() + 1, argument.size()));
        if (word.empty()) continue;
        const std::size_t equals = word.find('=');
        const auto* row = std::ranges::find_if(kRows, [&](const Row& candidate) {
            return equals_ignoring_case(candidate.word, word.substr(0, equals)) &&
                   (command == ToldCommand::XClient ? candidate.in_xclient : candidate.in_xforward);
        });
        if (equals == std::string_view::npos || row == kRows.end()) {
            return wrong("an attribute that is not known here: " +
                         printable(word.substr(0, equals), 40));
        }
        const auto name = static_cast<ToldName>(row - kRows.begin());
        ToldClient::Attribute& attribute = told[name];
        if (attribute.told) return wrong("attribute given twice: " + std::string(row->word));
        attribute.told = true;
        const std::string_view value = word.substr(equals + 1);
        if (equals_ignoring_case(value, "[UNAVAILABLE]") ||
            equals_ignoring_case(value, "[TEMPUNAVAIL]")) {
            continue;
        }
        auto decoded = decode_xtext(value);
        if (!decoded || decoded->empty() || decoded->size() > kValueOctetsMax ||
            std::ranges::any_of(
                *decoded, [](char c) { return static_cast<unsigned char>(c) < 32 || c == 127; }) ||
            !take_form(name, *decoded)) {
            return wrong("the value cannot be used: " + std::string(row->word));
        }
        attribute.value = std::move(*decoded);
    }
    return told;
}

}  // namespace postrider::smtp
