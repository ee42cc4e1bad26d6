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
// RFC 5321 §4.1.1, §4.1.2; RFC 1870 §3, §6; RFC 6152 §2; RFC 6531 §3.4; RFC 2033 §4.1; RFC 3030 §2
// (BDAT), RFC 3461 §4 (DSN), RFC 4954 §4, §5 (AUTH), RFC 6710, RFC 2852 §4 (BY), RFC 4865 §3
// (HOLDFOR, HOLDUNTIL), RFC 8689 §2 (REQUIRETLS), RFC 1985 §5 (ETRN).

#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
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
    Bdat,
    Rset,
    Noop,
    Quit,
    Vrfy,
    Expn,
    Help,
    Auth,      // RFC 4954
    StartTls,  // RFC 3207
    Etrn,      // RFC 1985
    XClient,   // of Postfix, for proxies (told_client.h)
    XForward,  // the same, for what is to be told only
    Foreign,   // a method of HTTP: a browser was tricked into talking to us; the session ends
};
inline constexpr std::size_t kVerbCount = 21;

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
    bool binary_mime = false;     // RFC 3030
    bool smtputf8 = false;        // RFC 6531
    bool dsn = false;             // RFC 3461
    bool mt_priority = false;     // RFC 6710
    bool auth = false;            // RFC 4954
    bool deliver_by = false;      // RFC 2852
    bool future_release = false;  // RFC 4865
    bool requiretls = false;      // RFC 8689
};

// RFC 2852 §4: within how many seconds the message should be there, counted from MAIL.
struct DeliverBy {
    int32_t seconds = 0;    // negative only with notify
    bool returned = false;  // by-mode R: given up when it is late; else N: its sender is told
    bool trace = false;     // by-trace T: each host that it passes tells the sender
    friend bool operator==(const DeliverBy&, const DeliverBy&) = default;
};

// RFC 4865 §3: not before. One of the two, as it was given.
struct Hold {
    std::optional<uint32_t> seconds;  // HOLDFOR
    std::optional<Wall> until;        // HOLDUNTIL
    std::string given;                // "for;3600", "until;2026-04-01T08:00:00Z" (§5.1.2)
    friend bool operator==(const Hold&, const Hold&) = default;
};

struct MailParameters {
    std::optional<uint64_t> size;    // RFC 1870 §6: octets, as the client estimates them
    std::optional<BodyType> body;    // RFC 6152 §2, RFC 3030 §3
    bool smtputf8 = false;           // RFC 6531 §3.4
    std::optional<DsnReturn> ret;    // RFC 3461 §4.3
    std::string envid;               // RFC 3461 §4.4, as given; empty = none
    std::optional<int8_t> priority;  // RFC 6710 §3: -9 to 9
    std::string auth;  // RFC 4954 §5: who handed it in, decoded, or "<>"; empty = not given
    std::optional<DeliverBy> by;  // RFC 2852
    std::optional<Hold> hold;     // RFC 4865
    bool requiretls = false;      // RFC 8689
    friend bool operator==(const MailParameters&, const MailParameters&) = default;
};

struct RcptParameters {
    std::optional<DsnNotify> notify;  // RFC 3461 §4.1
    std::string orcpt;                // RFC 3461 §4.2, as given; empty = none
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
struct BdatCommand {
    uint64_t octets = 0;  // what does not fit is UINT64_MAX, too large anyway
    bool last = false;
};
// The argument of BDAT: chunk-size [SP "LAST"] (RFC 3030 §2).
Result<BdatCommand, Reply> parse_bdat(std::string_view argument);
struct AuthCommand {
    std::string_view mechanism;          // as written
    std::optional<std::string> initial;  // decoded; nothing: none was given
};
// The argument of AUTH: sasl-mech [SP (base64 / "=")] (RFC 4954 §4, §8).
Result<AuthCommand, Reply> parse_auth(std::string_view argument);
// The argument of ETRN (RFC 1985 §5): a domain, or "@" and a domain for all below it too; "#" and a
// queue's name is refused, since our queues have none. 500 without an argument, 501 for a wrong
// one.
struct EtrnCommand {
    std::string domain;
    bool below = false;
};
Result<EtrnCommand, Reply> parse_etrn(std::string_view argument);
// The argument of EHLO, HELO, LHLO: the name as given, without words behind it.
Result<std::string_view, Reply> parse_hello(std::string_view argument);
// The argument of VRFY and EXPN: String = Atom / Quoted-string, or a mailbox, with or without
// brackets (§3.5.1). Refused: nothing, "", 8-bit octets unless " SMTPUTF8" follows, which is taken
// if `offered` has it (RFC 6531 §3.7.4.2).
Result<std::string_view, Reply> parse_vrfy(std::string_view argument, const Offered& offered);

}  // namespace postrider::smtp
