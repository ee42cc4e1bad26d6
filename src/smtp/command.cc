#include "smtp/command.h"

#include <algorithm>
#include <array>
#include <charconv>

#include "mail/domain.h"
#include "smtp/parameters.h"
#include "smtp/path.h"
#include "smtp/sasl/base64.h"

namespace postrider::smtp {
namespace {

struct Word {
    std::string_view text;
    Verb verb;
};

// The most frequent first.
constexpr std::array kWords = {
    Word{"MAIL", Verb::Mail},
    Word{"RCPT", Verb::Rcpt},
    Word{"DATA", Verb::Data},
    Word{"BDAT", Verb::Bdat},
    Word{"EHLO", Verb::Ehlo},
    Word{"QUIT", Verb::Quit},
    Word{"RSET", Verb::Rset},
    Word{"HELO", Verb::Helo},
    Word{"LHLO", Verb::Lhlo},
    Word{"NOOP", Verb::Noop},
    Word{"VRFY", Verb::Vrfy},
    Word{"EXPN", Verb::Expn},
    Word{"HELP", Verb::Help},
    Word{"STARTTLS", Verb::StartTls},
    Word{"AUTH", Verb::Auth},
    Word{"ETRN", Verb::Etrn},
    Word{"XCLIENT", Verb::XClient},
    Word{"XFORWARD", Verb::XForward},
    // RFC 5321 §4.2.4: 502 for what is recognised and not implemented.
    Word{"BURL", Verb::NotImplemented},  // RFC 4468
    Word{"ATRN", Verb::NotImplemented},  // RFC 2645
    Word{"TURN", Verb::NotImplemented},  // RFC 5321 appendix F.1
    Word{"SEND", Verb::NotImplemented},  // RFC 5321 appendix F.6, as the next two
    Word{"SOML", Verb::NotImplemented},
    Word{"SAML", Verb::NotImplemented},
    Word{"GET", Verb::Foreign},
    Word{"POST", Verb::Foreign},
    Word{"PUT", Verb::Foreign},
    Word{"CONNECT", Verb::Foreign},
    Word{"OPTIONS", Verb::Foreign},
};

std::unexpected<Reply> refuse(uint16_t code, EnhancedStatus status, std::string text) {
    return std::unexpected(Reply(code, status, std::move(text)));
}

bool is_eight_bit(char c) { return static_cast<unsigned char>(c) > 127; }

// A path and what follows it: empty, or SP and parameters.
struct Clause {
    std::string_view path;
    std::string_view parameters;
};

// "FROM:" or "TO:" and the path. `bad_address` is 5.1.7 for a sender, 5.1.3 for a recipient.
Result<Clause, Reply> parse_clause(std::string_view argument, std::string_view keyword,
                                   EnhancedStatus bad_address, std::string_view form) {
    if (!equals_ignoring_case(argument.substr(0, keyword.size()), keyword)) {
        return refuse(501, {5, 5, 4}, "the form is " + std::string(form));
    }
    argument.remove_prefix(keyword.size());
    // RFC 5321 §3.3: no blank on either side of the colon.
    if (argument.starts_with(' ')) {
        return refuse(501, {5, 5, 4}, "no blank may follow the colon: " + std::string(form));
    }
    const std::size_t length = path_length(argument);
    if (length == 0) {
        return refuse(501, bad_address, "the address must stand in angle brackets");
    }
    const Clause clause{argument.substr(0, length), argument.substr(length)};
    if (!clause.parameters.empty() && clause.parameters.front() != ' ') {
        return refuse(501, {5, 5, 4}, "a blank must follow the closing bracket");
    }
    return clause;
}

// Why a path was refused: bad grammar, or good grammar with UTF-8 that was not asked for.
template <typename Parse>
Reply bad_path(const Clause& clause, uint16_t not_ascii, EnhancedStatus bad_address,
               const Error& error, Parse parse) {
    // RFC 6531 §3.5: 550 for a sender, 553 for a recipient, both with 5.6.7.
    if (std::ranges::any_of(clause.path, is_eight_bit) && parse(clause.path, AddressForm::Utf8)) {
        return {not_ascii, {5, 6, 7}, "the address is not ASCII and SMTPUTF8 was not given"};
    }
    return {501, bad_address, error.message};
}

}  // namespace

Command parse_verb(std::string_view line) {
    const std::size_t blank = std::min(line.find(' '), line.size());
    Command command;
    const std::string_view word = line.substr(0, blank);
    for (const Word& known : kWords) {
        if (equals_ignoring_case(known.text, word)) {
            command.verb = known.verb;
            break;
        }
    }
    if (blank < line.size()) command.argument = line.substr(blank + 1);
    return command;
}

// RFC 5321 §4.1.1.2.
Result<MailCommand, Reply> parse_mail(std::string_view argument, const Offered& offered) {
    constexpr EnhancedStatus kBadSender{5, 1, 7};
    auto clause = parse_clause(argument, "FROM:", kBadSender, "MAIL FROM:<address>");
    if (!clause) return std::unexpected(std::move(clause.error()));
    MailCommand command;
    // The parameters say what the address may look like; its fault is told first all the same.
    auto parameters = parse_parameters(clause->parameters, offered, command.parameters);
    const AddressForm form = command.parameters.smtputf8 ? AddressForm::Utf8 : AddressForm::Ascii;
    auto path = parse_reverse_path(clause->path, form);
    if (!path) {
        return std::unexpected(
            bad_path(*clause, 550, kBadSender, path.error(), parse_reverse_path));
    }
    if (!parameters) return std::unexpected(std::move(parameters.error()));
    command.reverse_path = std::move(*path);
    return command;
}

// RFC 5321 §4.1.1.3.
Result<RcptCommand, Reply> parse_rcpt(std::string_view argument, const Offered& offered,
                                      AddressForm form) {
    constexpr EnhancedStatus kBadRecipient{5, 1, 3};
    auto clause = parse_clause(argument, "TO:", kBadRecipient, "RCPT TO:<address>");
    if (!clause) return std::unexpected(std::move(clause.error()));
    auto path = parse_forward_path(clause->path, form);
    if (!path) {
        return std::unexpected(
            bad_path(*clause, 553, kBadRecipient, path.error(), parse_forward_path));
    }
    RcptCommand command{std::move(*path), {}};
    if (auto parsed = parse_parameters(clause->parameters, offered, command.parameters); !parsed) {
        return std::unexpected(std::move(parsed.error()));
    }
    return command;
}

// RFC 5321 §4.1.1.1.
Result<std::string_view, Reply> parse_hello(std::string_view argument) {
    if (argument.starts_with('[')) {
        const std::string_view literal = argument.substr(0, argument.find(' '));
        if (parse_address_literal(literal)) return literal;
        return refuse(501, {5, 5, 4}, "the address literal is neither [IPv4] nor [IPv6:address]");
    }
    std::string name(argument);
    std::ranges::replace(name, '_', 'a');
    if (auto domain = parse_domain(name); !domain) {
        return refuse(501, {5, 5, 4},
                      "a host name or address literal is needed: " + domain.error().message);
    }
    return argument;
}

// RFC 3030 §2.
Result<BdatCommand, Reply> parse_bdat(std::string_view argument) {
    const std::string_view size = argument.substr(0, argument.find(' '));
    BdatCommand command;
    command.last = equals_ignoring_case(argument.substr(size.size()), " LAST");
    if (size.empty() || !std::ranges::all_of(size, [](char c) { return c >= '0' && c <= '9'; }) ||
        (size.size() < argument.size() && !command.last)) {
        return refuse(501, {5, 5, 4}, "the form is BDAT octets, or BDAT octets LAST");
    }
    const auto [end, error] =
        std::from_chars(size.data(), size.data() + size.size(), command.octets);
    if (error != std::errc()) command.octets = UINT64_MAX;
    return command;
}

// RFC 4954 §4, §8: sasl-mech = 1*20(UPPER-ALPHA / DIGIT / "-" / "_"), taken in any case.
Result<AuthCommand, Reply> parse_auth(std::string_view argument) {
    AuthCommand command;
    command.mechanism = argument.substr(0, argument.find(' '));
    const bool is_name = std::ranges::all_of(command.mechanism, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '-' || c == '_';
    });
    if (command.mechanism.empty() || command.mechanism.size() > 20 || !is_name) {
        return refuse(501, {5, 5, 4}, "the form is AUTH mechanism, or AUTH mechanism response");
    }
    if (command.mechanism.size() == argument.size()) return command;
    const std::string_view response = argument.substr(command.mechanism.size() + 1);
    command.initial = response == "=" ? std::string() : sasl::decode_base64(response);
    if (!command.initial || (response != "=" && command.initial->empty())) {
        return refuse(501, {5, 5, 2}, "the response is not base64");
    }
    return command;
}

