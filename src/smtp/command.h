// smtp/command.h: a command line of SMTP, taken apart by the grammar.
//
// parse_verb() splits a line into verb and argument; the commands with an argument of their own
// have a parser each. Whatever is wrong is the peer's fault, and the error is the reply that the
// peer gets.
//
// The grammar is exact: one SP between verb and argument, no blank on either side of the colon
// (RFC 5321 §3.3), angle brackets required. Verbs and keywords are taken in any case (§2.4). White
// space before the CRLF is tolerated (§4.1.1). Source routes are taken and ignored (§4.1.1.3,
// appendix C). Wider than the grammar is only the name in a hello: underscores may stand in it,
// since so many hosts' names have them, HELO may have a literal, and words behind a literal are
// ignored (§4.1.1.1: "prepared for this string to occur").
//
// Parameters are rows of a table in parameters.cc: keyword, the extension that offers it, its
// parser. A keyword that is not there or not offered is 555 5.5.4, one that comes twice 501 5.5.4.
//
// Views point into the line. Threads: pure functions.
// RFC 5321 §4.1.1, §4.1.2; RFC 1870 §3, §6; RFC 6152 §2; RFC 6531 §3.4; RFC 2033 §4.1.

#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "mail/envelope.h"
#include "mail/mailbox.h"
#include "smtp/reply.h"

namespace postrider::smtp {

enum class Verb : uint8_t {
    Unknown,
    NotImplemented,  // a command of some RFC, not of this server: 502
    Helo,
    Ehlo,
    Lhlo,
    Mail,
    Rcpt,
    Data,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    Foreign,  // a method of HTTP: a browser was tricked into talking to us; the session ends
};
inline constexpr std::size_t kVerbCount = 15;

struct Command {
    Verb verb = Verb::Unknown;
    std::string_view argument;  // behind the first SP; empty if there is none
};

// Splits a line (without CRLF and trailing white space). What is not known is Verb::Unknown.
Command parse_verb(std::string_view line);

// What the answer to EHLO offered; nothing after HELO.
struct Offered {
    bool size = false;            // RFC 1870
    bool eight_bit_mime = false;  // RFC 6152
    bool smtputf8 = false;        // RFC 6531
};

struct MailParameters {
    std::optional<uint64_t> size;  // RFC 1870 §6: octets, as the client estimates them
    std::optional<BodyType> body;  // RFC 6152 §2
    bool smtputf8 = false;         // RFC 6531 §3.4
    friend bool operator==(const MailParameters&, const MailParameters&) = default;
};

// None known yet; NOTIFY and ORCPT (RFC 3461) will be here.
struct RcptParameters {
    friend bool operator==(const RcptParameters&, const RcptParameters&) = default;
};

struct MailCommand {
    ReversePath reverse_path;
    MailParameters parameters;
};

struct RcptCommand {
    Mailbox mailbox;  // domain empty for <Postmaster>
    RcptParameters parameters;
};

// The argument of MAIL: "FROM:" Reverse-path [SP Mail-parameters].
Result<MailCommand, Reply> parse_mail(std::string_view argument, const Offered& offered);
// The argument of RCPT: "TO:" Forward-path [SP Rcpt-parameters]. `form`: Utf8 if MAIL said
// SMTPUTF8.
Result<RcptCommand, Reply> parse_rcpt(std::string_view argument, const Offered& offered,
                                      AddressForm form);
// The argument of EHLO, HELO, LHLO: the name as given, without words behind it.
Result<std::string_view, Reply> parse_hello(std::string_view argument);
// The argument of VRFY: String = Atom / Quoted-string, or a mailbox, with or without brackets
// (§3.5.1). Refused: nothing, "", 8-bit octets.
Result<std::string_view, Reply> parse_vrfy(std::string_view argument);

}  // namespace postrider::smtp
