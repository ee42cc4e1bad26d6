#include "smtp/parameters.h"

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>

#include "mail/dsn.h"
#include "mail/internet_time.h"

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
    Status<Reply> (*parse)(Value value, const Offered& offered, Parameters& out);
};

std::unexpected<Reply> wrong(std::string text) {
    return std::unexpected(Reply(501, {5, 5, 4}, std::move(text)));
}

// RFC 1870 §6: size-value = 1*20DIGIT. What does not fit into 64 bits is too large anyway.
Status<Reply> parse_size(Value value, const Offered&, MailParameters& out) {
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

// RFC 6152 §2; RFC 3030 §3 for BINARYMIME.
Status<Reply> parse_body(Value value, const Offered& offered, MailParameters& out) {
    if (value && equals_ignoring_case(*value, "7BIT")) {
        out.body = BodyType::SevenBit;
    } else if (value && equals_ignoring_case(*value, "8BITMIME")) {
        out.body = BodyType::EightBitMime;
    } else if (value && equals_ignoring_case(*value, "BINARYMIME")) {
        if (!offered.binary_mime) {
            return std::unexpected(Reply(555, {5, 5, 4}, "BODY=BINARYMIME is not offered"));
        }
        out.body = BodyType::BinaryMime;
    } else {
        return wrong(offered.binary_mime ? "BODY is 7BIT, 8BITMIME or BINARYMIME"
                                         : "BODY is 7BIT or 8BITMIME");
    }
    return {};
}

// RFC 6531 §3.4: no value.
Status<Reply> parse_smtputf8(Value value, const Offered&, MailParameters& out) {
    if (value) return wrong("SMTPUTF8 takes no value");
    out.smtputf8 = true;
    return {};
}

// RFC 3461 §4.3.
Status<Reply> parse_ret(Value value, const Offered&, MailParameters& out) {
    if (value && equals_ignoring_case(*value, "FULL")) {
        out.ret = DsnReturn::Full;
    } else if (value && equals_ignoring_case(*value, "HDRS")) {
        out.ret = DsnReturn::Headers;
    } else {
        return wrong("RET is FULL or HDRS");
    }
    return {};
}

// RFC 3461 §4.4.
Status<Reply> parse_envid(Value value, const Offered&, MailParameters& out) {
    if (!value || !is_envid(*value)) return wrong("ENVID takes at most 100 octets of xtext");
    out.envid = *value;
    return {};
}

// RFC 6710 §7: priority-value = (["-"] NZDIGIT) / "0"; §4.1: 5.5.2.
Status<Reply> parse_priority(Value value, const Offered&, MailParameters& out) {
    std::string_view digit = value.value_or("");
    const bool negative = digit.starts_with('-');
    if (negative) digit.remove_prefix(1);
    if (digit.size() != 1 || !is_digit(digit[0]) || (negative && digit[0] == '0')) {
        return std::unexpected(Reply(501, {5, 5, 2}, "MT-PRIORITY is a number from -9 to 9"));
    }
    const int number = digit[0] - '0';
    out.priority = static_cast<int8_t>(negative ? -number : number);
    return {};
}

// RFC 2852 §4: by-time ";" by-mode [by-trace]; a by-mode of R wants a positive by-time.
Status<Reply> parse_by(Value value, const Offered&, MailParameters& out) {
    constexpr const char* kForm =
        "BY is seconds;N or seconds;R, and perhaps T, R with a positive number";
    std::string_view text = value.value_or("");
    const bool negative = text.starts_with('-');
    if (negative || text.starts_with('+')) text.remove_prefix(1);
    const std::string_view digits = text.substr(0, std::min(text.find(';'), text.size()));
    std::string_view mode = text.substr(digits.size());
    if (digits.empty() || digits.size() > 9 || !std::ranges::all_of(digits, is_digit) ||
        mode.size() < 2 || mode.size() > 3 || (mode.size() == 3 && upper(mode[2]) != 'T')) {
        return wrong(kForm);
    }
    DeliverBy by;
    for (const char c : digits) by.seconds = by.seconds * 10 + (c - '0');
    if (negative) by.seconds = -by.seconds;
    by.returned = upper(mode[1]) == 'R';
    by.trace = mode.size() == 3;
    if (!by.returned && upper(mode[1]) != 'N') return wrong(kForm);
    if (by.returned && by.seconds <= 0) return wrong(kForm);
    out.by = by;
    return {};
}

// RFC 4865 §3: future-release-integer = 1*9DIGIT, positive. §4.2: one of the two only.
Status<Reply> parse_hold_for(Value value, const Offered&, MailParameters& out) {
    const std::string_view digits = value.value_or("");
    if (out.hold) return wrong("only one of HOLDFOR and HOLDUNTIL can be given");
    if (digits.empty() || digits.size() > 9 || !std::ranges::all_of(digits, is_digit)) {
        return wrong("HOLDFOR takes a number of seconds");
    }
    uint32_t seconds = 0;
    for (const char c : digits) seconds = seconds * 10 + static_cast<uint32_t>(c - '0');
    if (digits.front() == '0') return wrong("HOLDFOR takes a positive number of seconds");
    out.hold = Hold{.seconds = seconds, .given = "for;" + std::string(digits)};
    return {};
}

Status<Reply> parse_hold_until(Value value, const Offered&, MailParameters& out) {
    if (out.hold) return wrong("only one of HOLDFOR and HOLDUNTIL can be given");
    auto until = parse_internet_time(value.value_or(""));
    if (!until) return wrong("HOLDUNTIL takes a moment such as 2030-04-01T08:00:00Z");
    out.hold = Hold{.until = until, .given = "until;" + std::string(*value)};
    return {};
}

// RFC 8689 §2: no value.
Status<Reply> parse_requiretls(Value value, const Offered&, MailParameters& out) {
    if (value) return wrong("REQUIRETLS takes no value");
    out.requiretls = true;
    return {};
}

// RFC 3461 §4.1.
Status<Reply> parse_notify_value(Value value, const Offered&, RcptParameters& out) {
    if (value) out.notify = parse_notify(*value);
    if (!out.notify) return wrong("NOTIFY is NEVER or a list of SUCCESS, FAILURE, DELAY");
    return {};
}

// RFC 3461 §4.2; RFC 6533 §3: in UTF-8 too where SMTPUTF8 is offered, whatever MAIL said.
Status<Reply> parse_orcpt(Value value, const Offered& offered, RcptParameters& out) {
    const AddressForm form = offered.smtputf8 ? AddressForm::Utf8 : AddressForm::Ascii;
    if (!value || !is_orcpt(*value, form)) {
        return wrong("ORCPT takes type;address, the address in xtext, at most 500 octets");
    }
    out.orcpt = *value;
    return {};
}

// RFC 4954 §5: a mailbox in xtext, or "<>". Dovecot passes on a bare name where its users have no
// domain; then it is not known who submitted, which is what "<>" says.
Status<Reply> parse_submitter(Value value, const Offered&, MailParameters& out) {
    auto text = value ? decode_xtext(*value) : std::nullopt;
    if (text && Mailbox::parse(*text + "@invalid", AddressForm::Utf8)) text = "<>";
    if (!text || (*text != "<>" && !Mailbox::parse(*text, AddressForm::Utf8))) {
        return wrong("AUTH takes an address in xtext, or <>");
    }
    out.auth = std::move(*text);
    return {};
}

constexpr std::array kMailRows = {
    Row<MailParameters>{"SIZE", &Offered::size, parse_size},
    Row<MailParameters>{"BODY", &Offered::eight_bit_mime, parse_body},
    Row<MailParameters>{"SMTPUTF8", &Offered::smtputf8, parse_smtputf8},
    Row<MailParameters>{"RET", &Offered::dsn, parse_ret},
    Row<MailParameters>{"ENVID", &Offered::dsn, parse_envid},
    Row<MailParameters>{"AUTH", &Offered::auth, parse_submitter},
    Row<MailParameters>{"MT-PRIORITY", &Offered::mt_priority, parse_priority},
    Row<MailParameters>{"BY", &Offered::deliver_by, parse_by},
    Row<MailParameters>{"HOLDFOR", &Offered::future_release, parse_hold_for},
    Row<MailParameters>{"HOLDUNTIL", &Offered::future_release, parse_hold_until},
    Row<MailParameters>{"REQUIRETLS", &Offered::requiretls, parse_requiretls},
};
constexpr std::array kRcptRows = {
    Row<RcptParameters>{"NOTIFY", &Offered::dsn, parse_notify_value},
    Row<RcptParameters>{"ORCPT", &Offered::dsn, parse_orcpt},
};

// esmtp-keyword = (ALPHA / DIGIT) *(ALPHA / DIGIT / "-")
bool is_keyword(std::string_view text) {
    return !text.empty() && text.front() != '-' &&
           std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '-'; });
}

// esmtp-value = 1*(%d33-60 / %d62-126); RFC 6531 §3.3: esmtp-value =/ UTF8-non-ascii.
bool is_value(std::string_view text, const Offered& offered) {
    return !text.empty() && std::ranges::all_of(text, [&](char c) {
        if (static_cast<unsigned char>(c) > 127) return offered.smtputf8;
        return c >= 33 && c <= 126 && c != '=';
    });
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
        if (!is_keyword(keyword) || (value && !is_value(*value, offered))) {
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
        if (auto parsed = row->parse(value, offered, out); !parsed) return parsed;
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