// RFC 1985 §5.
Result<EtrnCommand, Reply> parse_etrn(std::string_view argument) {
    if (argument.empty()) return refuse(500, {5, 5, 4}, "ETRN needs the name of a domain");
    EtrnCommand command;
    command.below = argument.starts_with('@');
    if (command.below) argument.remove_prefix(1);
    auto domain = parse_domain(argument);
    if (!domain) return refuse(501, {5, 5, 4}, "the name of a domain: " + domain.error().message);
    command.domain = std::move(*domain);
    return command;
}

// RFC 5321 §4.1.1.6; RFC 6531 §3.7.4.2.
Result<std::string_view, Reply> parse_vrfy(std::string_view argument, const Offered& offered) {
    constexpr std::string_view kSmtpUtf8 = " SMTPUTF8";
    bool utf8 = false;
    if (offered.smtputf8 && argument.size() > kSmtpUtf8.size()) {
        const std::size_t text = argument.size() - kSmtpUtf8.size();
        utf8 = equals_ignoring_case(argument.substr(text), kSmtpUtf8);
        if (utf8) argument = argument.substr(0, text);
    }
    if (argument.empty() || argument == "\"\"") {
        return refuse(501, {5, 5, 4}, "a name or an address is needed");
    }
    if (std::ranges::any_of(argument, is_eight_bit)) {
        if (!utf8) return refuse(501, {5, 5, 4}, "what is not ASCII needs SMTPUTF8");
        if (!is_utf8(argument)) return refuse(501, {5, 5, 4}, "the name is not UTF-8");
    }
    return argument;
}

}  // namespace postrider::smtp
